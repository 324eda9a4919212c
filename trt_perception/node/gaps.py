# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Tells from the stamps of the frames that arrived how many did not."""

from __future__ import annotations

from collections import deque

import numpy as np

# Fewer frames do not allow an estimate.
_FEWEST = 10
# Mean distance of the intervals from whole periods, in periods. Intervals without a period have 0.25. A camera that is
# so irregular, as one with a trigger, must not be said to lose frames.
_STEADY = 0.15


class GapEstimator:
    """Estimates lost frames of a camera with a steady rate from the header stamps of those received.

    The camera's period is taken from the shortest intervals seen (the median of those less than half as long again as
    the 10th percentile). An interval of about k periods counts as k - 1 frames missing. If the intervals are not
    multiples of a period, nothing is missing.
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
        """Return the estimated part of the frames sent that did not arrive, 0..1."""
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
