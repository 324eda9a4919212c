# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Average precision as COCO defines it, computed by faster-coco-eval (Apache-2.0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dependencies import require

# Of one class in one image, as in COCO's evaluation.
MOST_DETECTIONS = 100


@dataclass(frozen=True)
class Boxes:
    """Boxes of all images, one row each.

    images, classes: (N,) int64 positions
    boxes: (N, 4) float64, x_min, y_min, x_max, y_max in pixels
    scores: (N,) float64 of detections; 1.0 for the truth
    crowd: (N,) bool, only of the truth
    """

    images: np.ndarray
    classes: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    crowd: np.ndarray

    def __len__(self) -> int:
        """Return the number of boxes."""
        return len(self.scores)


@dataclass(frozen=True)
class AveragePrecision:
    """One class, or the mean of the classes that have boxes; NaN without boxes. at_50: IoU 0.5; mean: 0.5 to 0.95."""

    at_50: float
    mean: float


def average_precision(
    truth: Boxes, detections: Boxes, images: Sequence[int], classes: int,
) -> tuple[AveragePrecision, tuple[AveragePrecision, ...]]:
    """Return the mean over the classes, and each class.

    images: the positions of all evaluated images, also of those without a box; classes: their number
    """
    library = require('faster_coco_eval')
    # Positions become ids from 1 on: COCO's evaluation takes the id 0 of an annotation for "not matched".
    described = {
        'info': {}, 'images': [{'id': index + 1, 'file_name': ''} for index in images],
        'categories': [{'id': index + 1, 'name': str(index)} for index in range(classes)],
        'annotations': [
            {**entry, 'id': number, 'area': entry['bbox'][2] * entry['bbox'][3], 'iscrowd': int(crowd)}
            for number, (entry, crowd) in enumerate(zip(_entries(truth), truth.crowd.tolist()), 1)]}
    annotated = library.COCO(described)
    scored = [{**entry, 'score': score} for entry, score in zip(_entries(detections), detections.scores.tolist())]
    evaluation = library.COCOeval_faster(annotated, annotated.loadRes(scored), 'bbox')
    evaluation.params.maxDets = [1, 10, MOST_DETECTIONS]
    evaluation.evaluate()
    evaluation.accumulate()
    # (10 IoUs, 101 recalls, classes, sizes, maxDets); -1 for a class without boxes.
    precision = evaluation.eval['precision'][:, :, :, 0, -1]
    each = tuple(
        AveragePrecision(_mean(precision[0, :, index]), _mean(precision[:, :, index])) for index in range(classes))
    return AveragePrecision(_mean(precision[0]), _mean(precision)), each


def _entries(boxes: Boxes) -> list[dict[str, Any]]:
    corners = boxes.boxes
    rows = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).tolist()
    return [
        {'image_id': image + 1, 'category_id': number + 1, 'bbox': row}
        for image, number, row in zip(boxes.images.tolist(), boxes.classes.tolist(), rows)]


def _mean(values: np.ndarray) -> float:
    known = values[values > -1]
    return float(known.mean()) if known.size else float('nan')
