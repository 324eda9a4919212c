# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Adds up the differences of all images: in total and for each class."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from .figures import BoxFigures, TopFigures
from .first_classes import TopDifference
from .frames import FrameDifference, Pair

Difference = FrameDifference | TopDifference
Figures = BoxFigures | TopFigures


@dataclass
class BoxTally:
    """The boxes of all images.

    changes: (class in A, class in B) of boxes at the same place -> their number
    """

    moved_iou: float
    total: BoxFigures = field(default_factory=BoxFigures)
    classes: dict[str, BoxFigures] = field(default_factory=lambda: defaultdict(BoxFigures))
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, difference: FrameDifference, bag: BoxFigures) -> None:
        """Add an image, also to the figures of its bag."""
        for pair in difference.matched:
            for figures in (self.total, bag, self.classes[pair.a.name]):
                figures.add_match(pair.iou, pair.difference, self.moved_iou)
        for found in difference.lost:
            for figures in (self.total, bag, self.classes[found.name]):
                figures.lost += 1
        for found in difference.gained:
            for figures in (self.total, bag, self.classes[found.name]):
                figures.gained += 1
        for pair in difference.changed:
            self._change(pair, bag)

    def _change(self, pair: Pair, bag: BoxFigures) -> None:
        self.changes[pair.a.name, pair.b.name] += 1
        for figures in (self.total, bag, self.classes[pair.a.name]):
            figures.changed_from += 1
        for figures in (self.total, bag, self.classes[pair.b.name]):
            figures.changed_to += 1


@dataclass
class TopTally:
    """The first classes of all images.

    classes: by the first class in A; changes: (class in A, class in B) -> images
    """

    total: TopFigures = field(default_factory=TopFigures)
    classes: dict[str, TopFigures] = field(default_factory=lambda: defaultdict(TopFigures))
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, difference: TopDifference, bag: TopFigures) -> None:
        """Add an image, also to the figures of its bag."""
        for figures in (self.total, bag, self.classes[difference.a.name]):
            figures.frames += 1
            figures.same += int(difference.same)
            figures.likely += int(difference.likely)
            figures.differences.add(difference.difference)
        if not difference.same:
            self.changes[difference.a.name, difference.b.name] += 1


Tally = BoxTally | TopTally
