# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The process of the node under test: its output line by line, its resources, its end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from support.subprocesses import without_middleware

ROOT = Path(__file__).resolve().parents[2]
# Text that must never be in the output of a node.
FORBIDDEN = re.compile(
    r'Traceback|never retrieved|Exception ignored|error in a callback|terminate called|'
    r'Segmentation fault|Fatal Python error|unexpectedly|InvalidHandle')


class NodeProcess:
    """A node in a separate namespace, `perception_node` by default, started with parameters from a file.

    parameters: name to value; written as JSON, which is also YAML, so that 1 and 1.0 keep their types
    prefix: a program that starts the node, with its arguments
    """

    def __init__(
        self, namespace: str, folder: Path, parameters: dict[str, Any] | None = None,
        arguments: tuple[str, ...] = (), module: str = 'trt_perception.node.main', prefix: tuple[str, ...] = (),
    ) -> None:
        self.namespace = namespace
        folder.mkdir(parents=True, exist_ok=True)
        parameters_file = folder / 'parameters.yaml'
        # .ci/lyrical runs all tests with each way to take images.
        taking = os.environ.get('TEST_IMAGE_TAKING')
        given = {**({'image_taking': taking} if taking else {}), **(parameters or {})}
        parameters_file.write_text(json.dumps({'/**': {'ros__parameters': given}}))
        environment = dict(
            os.environ, PYTHONUNBUFFERED='1', PYTHONFAULTHANDLER='1', RCUTILS_COLORIZED_OUTPUT='0',
            ROS_LOG_DIR=str(folder))
        # The code with which the process must end. A test that lets it end in another way sets its own.
        self.exit_code = 0
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self.process = subprocess.Popen(
            [*prefix, sys.executable, '-m', module, '--ros-args',
             '-r', f'__ns:={namespace}', '--params-file', str(parameters_file), *arguments],
            cwd=ROOT, env=environment, text=True, errors='replace',
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """All that the process printed so far, to stdout and stderr."""
        with self._changed:
            return '\n'.join(self._lines)

    def tail(self, lines: int = 15) -> str:
        """The last lines, for messages of failed tests."""
        return '\n'.join(self.output.splitlines()[-lines:])

    def mark(self) -> int:
        """Return the current position in the output, for `since` of wait_for_line."""
        with self._changed:
            return len(self._lines)

    def lines_since(self, mark: int) -> list[str]:
        """Return the lines printed after `mark`, without those of Fast DDS, which may come at any time."""
        with self._changed:
            return [line for line in self._lines[mark:] if without_middleware(f'{line}\n')]

    def wait_for_line(self, pattern: str, since: int = 0, timeout: float = 600.0) -> str:
        """Return the first line after `since` that contains the pattern."""
        def find() -> str | None:
            return next((line for line in self._lines[since:] if re.search(pattern, line)), None)

        with self._changed:
            if not self._changed.wait_for(lambda: find() is not None, timeout):
                raise AssertionError(
                    f'no line with {pattern!r} within {timeout:.0f} s after:\n' + '\n'.join(self._lines[-15:]))
            found = find()
        assert found is not None
        return found

    def resident_mib(self) -> float:
        """Return the resident memory in MiB."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    def private_mib(self) -> float:
        """Return the resident memory in MiB that is neither a file nor shared memory."""
        return self._status_mib('RssAnon')

    def file_mib(self) -> float:
        """Return the part of the resident memory in MiB that is mapped files, without shared memory."""
        return self._status_mib('RssFile')

    def segments(self) -> int:
        """Return the number of shared-memory segments of Fast DDS that are mapped, also those of other processes.

        How much of a segment is resident says nothing: it depends on how many images waited in it at once.
        """
        maps = Path(f'/proc/{self.process.pid}/maps').read_text()
        return len(set(re.findall(r' (\d+) +/dev/shm/fast(?:rtps|dds)_[0-9a-f]{16}(?: |$)', maps, re.M)))

    def _status_mib(self, name: str) -> float:
        status = Path(f'/proc/{self.process.pid}/status').read_text()
        return int(re.search(rf'^{name}:\s*(\d+)', status, re.M).group(1)) / 1024

    def descriptors(self) -> int:
        """Return the number of open file descriptors."""
        return int(psutil.Process(self.process.pid).num_fds())

    def threads(self) -> int:
        """Return the number of threads."""
        return int(psutil.Process(self.process.pid).num_threads())

    def shared_memory(self) -> list[Path]:
        """Return the shared-memory files of the process. Fast DDS keeps a lock file open for each segment."""
        made = []
        for descriptor in Path(f'/proc/{self.process.pid}/fd').iterdir():
            try:
                name = str(descriptor.readlink())
            except FileNotFoundError:
                # Already closed: a node that configures reads files.
                continue
            # Files of ports are shared between processes, so they are not included.
            if re.fullmatch(r'/dev/shm/fast(rtps|dds)_[0-9a-f]{16}_el', name):
                made += [Path(name), Path(name.removesuffix('_el'))]
        return made

    def catches(self, number: signal.Signals) -> bool:
        """Return whether the process has already set a handler for the signal."""
        status = Path(f'/proc/{self.process.pid}/status').read_text()
        mask = int(re.search(r'^SigCgt:\s*([0-9a-f]+)', status, re.M).group(1), 16)
        return bool(mask >> (number - 1) & 1)

    def stop(self, number: signal.Signals = signal.SIGINT, timeout: float = 600.0) -> tuple[int, float]:
        """Send the signal. Returns the exit code and the seconds until the process ended."""
        started = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            # With PYTHONFAULTHANDLER it prints the stacks of its threads.
            self.process.send_signal(signal.SIGABRT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self._reader.join(5)
            raise AssertionError(
                f'still alive {timeout:.0f} s after {number.name}; its output:\n{self.output[-6000:]}') from None
        elapsed = time.monotonic() - started
        self._reader.join(5)
        return code, elapsed

    def assert_clean(self) -> None:
        """Fail if the output has a traceback or another sign of an unhandled error."""
        bad = [line for line in self.output.splitlines() if FORBIDDEN.search(line)]
        assert not bad, f'{bad[0]!r} in the output of the node, which ends with:\n{self.tail()}'

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line.rstrip('\n'))
                self._changed.notify_all()
