# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A request to stop, by signal or by a thread."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any


class StopRequest:
    """Any thread or signal handler makes the request; the main thread waits for it.

    It is a pipe, for two reasons. A handler must not take a lock: if a signal came while the main thread holds the lock
    of a threading.Event, its handler would wait forever. And if several signals come at once, the kernel delivers some
    to other threads. The main thread, which runs Python's handlers, would not wake up. Any thread can write to a pipe.
    """

    def __init__(self) -> None:
        self.made = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def listen(self, *signals: signal.Signals) -> None:
        """Make the request when one of these signals comes. Call it in the main thread."""
        for number in signals:
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def make(self) -> None:
        """Request the stop. Further calls are harmless."""
        self.made = True
        # A full pipe already contains requests.
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b'.')

    def wait(self) -> None:
        """Wait for the first request."""
        os.read(self._read, 1)
        self.made = True

    def _on_signal(self, *_: Any) -> None:
        self.make()
