# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Estimates from the stamps of the received frames how many frames were lost."""

from __future__ import annotations

from collections import deque

import numpy as np

# An estimate needs at least this many frames.
_FEWEST = 10
# Largest mean distance of the intervals from whole periods, in periods. Random intervals have 0.25. An irregular
# camera, for example one with a trigger, must not be reported as losing frames.
_STEADY = 0.15


class GapEstimator:
    """Estimates lost frames of a camera with a steady rate from the header stamps of those received.

    The camera's period is the median of the shortest intervals, those below 1.5 times the 10th percentile. An interval
    of about k periods counts as k - 1 missing frames. The estimate is 0 if the
    intervals are not multiples of a period.
    """

    def __init__(self, window: int = 60) -> None:
        self._stamps: deque[int] = deque(maxlen=window)

    def add(self, stamp_ns: int) -> None:
        """Add the stamp of a received frame, in nanoseconds."""
        if self._stamps and stamp_ns <= self._stamps[-1]:
            # A bag that started again, or a camera without a clock.
            self._stamps.clear()
        self._stamps.append(stamp_ns)

    def missing_fraction(self) -> float:
        """Return the estimated fraction of sent frames that did not arrive, 0..1."""
        if len(self._stamps) < _FEWEST:
            return 0.0
        intervals = np.diff(np.array(self._stamps, np.int64)).astype(np.float64)
        shortest = float(np.percentile(intervals, 10))
        periods = intervals / float(np.median(intervals[intervals < 1.5 * shortest]))
        steps = np.maximum(np.rint(periods), 1)
        if float(np.mean(np.abs(periods - steps))) > _STEADY:
            return 0.0
        missing = float(np.sum(steps - 1))
        return missing / (missing + len(self._stamps))
