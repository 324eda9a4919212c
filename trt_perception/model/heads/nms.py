# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np

from ...dependencies import require


def non_maximum_suppression(
    boxes: np.ndarray, scores: np.ndarray, class_indices: np.ndarray, iou_threshold: float,
    class_agnostic: bool = False, max_detections: int = 300,
) -> np.ndarray:
    """Return the indices of the boxes to keep, highest score first.

    boxes: (N, 4) x_min, y_min, x_max, y_max; scores: (N,); class_indices: (N,)
    A box is suppressed if its IoU with a kept box of a higher score is above `iou_threshold`. Only boxes of the same
    class suppress each other, unless `class_agnostic`. Boxes with score 0 are removed. If scores are equal, the first
    box counts as the higher one.
    """
    if len(boxes) < 2:
        alone: np.ndarray = np.flatnonzero(np.asarray(scores) > 0)[:max_detections]
        return alone
    rectangles = np.array(boxes, np.float64)
    rectangles[:, 2:] = np.maximum(rectangles[:, 2:] - rectangles[:, :2], 0.0)
    scores = np.asarray(scores, np.float32)
    # Lists are faster here: NumPy's calls take longer than the work on some ten boxes, and NMSBoxes takes lists.
    lists, values = rectangles.tolist(), scores.tolist()
    members: dict[int, list[int]] = {}
    # cv2.dnn.NMSBoxes ignores classes. NMSBoxesBatched needs OpenCV 4.7, newer than apt's for Humble and Jazzy, and
    # it adds an offset per class to the boxes, so very large coordinates lose precision.
    for index, one in enumerate([0] * len(boxes) if class_agnostic else np.asarray(class_indices).tolist()):
        members.setdefault(one, []).append(index)
    kept = [index for of_one in members.values() for index in _of_one_class(lists, values, of_one, iou_threshold)]
    kept.sort()
    # Python's sort keeps the order of equal scores.
    kept.sort(key=values.__getitem__, reverse=True)
    return np.array(kept[:max_detections], np.int64)


def _of_one_class(
    rectangles: list[list[float]], scores: list[float], members: list[int], iou_threshold: float,
) -> list[int]:
    """Return the kept indices of `members`. rectangles: x, y, width, height of each box."""
    if len(members) == 1:
        return [index for index in members if scores[index] > 0]
    chosen = require('cv2').dnn.NMSBoxes(
        [rectangles[index] for index in members], [scores[index] for index in members], 0.0, float(iou_threshold))
    # OpenCV 4.5.4 returns (N, 1) and an empty tuple; later versions (N,).
    return [members[place] for place in np.asarray(chosen, np.int64).reshape(-1).tolist()]
