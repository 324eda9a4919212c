# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detection heads of the YOLO family.

Layouts, with N candidate boxes and C classes (boxes in network pixels):

- yolov5:     [1, N, 5 + C]  cx, cy, w, h, objectness, class scores (YOLOv5, v6, v7, decoded YOLOX)
- yolov8:     [1, 4 + C, N]  cx, cy, w, h, class scores (YOLOv8, v9, 11, 12); or transposed, [1, N, 4 + C]
- end_to_end: [1, N, 6]      x_min, y_min, x_max, y_max, score, class index, after NMS (YOLOv10, `nms=True`)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import EngineError
from ...results.results import Detections
from ..geometry import Geometry
from ..thresholds import Thresholds
from .nms import non_maximum_suppression

# NMS gets only this many of the best candidates: a threshold near zero must not stop a robot.
MAX_CANDIDATES = 5000


@dataclass(frozen=True)
class DetectionSettings:
    """Thresholds of the detection head; all may change between two frames.

    score_threshold: detections with a lower score are removed, 0..1
    iou_threshold: IoU above which the lower-scoring box of a pair is suppressed, 0..1
    keep_classes: class indices to keep, None for all
    """

    score_threshold: float = Thresholds.score
    iou_threshold: float = Thresholds.iou
    class_agnostic_nms: bool = False
    max_detections: int = 300
    keep_classes: frozenset[int] | None = None


@dataclass(frozen=True)
class YoloHead:
    """Decodes one YOLO output tensor. `kind` is yolov5, yolov8 or end_to_end."""

    kind: str
    output_name: str
    num_classes: int
    transposed: bool = False

    task = 'detection'

    def decode(
        self, output: np.ndarray, geometry: Geometry, settings: DetectionSettings,
    ) -> Detections:
        """Turn the raw output of one image into detections in image pixels.

        Raises EngineError if scores, or boxes above the threshold, are not finite.
        """
        rows = output[0]
        if self.kind == 'yolov5':
            boxes, scores, classes = self._yolov5(rows, settings)
        elif self.kind == 'yolov8':
            boxes, scores, classes = self._yolov8(rows, settings)
        else:
            boxes, scores, classes = self._end_to_end(rows, settings)
        return self.select(boxes, scores, classes, geometry, settings)

    def select(
        self, boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, geometry: Geometry,
        settings: DetectionSettings,
    ) -> Detections:
        """Turn the candidates above the score threshold into detections in image pixels.

        boxes: (N, 4) x_min, y_min, x_max, y_max in network pixels; scores: (N,); classes: (N,) class indices
        Raises EngineError if scores or boxes are not finite.
        """
        # NaN is never greater than anything, so in NMS a NaN box would silently suppress all others.
        if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
            raise self.not_finite()
        if settings.keep_classes is not None:
            wanted = np.isin(classes, list(settings.keep_classes))
            boxes, scores, classes = boxes[wanted], scores[wanted], classes[wanted]
        if len(scores) > MAX_CANDIDATES:
            best = np.argpartition(-scores, MAX_CANDIDATES)[:MAX_CANDIDATES]
            boxes, scores, classes = boxes[best], scores[best], classes[best]
        if self.kind == 'end_to_end':
            kept = np.argsort(-scores, kind='stable')
        else:
            kept = non_maximum_suppression(
                boxes, scores, classes, settings.iou_threshold, settings.class_agnostic_nms, len(scores))
        in_image = geometry.clip(geometry.to_image(boxes[kept]))
        # A box that lies only in the padding has no area in the image.
        visible = (in_image[:, 2] > in_image[:, 0]) & (in_image[:, 3] > in_image[:, 1])
        first = slice(0, settings.max_detections)
        kept = kept[visible][first]
        return Detections(
            in_image[visible][first].astype(np.float32), scores[kept].astype(np.float32),
            classes[kept].astype(np.int64))

    @property
    def columns(self) -> int:
        """Number of columns of a candidate."""
        return 6 if self.kind == 'end_to_end' else self.num_classes + (5 if self.kind == 'yolov5' else 4)

    def rows_of(self, output: np.ndarray) -> np.ndarray:
        """Return the (N, columns) float32 candidates of a raw output, not decoded."""
        rows = output[0]
        rows = rows.T if self.kind == 'yolov8' and not self.transposed else rows
        return np.asarray(rows, np.float32)

    def not_finite(self) -> EngineError:
        """Return the error for an output that holds NaN or infinity."""
        return EngineError(
            f"output '{self.output_name}' holds values that are not finite: the network overflows in this precision, "
            'or its weights are damaged')

    def _yolov5(
        self, rows: np.ndarray, settings: DetectionSettings,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # score = objectness * class <= objectness, so one comparison removes most rows. NaN stays and is reported.
        rows = rows[~(rows[:, 4] < settings.score_threshold)].astype(np.float32)
        class_scores = rows[:, 5:]
        classes = class_scores.argmax(axis=1) if len(rows) else np.zeros(0, np.int64)
        scores = rows[:, 4] * class_scores[np.arange(len(rows)), classes]
        kept = ~(scores < settings.score_threshold)
        return _corners(rows[kept, :4]), scores[kept], classes[kept]

    def _yolov8(
        self, rows: np.ndarray, settings: DetectionSettings,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        columns = rows.T if self.transposed else rows
        best = columns[4:].max(axis=0)
        kept = np.flatnonzero(~(best < settings.score_threshold))
        picked = columns[:, kept].astype(np.float32)
        classes = picked[4:].argmax(axis=0) if len(kept) else np.zeros(0, np.int64)
        return _corners(picked[:4].T), best[kept].astype(np.float32), classes

    def _end_to_end(
        self, rows: np.ndarray, settings: DetectionSettings,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = rows[~(rows[:, 4] < settings.score_threshold)].astype(np.float32)
        if not np.isfinite(rows).all():
            raise self.not_finite()
        # Some exporters fill unused rows with zeros or with class -1.
        rows = rows[(rows[:, 4] > 0) & (rows[:, 5] >= 0)]
        return rows[:, :4], rows[:, 4], np.rint(rows[:, 5]).astype(np.int64)


def _corners(boxes: np.ndarray) -> np.ndarray:
    """(N, 4) cx, cy, w, h -> x_min, y_min, x_max, y_max."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
