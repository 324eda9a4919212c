# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which images of a bag are worth labelling."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ..dependencies import require
from ..image.frame import Frame
from ..results.results import Detections, Result
from .item import Annotated
from .missed import OtherModel

# Near-duplicates follow each other. More would make each image slower.
_MOST_HASHES = 1000
_SIZE = 8


@dataclass(frozen=True)
class Selection:
    """The rules; an image is taken if it fulfils all of them.

    every: 1 takes every image of a topic, 30 the first and then each thirtieth
    seconds: smallest time between two images of a topic that are taken, by their stamps
    below_score: an object has a lower score: what the model is not sure of; 1 or more takes all images
    classes: an object is of one of these indices; None takes all images. Of a classification, the first class counts
    distance: bits of the 64 of the image hash in which an image must differ from those taken before, of its topic; 0
        takes all images. See difference_hash
    most: largest number of images of a bag, the first ones; 0 is no limit
    """

    every: int = 30
    seconds: float = 0.0
    below_score: float = 1.0
    classes: tuple[int, ...] | None = None
    distance: int = 0
    most: int = 0


@dataclass(frozen=True)
class Taken:
    """An image that is taken. missed: (N,) bool, the objects that the other model misses; None without one."""

    missed: np.ndarray | None = None


class Selector:
    """Applies the rules to the images of a bag, in order."""

    def __init__(self, selection: Selection, other: OtherModel | None = None) -> None:
        """Start. other: an image is taken only if this model misses one of its objects; asked after all rules."""
        self._rules = selection
        self._other = other
        self._count = 0
        self._last_ns: dict[str, int] = {}
        self._hashes: dict[str, deque[int]] = {}

    def take(self, item: Annotated) -> Taken | None:
        """Return whether an image is taken: None if not. Later images are compared with it then."""
        rules, image = self._rules, item.image
        if (rules.most and self._count >= rules.most) or image.index % rules.every:
            return None
        since_ns = image.stamp_ns - self._last_ns.get(image.topic, image.stamp_ns + 1)
        # A negative time: the first image, or a clock that was set back.
        if 0 <= since_ns < rules.seconds * 1e9 or not self._has_objects(item.result):
            return None
        value = difference_hash(image.frame) if rules.distance else 0
        known = self._hashes.setdefault(image.topic, deque(maxlen=_MOST_HASHES))
        if rules.distance and any(bin(value ^ other).count('1') < rules.distance for other in known):
            return None
        missed = None if self._other is None else self._other.missed(image.frame, item.result)
        if missed is not None and not missed.any():
            return None
        if rules.distance:
            known.append(value)
        self._count += 1
        self._last_ns[image.topic] = image.stamp_ns
        return Taken(missed)

    def _has_objects(self, result: Result) -> bool:
        """Return whether a result has the objects that the rules ask for."""
        rules = self._rules
        scores, classes = result.scores, result.class_indices
        if not isinstance(result, Detections):
            scores, classes = scores[:1], classes[:1]
        if rules.below_score < 1.0 and not (scores < rules.below_score).any():
            return False
        return rules.classes is None or bool(np.isin(classes, rules.classes).any())


def difference_hash(frame: Frame) -> int:
    """Return the 64 bits of the difference hash of an image: it hardly changes with noise, brightness and size.

    Each bit says whether a cell of a grid of 9x8 grey means is darker than its right neighbour, row by row (N. Krawetz,
    "Kind of Like That", hackerfactor.com, 2013).
    """
    cv2 = require('cv2')
    grey = cv2.cvtColor(frame.bgr(), cv2.COLOR_BGR2GRAY)
    cells = cv2.resize(grey, (_SIZE + 1, _SIZE), interpolation=cv2.INTER_AREA)
    bits = cells[:, :-1] < cells[:, 1:]
    return int.from_bytes(np.packbits(bits).tobytes(), 'big')
