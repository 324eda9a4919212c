# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The order of class names of networks that count COCO's category ids, 1 to 90 with gaps, instead of its 80 classes.

RF-DETR, torchvision's detectors and TensorFlow's SSD do. Source: the categories of instances_val2017.json.
"""

from __future__ import annotations

from collections.abc import Sequence

NUM_IDS = 91
_UNUSED = frozenset({0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
_BACKGROUND = 'background'
# What lists of class names call it. TensorFlow's labelmap.txt begins with ???.
_NO_OBJECT = ('background', 'bg', 'n/a', '???', 'unlabeled', 'unlabelled')
_FIRST, _LAST, _COUNT = 'person', 'toothbrush', 80


def are_coco(names: Sequence[str]) -> bool:
    """Return whether these are COCO's 80 class names, in any spelling."""
    return len(names) == _COUNT and (names[0], names[-1]) == (_FIRST, _LAST)


def by_id(names: Sequence[str]) -> tuple[str, ...]:
    """Return COCO's 80 names by category id, 91 entries; an unused id has itself as its name."""
    following = iter(names)
    return tuple(str(index) if index in _UNUSED else next(following) for index in range(NUM_IDS))


def after_background(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a network whose class 0 is the background and whose first class has the number 1."""
    if not names or names[0].strip('_ ').lower() in _NO_OBJECT or len(names) == NUM_IDS:
        return tuple(names)
    return by_id(names) if are_coco(names) else (_BACKGROUND, *names)
