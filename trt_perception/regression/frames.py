# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares the detections of two models in one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..precision.parity import SCORE_MARGIN, match
from ..results.json_reader import Found
from ..results.results import Detections
from .options import CompareOptions


@dataclass(frozen=True)
class Pair:
    """A box of A and the box of B at the same place."""

    a: Found
    b: Found
    iou: float

    @property
    def difference(self) -> float:
        """The score in B minus the score in A."""
        return self.b.score - self.a.score


@dataclass(frozen=True)
class FrameDifference:
    """The boxes of one image.

    matched: pairs of one class
    lost: boxes of A without a match; gained: boxes of B without one
    changed: pairs of a lost and a gained box at the same place, which have two classes
    """

    matched: tuple[Pair, ...]
    lost: tuple[Found, ...] = ()
    gained: tuple[Found, ...] = ()
    changed: tuple[Pair, ...] = ()

    @property
    def weight(self) -> float:
        """How large the difference is: for a match its score difference plus 1 - IoU, for another box its score.

        It is the sum of what Agreement.loss is the mean of (precision/parity.py).
        """
        pairs = sum(abs(pair.difference) + 1.0 - pair.iou for pair in self.matched)
        return pairs + sum(found.score for found in (*self.lost, *self.gained))


def compare_boxes(a: Sequence[Found], b: Sequence[Found], options: CompareOptions) -> FrameDifference:
    """Compare the boxes of one image.

    Boxes of one class are matched one to one, the highest IoU first, as by the accuracy gate. With options.score, a
    pair counts if one of its scores is at least that.
    """
    if options.score:
        a, b = ([found for found in side if found.score >= options.score - SCORE_MARGIN] for side in (a, b))
    if tuple(a) == tuple(b):
        return FrameDifference(tuple(
            Pair(found, found, 1.0) for found in a if found.score >= options.score))
    numbers = {name: number for number, name in enumerate(dict.fromkeys(found.name for found in (*a, *b)))}
    pairs = match(
        _detections(a, [numbers[found.name] for found in a]), _detections(b, [numbers[found.name] for found in b]),
        options.iou)
    firsts, seconds = {first for first, _, _ in pairs}, {second for _, second, _ in pairs}
    lost = [one for i, one in enumerate(a) if i not in firsts and one.score >= options.score]
    gained = [one for i, one in enumerate(b) if i not in seconds and one.score >= options.score]
    # Whatever their classes: those of one class do not overlap enough, or they would be matched.
    changed = match(_detections(lost, [0] * len(lost)), _detections(gained, [0] * len(gained)), options.iou)
    return FrameDifference(
        tuple(Pair(a[i], b[j], iou) for i, j, iou in pairs if max(a[i].score, b[j].score) >= options.score),
        tuple(lost), tuple(gained), tuple(Pair(lost[i], gained[j], iou) for i, j, iou in changed))


def _detections(found: Sequence[Found], classes: Sequence[int]) -> Detections:
    return Detections(
        np.array([one.box for one in found], np.float64).reshape(-1, 4), np.array([one.score for one in found]),
        np.array(classes, np.int64))
