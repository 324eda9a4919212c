# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A request to stop, by signal or by a thread."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any


class StopRequest:
    """Made by any thread or signal handler, waited for by the main thread.

    It is a pipe, for two reasons. A handler must take no lock: a second signal that comes while the main thread holds
    the lock of a threading.Event would wait for ever. And if several signals come at once, the kernel gives some to
    other threads. The main thread, in which Python runs handlers, would stay asleep; any thread can write to the pipe.
    """

    def __init__(self) -> None:
        self.made = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def listen(self, *signals: signal.Signals) -> None:
        """Make the request whenever one of these signals comes. To be called in the main thread."""
        for number in signals:
            signal.signal(number, self._on_signal)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def make(self) -> None:
        """Ask to stop, any number of times."""
        self.made = True
        # A full pipe has enough requests.
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b'.')

    def wait(self) -> None:
        """Wait for the first request."""
        os.read(self._read, 1)
        self.made = True

    def _on_signal(self, *_: Any) -> None:
        self.make()
