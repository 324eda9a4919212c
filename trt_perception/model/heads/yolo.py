# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detection heads of the YOLO family.

Layouts, with N candidate boxes and C classes (boxes in network pixels):

- yolov5:     [1, N, 5 + C]  cx, cy, w, h, objectness, class scores (YOLOv5, v6, v7, decoded YOLOX)
- yolov8:     [1, 4 + C, N]  cx, cy, w, h, class scores (YOLOv8, v9, 11, 12); or transposed, [1, N, 4 + C]
- end_to_end: [1, N, 6]      x_min, y_min, x_max, y_max, score, class index, after NMS (YOLOv10, `nms=True`)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...results.results import Detections
from ..geometry import Geometry
from .detection import MAX_CANDIDATES as MAX_CANDIDATES
from .detection import DetectionHead
from .detection import DetectionSettings as DetectionSettings


@dataclass(frozen=True)
class YoloHead(DetectionHead):
    """Decodes one YOLO output tensor. `kind` is yolov5, yolov8 or end_to_end."""

    kind: str
    output_name: str
    num_classes: int
    transposed: bool = False

    @property
    def output_names(self) -> tuple[str, ...]:
        """The output that the head reads."""
        return (self.output_name,)

    @property
    def suppresses(self) -> bool:
        """Whether NMS follows."""
        return self.kind != 'end_to_end'

    def pick(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the output that the head reads; KeyError if it is missing."""
        return outputs[self.output_name]

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

    @property
    def columns(self) -> int:
        """Number of columns of a candidate."""
        return 6 if self.kind == 'end_to_end' else self.num_classes + (5 if self.kind == 'yolov5' else 4)

    def rows_of(self, output: np.ndarray) -> np.ndarray:
        """Return the (N, columns) float32 candidates of a raw output, not decoded."""
        rows = output[0]
        rows = rows.T if self.kind == 'yolov8' and not self.transposed else rows
        return np.asarray(rows, np.float32)

    def _yolov5(
        self, rows: np.ndarray, settings: DetectionSettings,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # score = objectness * class <= objectness, so one comparison removes most rows. NaN stays and is reported.
        rows = rows[~(rows[:, 4] < settings.score_threshold)].astype(np.float32, copy=False)
        if not len(rows):
            return rows[:, :4], rows[:, 4], np.zeros(0, np.int64)
        class_scores = rows[:, 5:]
        scores = rows[:, 4] * class_scores.max(axis=1)
        kept = ~(scores < settings.score_threshold)
        return _corners(rows[kept, :4]), scores[kept], class_scores.argmax(axis=1)[kept]

    def _yolov8(
        self, rows: np.ndarray, settings: DetectionSettings,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        columns = rows.T if self.transposed else rows
        best = columns[4:].max(axis=0)
        kept = np.flatnonzero(~(best < settings.score_threshold))
        picked = columns[:, kept].astype(np.float32, copy=False)
        classes = picked[4:].argmax(axis=0) if len(kept) else np.zeros(0, np.int64)
        return _corners(picked[:4].T), best[kept].astype(np.float32, copy=False), classes

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
