# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One child process of the demo, with a log file."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import reason
from .errors import DemoError

GRACE_S = 3.0
_INTERRUPT_S = 0.3
_TELLING = ('configure failed',)


class Child:
    """A process that writes its output to `log`; a context manager that ends it.

    It stays in this process group, so a signal to the group ends it too. Raises DemoError if it cannot start.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log = log
        try:
            with log.open('wb') as output:
                self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=dict(environment))
        except OSError as error:
            raise DemoError(f'{name} cannot be started ({command[0]}): {reason(error)}') from error

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def ended(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._process.poll()

    def check_running(self) -> None:
        """Raise DemoError if the process has ended."""
        code = self.ended()
        if code is not None:
            # Ctrl-C reaches all processes of the terminal at once: let it arrive here before reporting a failure.
            time.sleep(_INTERRUPT_S)
            raise self.failure(f'{self.name} ended unexpectedly with code {code}')

    def failure(self, what: str) -> DemoError:
        """Return an error with the last error that the process logged."""
        said = last_error(self.log)
        # The node's own message names the failed transition.
        words = said if said.startswith(_TELLING) else f'{what}{": " + said if said else ""}'
        return DemoError(f'{words} (log: {self.log})')

    def stop(self) -> int:
        """End the process with SIGINT, then SIGTERM, then SIGKILL, a few seconds apart; return its exit code."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                self._process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(GRACE_S)
        return self._process.wait()

    def __enter__(self) -> Child:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.stop()


def last_error(log: Path) -> str:
    """Return the last error line of a log without rclpy's prefix, or '' if there is none."""
    try:
        lines = log.read_text('utf-8', 'replace').splitlines()
    except OSError:
        return ''
    for line in reversed(lines):
        if line.startswith(('[ERROR]', '[FATAL]')):
            return line.split(']: ', 1)[-1].strip()
        for program in ('perception_node: ', 'trt_perception: '):
            if line.startswith(program):
                return line[len(program):].strip()
    # The last line of a traceback is the error.
    return lines[-1].strip() if lines and any(line.startswith('Traceback ') for line in lines) else ''
