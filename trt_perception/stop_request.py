# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A request to stop that signal handlers may make."""

from __future__ import annotations

import contextlib
import os


class StopRequest:
    """Made by any thread or signal handler, waited for by one thread.

    threading.Event is not for signal handlers: a second signal that comes while the first one's handler, or `wait` in
    the same thread, holds the event's lock would wait for that lock for ever.
    """

    def __init__(self) -> None:
        self.made = False
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    def make(self) -> None:
        """Ask to stop; any number of times, without a lock."""
        self.made = True
        # A full pipe: it was asked often enough.
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b'.')

    def wait(self) -> None:
        """Wait for the first request. Signal handlers run meanwhile, if this is the main thread."""
        os.read(self._read, 1)
