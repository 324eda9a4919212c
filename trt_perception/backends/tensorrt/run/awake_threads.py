# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Keeps OpenCV's threads awake between frames that follow each other without a pause."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from .frame_copy import copy_rows

# OpenCV gives a thread this much of an image at least, in bytes (modules/imgproc/src/thresh.cpp).
_BYTES_OF_THREAD = 1 << 16
# Its threads sleep about 0.4 ms after a call (docs/benchmarks.md).
_PERIOD_S = 0.00025
# After a longer pause they sleep anyway.
_LONGEST_PAUSE_S = 0.0002
# Beside longer work of the GPU, what waking them takes does not count.
_LONGEST_WORK_S = 0.002


class AwakeThreads:
    """Gives OpenCV's threads a little to do while the GPU works on a frame, so that the next one finds them awake.

    Waking them takes about as long as their copying a frame. Does nothing where a frame came a while after the result
    of the one before, as from a camera, or where the GPU works long on one: awake they take the processor's time.

    call: has all the threads do something
    clock: gives the time in seconds
    """

    def __init__(self, call: Callable[[], None], clock: Callable[[], float] = time.perf_counter) -> None:
        self.call = call
        self._clock = clock
        self._last_done = float('-inf')
        self._last_wait_s = float('inf')
        self._follows = False

    def frame_comes(self) -> None:
        """Take note that a frame is about to be copied."""
        self._follows = self._clock() - self._last_done <= _LONGEST_PAUSE_S

    def wait(self, is_done: Callable[[], bool], synchronize: Callable[[], None]) -> None:
        """Wait until `is_done`, or with `synchronize`, and keep the threads awake meanwhile where that pays."""
        started = self._clock()
        pays = self._follows and self._last_wait_s <= _LONGEST_WORK_S
        if not (pays and self._keep_awake(started, is_done)):
            synchronize()
        self._last_done = self._clock()
        self._last_wait_s = self._last_done - started

    def _keep_awake(self, started: float, is_done: Callable[[], bool]) -> bool:
        """Return whether the GPU is done; False for what must still be waited for."""
        # About a period apart, and as far as can be from the moment at which the GPU is done, if it takes as long as
        # the last time: this thread must not be in a call then.
        periods = round(self._last_wait_s / _PERIOD_S)
        if periods == 0:
            return False
        period = self._last_wait_s / periods
        due, end = started + period / 2, started + _LONGEST_WORK_S
        # The thread would spin in CUDA's own wait as well.
        while not is_done():
            now = self._clock()
            if now >= end:
                return False
            if now >= due:
                self.call()
                due += period
        return True


def awake_copying_threads(threads: int) -> AwakeThreads:
    """Return AwakeThreads for `copy_rows`; OpenCV has `threads` of them."""
    pixels = np.zeros((threads, _BYTES_OF_THREAD), np.uint8)
    return AwakeThreads(lambda: copy_rows(pixels, pixels))
