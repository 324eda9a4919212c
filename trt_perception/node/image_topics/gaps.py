# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Estimates from the stamps of the received frames how many frames were lost."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

# An estimate needs at least this many intervals, and this many gaps among them.
_FEWEST_INTERVALS = 12
_FEWEST_GAPS = 4
# Only the frames of the last seconds count: a slow camera would keep an old loss for minutes.
_LONGEST_NS = 60 * 10**9
# A longer interval, in periods, is a pause of the camera or a step of its clock.
_PAUSE = 8.5
# An interval within this part of the period is one period long. At least this part of the intervals must be.
_ALIKE = 0.25
_FEWEST_ALIKE = 0.3
# Stamps that jitter by more make short intervals, which no loss makes. So do bursts. Part of the intervals below half
# a period that is accepted.
_MOST_SHORT = 0.02
# Largest mean distance of the intervals from whole periods, in periods. Random intervals have 0.25.
_STEADY = 0.15
# A row of equal intervals longer than a period is another rate of the camera, if losses would make such a row this
# seldom.
_RARE = 0.001
# Longest pattern of intervals that is recognised as the camera's own.
_LONGEST_PATTERN = 12
# Part of the gaps that a pattern repeats.
_MOST_ALIKE = 0.8
# Above this fraction, only losses of independent frames are believed: bursts of a camera look like bursts of losses.
_MOST_IN_BURSTS = 0.35


class GapEstimator:
    """Estimates lost frames of a camera with a steady rate from the header stamps of those received.

    The period is the most frequent interval. An interval of about k periods counts as k - 1 missing frames. The
    estimate is 0 if the stream is not clearly a steady one with losses: the gaps must be multiples of the period as
    exactly as the other intervals, there must be several of them, and they must not look like another rate, like a
    pattern of the camera (two alternating intervals), like bursts of frames, or like pauses.
    """

    def __init__(self, window: int = 240) -> None:
        self._stamps: deque[int] = deque(maxlen=window)

    def add(self, stamp_ns: int) -> None:
        """Add the stamp of a received frame, in nanoseconds."""
        if self._stamps and stamp_ns <= self._stamps[-1]:
            # A bag that started again, a clock that was set back, or a camera without a clock.
            self._stamps.clear()
        self._stamps.append(stamp_ns)

    def missing_fraction(self) -> float:
        """Return the estimated fraction of sent frames that did not arrive, 0..1."""
        stamps = np.array(self._stamps, np.int64)
        if len(stamps):
            stamps = stamps[stamps >= stamps[-1] - _LONGEST_NS]
        intervals = np.diff(stamps).astype(np.float64)
        if len(intervals) < _FEWEST_INTERVALS:
            return 0.0
        period, alike = _period(intervals)
        if alike < _FEWEST_ALIKE:
            return 0.0
        periods = intervals / period
        if np.mean(periods < 0.5) > _MOST_SHORT:
            return 0.0
        periods = periods[(periods >= 0.5) & (periods < _PAUSE)]
        steps = np.rint(periods).astype(np.int64).clip(1)
        if len(periods) < _FEWEST_INTERVALS or not _is_steady(periods, steps) or not _are_losses(steps):
            return 0.0
        missing = float(np.sum(steps - 1))
        return missing / (missing + len(steps))


def _period(intervals: np.ndarray) -> tuple[float, float]:
    """Return the most frequent interval, and the part of the intervals that are about as long."""
    ordered = np.sort(intervals)
    # For each interval: how many are at most a quarter longer. So no group contains intervals of two and three periods.
    ends = np.searchsorted(ordered, ordered * (1 + _ALIKE), 'right')
    start = int(np.argmax(ends - np.arange(len(ordered))))
    middle = float(np.median(ordered[start:ends[start]]))
    group = intervals[np.abs(intervals - middle) <= _ALIKE * middle]
    # The mean, not the median: the jitter of one stamp changes two neighbouring intervals in opposite directions.
    return float(np.mean(group)), len(group) / len(intervals)


def _is_steady(periods: np.ndarray, steps: np.ndarray) -> bool:
    """Whether the intervals are whole periods, and the gaps no less exactly than the others."""
    distance = np.abs(periods - steps)
    if float(np.mean(distance)) > _STEADY or not np.any(steps > 1):
        return False
    exact = min(max(2 * float(np.mean(distance[steps == 1])), 0.05), _STEADY)
    return float(np.mean(distance[steps > 1])) <= exact


def _are_losses(steps: np.ndarray) -> bool:
    """Whether these intervals, in whole periods, are those of a steady stream that loses frames."""
    gaps = steps > 1
    number, part = int(np.sum(gaps)), float(np.mean(gaps))
    if number < _FEWEST_GAPS or _has_rare_run(steps):
        return False
    # If the gaps lay in the stream at random, they would form about number * (1 - part) groups.
    groups = int(np.sum(gaps[1:] & ~gaps[:-1])) + int(gaps[0])
    if groups < max(3.0, number * (1 - part) / 2):
        return False
    missing = float(np.sum(steps - 1))
    fraction = missing / (missing + len(steps))
    # Of independent losses, the fraction is about the part of the intervals that are gaps.
    if fraction > _MOST_IN_BURSTS and fraction > 1.2 * part + 1 / math.sqrt(len(steps)):
        return False
    return not _is_pattern(steps, fraction)


def _has_rare_run(steps: np.ndarray) -> bool:
    """Whether more equal gaps follow each other than random losses would make."""
    ends = np.flatnonzero(np.diff(steps, append=0))
    lengths = np.diff(ends, prepend=-1)
    for step, length in zip(steps[ends], lengths):
        if step > 1 and length > 1 and len(steps) * float(np.mean(steps == step)) ** int(length) < _RARE:
            return True
    return False


def _is_pattern(steps: np.ndarray, fraction: float) -> bool:
    """Whether the intervals repeat as a camera's own pattern.

    One missing frame after every second or more intervals is a loss: a camera without losses does not do that.
    """
    gaps = steps > 1
    for length in range(2, min(_LONGEST_PATTERN, len(steps) // 3) + 1):
        if float(np.mean((steps[length:] == steps[:-length])[gaps[:-length]])) < _MOST_ALIKE:
            continue
        in_each = float(np.mean(gaps)) * length
        single = length > 2 and in_each < 1.5
        return not single or (fraction > _MOST_IN_BURSTS and int(steps.max()) > 2)
    return False
