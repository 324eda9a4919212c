# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A thread that notices a frame that never ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from .liveness import Progress

_TICK_S = 0.5
# A frame of a slow model may take this many times as long as the slowest of the last ones.
_LONGER = 5.0


class Watchdog:
    """Calls `on_hang` once, in its thread, if one frame is in work for too long. stop() ends it.

    The executor may be busy with a transition, so this is not a timer of the node.
    """

    def __init__(
        self, progress: Callable[[], Progress], timeout: Callable[[], float], on_hang: Callable[[Progress], None],
        tick_s: float = _TICK_S, clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the thread.

        timeout: returns the longest time of a frame in seconds, 0 for no limit; a slow model gets more
        """
        self._progress = progress
        self._timeout = timeout
        self._on_hang = on_hang
        self._tick_s = tick_s
        self._clock = clock
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name='watchdog', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. It may be called from `on_hang`."""
        self._ending.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        frame, seen_s, last = 0, 0.0, self._clock()
        while not self._ending.wait(self._tick_s):
            now = self._clock()
            # If the whole process was stopped (SIGSTOP, a paused container), that time does not count.
            elapsed, last = min(now - last, 2 * self._tick_s), now
            progress = self._progress()
            seen_s = seen_s + elapsed if progress.frame and progress.frame == frame else 0.0
            frame = progress.frame
            timeout = self._timeout()
            if timeout > 0 and seen_s > max(timeout, _LONGER * progress.expected_s):
                self._on_hang(progress)
                return
