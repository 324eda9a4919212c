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
    if len(boxes) == 0:
        return np.zeros(0, np.int64)
    rectangles = np.array(boxes, np.float64)
    rectangles[:, 2:] = np.maximum(rectangles[:, 2:] - rectangles[:, :2], 0.0)
    scores = np.asarray(scores, np.float32)
    # cv2.dnn.NMSBoxes ignores classes. NMSBoxesBatched needs OpenCV 4.7, newer than apt's for Humble and Jazzy, and
    # it adds an offset per class to the boxes, so very large coordinates lose precision.
    classes = np.zeros(len(boxes), np.int64) if class_agnostic else np.asarray(class_indices)
    by_class = np.argsort(classes, kind='stable')
    edges = np.flatnonzero(np.diff(classes[by_class])) + 1
    kept = np.concatenate([
        _of_one_class(rectangles, scores, members, iou_threshold) for members in np.split(by_class, edges)])
    kept.sort()
    best: np.ndarray = kept[np.argsort(-scores[kept], kind='stable')][:max_detections]
    return best


def _of_one_class(
    rectangles: np.ndarray, scores: np.ndarray, members: np.ndarray, iou_threshold: float,
) -> np.ndarray:
    """Return the kept indices of `members`. rectangles: (N, 4) x, y, width, height."""
    kept: np.ndarray
    if len(members) == 1:
        kept = members[scores[members] > 0]
        return kept
    chosen = require('cv2').dnn.NMSBoxes(
        rectangles[members].tolist(), scores[members].tolist(), 0.0, float(iou_threshold))
    # OpenCV 4.5.4 returns (N, 1) and an empty tuple; later versions (N,).
    kept = members[np.asarray(chosen, np.int64).reshape(-1)]
    return kept
