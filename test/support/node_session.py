# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Node processes for scripts: what the fixtures of test/node give to tests."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from support.node_fixtures import end_process, separate_domain, start_process

# Nothing was received between two diagnoses.
_DIAGNOSTICS_S = 0.1


class Session:
    """A separate ROS domain with the driver, and the nodes that it starts."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self.driver = driver
        self.folder = folder
        self._nodes: list[Any] = []

    def start(self, *arguments: str, wait: bool = True, **parameters: Any) -> Any:
        """Start a node process with diagnostics every 0.1 s; return its NodeClient."""
        parameters.setdefault('diagnostics_period', _DIAGNOSTICS_S)
        node = start_process(self.driver, self.folder, parameters, arguments)
        self._nodes.append(node)
        if wait:
            node.wait_for_services()
        return node

    def end(self, node: Any) -> None:
        """End the node. Fails if it does not end with code 0, or if its output has a sign of an unhandled error."""
        self._nodes.remove(node)
        end_process(node)

    def kill_all(self) -> None:
        """End the processes that are left after a failure."""
        for node in self._nodes:
            node.process.process.kill()
            node.process.process.wait()
            node.close()


@contextlib.contextmanager
def node_session() -> Iterator[Session]:
    """Yield a Session. At the end, no process is left."""
    with separate_domain() as domain, tempfile.TemporaryDirectory() as folder:
        from support.harness_driver import Driver

        driver = Driver(domain)
        session = Session(driver, Path(folder))
        try:
            yield session
        finally:
            session.kill_all()
            driver.close()


def peak_mib(pid: int) -> float:
    """Return the peak of the resident memory of a process in MiB (VmHWM)."""
    status = Path(f'/proc/{pid}/status').read_text()
    return int(status.split('VmHWM:')[1].split()[0]) / 1024


@contextlib.contextmanager
def in_thread(function: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `function` in a thread until the block ends; it gets an event that is set then. Raises its error."""
    done = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            function(done)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if errors:
        raise errors[0]
