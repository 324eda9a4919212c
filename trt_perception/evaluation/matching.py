# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which detections are right: matches boxes of one class in one image as COCO's evaluation does."""

from __future__ import annotations

import numpy as np


def overlaps(boxes: np.ndarray, truth: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Return the IoU of each pair, (N, M) float64. For a crowd: the part of the detection that lies in it.

    boxes: (N, 4), truth: (M, 4), both x_min, y_min, x_max, y_max in pixels; crowd: (M,) bool
    """
    low = np.maximum(boxes[:, None, :2], truth[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], truth[None, :, 2:])
    common = np.prod(np.maximum(high - low, 0.0), axis=-1)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1)[:, None]
    truth_area = np.prod(truth[:, 2:] - truth[:, :2], axis=-1)[None]
    union = np.where(crowd[None], area, area + truth_area - common)
    shares: np.ndarray = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return shares


def match(boxes: np.ndarray, truth: np.ndarray, crowd: np.ndarray, min_iou: float) -> np.ndarray:
    """Return for each detection 1 (right), 0 (wrong) or -1 (in a crowd, does not count), (N,) int64.

    Each box of the truth is found once: by the detection with the highest score that overlaps it. A detection takes the
    free box with the largest IoU.

    boxes: (N, 4) of one class in one image, highest score first; truth, crowd: as for overlaps
    """
    result = np.zeros(len(boxes), np.int64)
    if not len(truth):
        return result
    free = np.ones(len(truth), bool)
    for index, row in enumerate(overlaps(boxes, truth, crowd)):
        single = np.where(free & ~crowd, row, -1.0)
        best = int(np.argmax(single))
        if single[best] >= min_iou:
            free[best] = False
            result[index] = 1
        elif np.any(row[crowd] >= min_iou):
            result[index] = -1
    return result
