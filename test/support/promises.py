# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Times that this package promises for an idle machine, on one that may be busy."""

import subprocess
import sys
import time

# A little less than what the actions do that are measured: import packages, start a process and end it.
WORK = 'import json, subprocess, sys; import numpy; subprocess.run([sys.executable, "-c", "import json"], check=True)'
# The same for an action of a node.
TRIVIAL_NODE = """
import rclpy
rclpy.init()
node = rclpy.create_node('trivial')
node.destroy_node()
rclpy.shutdown()
"""


class Promise:
    """An action takes at most `seconds` on an idle machine. Make it before the action.

    On a busy machine it may take longer by twice the time of a short program, which is run before and, if the action
    took long, after it.
    """

    def __init__(self, seconds: float, program: str = WORK) -> None:
        self._seconds = seconds
        self._program = program
        self._slowest = _time_of(program)

    def __str__(self) -> str:
        return f'{self._limit:.2f} s'

    def allows(self, taken: float) -> bool:
        """Whether an action that took so many seconds until now kept it."""
        if taken >= self._limit:
            self._slowest = max(self._slowest, _time_of(self._program))
        return taken < self._limit

    @property
    def _limit(self) -> float:
        return self._seconds + 2 * self._slowest


def _time_of(program: str) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, '-c', program], check=True, timeout=600)
    return time.monotonic() - started
