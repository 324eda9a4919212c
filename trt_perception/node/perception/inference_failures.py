# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Failed inferences of a node: how many in a row, and when the node gives up. Does not import ROS."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ...errors import EngineError

# After this many failed inferences in a row, the node goes through error processing.
FAILURES_TO_GIVE_UP = 10


class InferenceFailures:
    """Counts failed inferences in a row. All cameras share one network, so they share this count."""

    def __init__(self, on_give_up: Callable[[], None], on_device_lost: Callable[[EngineError], None]) -> None:
        """Prepare.

        on_give_up: called when `failing` becomes true
        on_device_lost: called if this process can no longer use its device
        Both are called in the thread of the failed inference.
        """
        self._on_give_up = on_give_up
        self._on_device_lost = on_device_lost
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._last = ''
        self._expected = False

    @property
    def failing(self) -> bool:
        """Whether so many inferences in a row have failed that the node should give up."""
        return self._in_a_row >= FAILURES_TO_GIVE_UP

    @property
    def why_failing(self) -> str:
        """One line for the log and the diagnostics of a node that gives up."""
        return f'{FAILURES_TO_GIVE_UP} inferences in a row failed: {self._last}'

    @property
    def expected(self) -> bool:
        """Whether failures mean nothing, because the process is about to end."""
        return self._expected

    def expect(self) -> None:
        """From now on failures mean nothing: the process is about to end, and resources may be gone already."""
        self._expected = True

    def reset(self) -> None:
        """Begin to count again."""
        with self._lock:
            self._in_a_row = 0

    def succeeded(self) -> None:
        """Count an inference with a result."""
        with self._lock:
            self._in_a_row = 0

    def failed(self, error: EngineError, reason: str) -> None:
        """Count a failed inference. reason: the error in one line."""
        with self._lock:
            self._last = reason
            self._in_a_row += 1
            gives_up = self._in_a_row == FAILURES_TO_GIVE_UP
        if error.fatal:
            self._on_device_lost(error)
        elif gives_up:
            self._on_give_up()
