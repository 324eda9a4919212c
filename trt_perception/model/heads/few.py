# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The selection of a few candidates in plain Python arithmetic.

After the network has run, nothing of NumPy's and OpenCV's code is in the processor's caches, and each of their calls
takes 5 to 25 microseconds instead of 1 to 2. For a few boxes this takes longer than the work. The results are equal to
those of the general way in detection.py, bit by bit.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ...results.results import Detections
from ..geometry import Geometry
from .detection_settings import DetectionSettings

# Up to here this way is faster than the general one if the caches are cold. With warm caches, up to 8.
FEW = 10
# OpenCV rounds an overlap to float32 before it compares it with the threshold.
_ROUNDING = 1e-6


class FewCandidates(NamedTuple):
    """Candidates as Python numbers: boxes (x_min, y_min, x_max, y_max) in network pixels, scores, class indices.

    The scores are values of float32.
    """

    boxes: list[list[float]]
    scores: list[float]
    classes: list[int]


def single(values: Iterable[float]) -> list[float]:
    """Return the values rounded to float32; too large ones become infinite, as in NumPy."""
    return array('f', values).tolist()


def selected_of_few(
    candidates: FewCandidates, geometry: Geometry, settings: DetectionSettings, suppresses: bool,
) -> tuple[Detections, list[int]] | None:
    """Return the detections, and the index of the candidate of each.

    suppresses: whether NMS follows
    None if only the general way can tell: a value is not finite, a box has no area, or an overlap is so near to the
    threshold that the rounding decides.
    """
    boxes, scores, classes = candidates
    # A finite float32 is far from overflowing in Python's float64.
    if not math.isfinite(sum(map(sum, boxes)) + sum(scores)):
        return None
    order = [
        index for index, one in enumerate(classes) if settings.keep_classes is None or one in settings.keep_classes]
    # Python's sort keeps the order of equal scores.
    order.sort(key=scores.__getitem__, reverse=True)
    kept = _without_overlaps(order, candidates, settings) if suppresses else order
    if kept is None:
        return None
    places, chosen = [], []
    for index in kept:
        place = geometry.box_in_image(boxes[index])
        # A box that lies only in the padding has no area in the image.
        if place[2] > place[0] and place[3] > place[1]:
            places.append(place)
            chosen.append(index)
    del places[settings.max_detections:], chosen[settings.max_detections:]
    if not chosen:
        return Detections.empty(), chosen
    return Detections(
        np.array(places, np.float32), np.array([scores[index] for index in chosen], np.float32),
        np.array([classes[index] for index in chosen], np.int64)), chosen


def _without_overlaps(
    order: list[int], candidates: FewCandidates, settings: DetectionSettings,
) -> list[int] | None:
    """Return what non-maximum suppression keeps of `order`; None if the rounding decides or a box has no area."""
    boxes, scores, classes = candidates
    kept: list[int] = []
    for index in order:
        left, top, right, bottom = boxes[index]
        if right <= left or bottom <= top:
            return None
        if not scores[index] > 0:
            continue
        area = (right - left) * (bottom - top)
        for other in kept:
            if classes[other] != classes[index] and not settings.class_agnostic_nms:
                continue
            x_min, y_min, x_max, y_max = boxes[other]
            width, height = min(right, x_max) - max(left, x_min), min(bottom, y_max) - max(top, y_min)
            if width <= 0 or height <= 0:
                continue
            both = width * height
            above = both / (area + (x_max - x_min) * (y_max - y_min) - both) - settings.iou_threshold
            if abs(above) < _ROUNDING:
                return None
            if above > 0:
                break
        else:
            kept.append(index)
    return kept
