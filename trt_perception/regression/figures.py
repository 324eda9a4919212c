# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts of boxes and of score differences, of one class or of all. Memory does not grow with the frames."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

# The percentile is exact to this.
_STEP = 0.0001


@dataclass
class Differences:
    """Absolute score differences, and the mean shift from A to B."""

    count: int = 0
    largest: float = 0.0
    _sum: float = 0.0
    _shift: float = 0.0
    _steps: Counter[int] = field(default_factory=Counter)
    _final: float | None = None

    def add(self, difference: float) -> None:
        """Add a difference, B minus A."""
        size = abs(difference)
        self.count += 1
        self.largest = max(self.largest, size)
        self._sum += size
        self._shift += difference
        self._steps[round(size / _STEP)] += 1

    def close(self) -> None:
        """Keep the figures only: no difference is added any more."""
        self._final = self.p95
        self._steps.clear()

    @property
    def mean(self) -> float:
        """The mean of the absolute differences, 0 without any."""
        return self._sum / self.count if self.count else 0.0

    @property
    def shift(self) -> float:
        """The mean of B minus A, 0 without any."""
        return self._shift / self.count if self.count else 0.0

    @property
    def p95(self) -> float:
        """The smallest difference that at least 95 % do not exceed (nearest rank), to 0.0001; 0 without any."""
        if self._final is not None:
            return self._final
        rank, before = math.ceil(0.95 * self.count), 0
        for step in sorted(self._steps):
            before += self._steps[step]
            if before >= rank:
                # The step may be rounded above the largest.
                return min(step * _STEP, self.largest)
        return 0.0

    def as_dict(self) -> dict[str, float]:
        """Return the figures as JSON values."""
        values = {'mean': self.mean, 'p95': self.p95, 'max': self.largest, 'shift': self.shift}
        return {key: round(value, 6) for key, value in values.items()}


@dataclass
class BoxFigures:
    """The boxes of one class, of a bag or of all.

    matched + lost are the boxes of A, matched + gained are those of B. With a score threshold also weaker boxes are
    among them, if their partner is not.
    moved: those of `matched` with a low IoU
    changed_from: those of `lost` that have another class in B at the same place; changed_to: those of `gained`
    """

    matched: int = 0
    moved: int = 0
    lost: int = 0
    gained: int = 0
    changed_from: int = 0
    changed_to: int = 0
    lowest_iou: float = 1.0
    differences: Differences = field(default_factory=Differences)
    _ious: float = 0.0

    def add_match(self, iou: float, difference: float, moved_iou: float) -> None:
        """Count a match. difference: score in B minus score in A"""
        self.matched += 1
        self.moved += int(iou < moved_iou)
        self.lowest_iou = min(self.lowest_iou, iou)
        self._ious += iou
        self.differences.add(difference)

    @property
    def a(self) -> int:
        """The boxes of A."""
        return self.matched + self.lost

    @property
    def b(self) -> int:
        """The boxes of B."""
        return self.matched + self.gained

    @property
    def mean_iou(self) -> float:
        """Of the matched boxes, 1 without any."""
        return self._ious / self.matched if self.matched else 1.0

    @property
    def agreement(self) -> float:
        """2 matched / (boxes of A + boxes of B), as of the accuracy gate; 1 without boxes."""
        return 2 * self.matched / (self.a + self.b) if self.a + self.b else 1.0

    @property
    def lost_fraction(self) -> float:
        """The part of A's boxes that B does not have."""
        return self.lost / self.a if self.a else 0.0

    @property
    def gained_fraction(self) -> float:
        """The part of B's boxes that A does not have."""
        return self.gained / self.b if self.b else 0.0

    @property
    def moved_fraction(self) -> float:
        """The part of the matched boxes that moved."""
        return self.moved / self.matched if self.matched else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        fractions = {
            'agreement': self.agreement, 'lost_fraction': self.lost_fraction, 'gained_fraction': self.gained_fraction,
            'moved_fraction': self.moved_fraction, 'mean_iou': self.mean_iou, 'lowest_iou': self.lowest_iou}
        return {
            'boxes_a': self.a, 'boxes_b': self.b, 'matched': self.matched, 'moved': self.moved, 'lost': self.lost,
            'gained': self.gained, 'changed_from': self.changed_from, 'changed_to': self.changed_to,
            **{key: round(value, 6) for key, value in fractions.items()},
            'score_difference': self.differences.as_dict()}


@dataclass
class TopFigures:
    """The first classes of images: of one class of A, of a bag, or of all.

    frames: images; same: those with the same first class; likely: the others whose first class in B has in A a score
    within parity.SCORE_MARGIN of A's first
    differences: of the score of A's first class; it counts as 0 in B if it is not listed there
    """

    frames: int = 0
    same: int = 0
    likely: int = 0
    differences: Differences = field(default_factory=Differences)

    @property
    def top1(self) -> float:
        """The part of the images with the same first class, 1 without images."""
        return self.same / self.frames if self.frames else 1.0

    @property
    def agreement(self) -> float:
        """The part of the images with the same or an equally likely first class, as of the accuracy gate."""
        return (self.same + self.likely) / self.frames if self.frames else 1.0

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            'images': self.frames, 'same': self.same, 'likely': self.likely, 'top1': round(self.top1, 6),
            'agreement': round(self.agreement, 6), 'score_difference': self.differences.as_dict()}
