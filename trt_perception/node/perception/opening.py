# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reports progress while a pipeline opens. It may build an engine for minutes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rclpy.logging import LoggingSeverity

from ...errors import printable
from ...monitor import Monitor
from ..process.throttle import at_most_every

_THROTTLE_S = 5.0


class Activity:
    """The step that configure is doing, and when it last made progress."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self.text = ''

    def tell(self, text: str) -> None:
        """Replace the step by this one, or report progress of it."""
        self.text = text
        self._since = self._clock()

    @property
    def unchanged_s(self) -> float:
        """Seconds since the last progress."""
        return self._clock() - self._since


def opening_monitor(logger: Any, cancel: threading.Event, tell: Callable[[str], None]) -> Monitor:
    """Return the monitor of a pipeline that opens.

    logger: rclpy's logger, for progress and for the log of the backend; cancel: ends the opening when it is set
    tell: called with one line for each step; the diagnostics show the last one
    """
    def on_progress(text: str, done: float, total: float | None) -> None:
        activity = printable(f'{text}, {done / total:.0%}' if total else text)
        tell(activity)
        logger.info(activity, **at_most_every(_THROTTLE_S))

    def on_log(severity: str, text: str) -> None:
        text = printable(text)
        # One line for each severity: rclpy allows only one severity for each line that logs.
        if severity == 'error':
            logger.error(text)
        elif severity == 'warning':
            logger.warning(text)
        elif severity == 'info':
            logger.info(text)
        else:
            logger.debug(text)

    return Monitor(on_progress, on_log, cancel, logger.is_enabled_for(LoggingSeverity.DEBUG))
