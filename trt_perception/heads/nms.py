# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression."""

from __future__ import annotations

import numpy as np

from ..dependencies import require


def non_maximum_suppression(
    boxes: np.ndarray, scores: np.ndarray, class_indices: np.ndarray, iou_threshold: float,
    class_agnostic: bool = False, max_detections: int = 300,
) -> np.ndarray:
    """Return the indices of the boxes to keep, highest score first.

    boxes: (N, 4) x_min, y_min, x_max, y_max; scores: (N,); class_indices: (N,)
    A box goes if a kept one with a higher score, of the same class unless `class_agnostic`, overlaps it by more
    than `iou_threshold`. Boxes with a score of 0 are left out; of equal scores the first box counts as the higher.
    """
    if len(boxes) == 0:
        return np.zeros(0, np.int64)
    cv2 = require('cv2')
    # cv2.dnn.NMSBoxes knows no classes, and NMSBoxesBatched is missing before OpenCV 4.7 (Humble and Jazzy's apt):
    # moving each class to a place of its own makes boxes of different classes never overlap. Doubles keep the
    # coordinates exact after the shift.
    rectangles = np.array(boxes, np.float64)
    extent = float(np.abs(rectangles).max()) + 1.0
    rectangles[:, 2:] = np.maximum(rectangles[:, 2:] - rectangles[:, :2], 0.0)
    if not class_agnostic:
        rectangles[:, :2] += np.asarray(class_indices, np.float64)[:, np.newaxis] * (2.0 * extent)
    kept = cv2.dnn.NMSBoxes(
        rectangles.tolist(), np.asarray(scores, np.float32).tolist(), 0.0, float(iou_threshold))
    # OpenCV 4.5.4 returns (N, 1) and an empty tuple; later versions (N,).
    indices = np.asarray(kept, np.int64).reshape(-1)
    return indices[:max_detections]
