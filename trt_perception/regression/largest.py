# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the images with the largest differences, of different moments."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from ..results.json_reader import LineResult
from .tally import Difference

# Smaller ones are rounding.
_LEAST = 0.01
# Neighbouring images of a video show the same: of each second of a topic, one image is kept.
_SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class LargeDifference:
    """An image with a large difference. bag: the number of its bag in the comparison; image: its line in A"""

    bag: int
    image: LineResult
    difference: Difference


class Largest:
    """The images with the largest weights. Memory: `most` images, and one for each topic."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[float, int, LargeDifference]] = []
        self._open: dict[tuple[int, str], tuple[int, LargeDifference]] = {}
        self._count = 0

    def add(self, item: LargeDifference) -> None:
        """Offer an image; those of a topic in the order of their stamps."""
        image = item.image
        if item.difference.weight < _LEAST or not self._most:
            return
        if image.stamp_ns is None:
            self._keep(item)
            return
        topic, second = (item.bag, image.topic or image.source), image.stamp_ns // _SECOND_NS
        before = self._open.get(topic)
        if before is not None and before[0] == second:
            if before[1].difference.weight >= item.difference.weight:
                return
        elif before is not None:
            self._keep(before[1])
        self._open[topic] = second, item

    def end_of_bag(self) -> None:
        """Tell that no more images of the topics come."""
        for _, item in self._open.values():
            self._keep(item)
        self._open.clear()

    def sorted(self) -> list[LargeDifference]:
        """Return the images, the largest difference first."""
        return [item for _, _, item in sorted(self._heap, reverse=True)]

    def _keep(self, item: LargeDifference) -> None:
        # Of equal weights, the first image stays.
        self._count -= 1
        entry = item.difference.weight, self._count, item
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)
