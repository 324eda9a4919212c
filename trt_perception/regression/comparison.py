# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The result of a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .inputs import Annotation
from .largest import LargeDifference
from .options import CompareOptions
from .tally import Figures, Tally


@dataclass
class BagComparison:
    """One bag, or one file of JSON lines.

    images: compared; only_a, only_b: those that one has; other: those of one number whose stamps or sizes differ
    """

    a: Annotation
    b: Annotation
    figures: Figures
    images: int = 0
    only_a: int = 0
    only_b: int = 0
    other: int = 0

    @property
    def name(self) -> str:
        """The name of the bag."""
        return self.a.name if self.a.name == self.b.name else f'{self.a.name} / {self.b.name}'


@dataclass
class Comparison:
    """The result.

    a, b: the paths of the user; bags: those of both; only_a, only_b: names of bags that one has
    left_out: classes that were not compared; largest: images, the largest difference first
    notes: what was not compared, one line each
    """

    a: Path
    b: Path
    options: CompareOptions
    tally: Tally
    bags: list[BagComparison] = field(default_factory=list)
    only_a: list[str] = field(default_factory=list)
    only_b: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    largest: list[LargeDifference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def images(self) -> int:
        """The number of compared images."""
        return sum(bag.images for bag in self.bags)

    @property
    def missing(self) -> int:
        """The number of images and bags that were not compared."""
        images = sum(bag.only_a + bag.only_b + bag.other for bag in self.bags)
        return images + len(self.only_a) + len(self.only_b)
