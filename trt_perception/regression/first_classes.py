# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares the classes that two models give to one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..precision.parity import SCORE_MARGIN
from ..results.json_reader import Found

# Of an image without a class.
_NONE = Found('', 0.0)


@dataclass(frozen=True)
class TopDifference:
    """The first classes of one image.

    a, b: the first class of each; the name is '' if there is none
    difference: of the score of A's first class, B minus A; it counts as 0 in B if it is not listed there
    likely: the classes differ, but B's is in A within SCORE_MARGIN of A's first
    """

    a: Found
    b: Found
    difference: float
    likely: bool

    @property
    def same(self) -> bool:
        """Whether both have the same first class."""
        return self.a.name == self.b.name

    @property
    def weight(self) -> float:
        """How large the difference is: that of the scores, or the sum of both scores if the classes differ."""
        return abs(self.difference) if self.same else self.a.score + self.b.score


def compare_classes(a: Sequence[Found], b: Sequence[Found]) -> TopDifference:
    """Compare the classes of one image, each sorted by score, highest first."""
    first, second = next(iter(a), _NONE), next(iter(b), _NONE)
    in_b = next((found.score for found in b if found.name == first.name), 0.0)
    in_a = next((found.score for found in a if found.name == second.name), 0.0)
    likely = first.name != second.name and bool(a) and in_a >= first.score - SCORE_MARGIN
    return TopDifference(first, second, in_b - first.score, likely)
