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
from .detection_settings import DetectionSettings as DetectionSettings
from .few import FEW, FewCandidates, selected_of_few, single


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
        if self.kind == 'end_to_end':
            return self.select(*self._end_to_end(rows, settings), geometry, settings)
        columns = rows.T if self.transposed or self.kind == 'yolov5' else rows
        # score = objectness * class <= objectness, so one comparison removes most candidates.
        best = columns[4] if self.kind == 'yolov5' else columns[4:].max(axis=0)
        # NaN stays and is reported.
        kept = (~(best < settings.score_threshold)).nonzero()[0]
        if not len(kept):
            return Detections.empty()
        if len(kept) <= FEW and columns.dtype == np.float32:
            few = selected_of_few(self._few(columns, kept.tolist(), settings), geometry, settings, self.suppresses)
            if few is not None:
                return few[0]
        if self.kind == 'yolov5':
            return self.select(*self._yolov5(rows[kept], settings), geometry, settings)
        picked = columns[:, kept].astype(np.float32, copy=False)
        return self.select(
            _corners(picked[:4].T), best[kept].astype(np.float32, copy=False), picked[4:].argmax(axis=0), geometry,
            settings)

    @property
    def columns(self) -> int:
        """Number of columns of a candidate."""
        return 6 if self.kind == 'end_to_end' else self.num_classes + (5 if self.kind == 'yolov5' else 4)

    def rows_of(self, output: np.ndarray) -> np.ndarray:
        """Return the (N, columns) float32 candidates of a raw output, not decoded."""
        rows = output[0]
        rows = rows.T if self.kind == 'yolov8' and not self.transposed else rows
        return np.asarray(rows, np.float32)

    def _few(self, columns: np.ndarray, kept: list[int], settings: DetectionSettings) -> FewCandidates:
        """Return the candidates of these columns as Python numbers, with the arithmetic of float32."""
        first = 5 if self.kind == 'yolov5' else 4
        threshold = single((settings.score_threshold,))[0]
        found = FewCandidates([], [], [])
        for index in kept:
            column = columns[:, index]
            one = int(column[first:].argmax())
            x, y, width, height, objectness = column[:5].tolist()
            score = float(column[first + one])
            if self.kind == 'yolov5':
                score = single((objectness * score,))[0]
                if score < threshold:
                    continue
            width, height = width / 2, height / 2
            found.boxes.append(single((x - width, y - height, x + width, y + height)))
            found.scores.append(score)
            found.classes.append(one)
        return found

    def _yolov5(
        self, rows: np.ndarray, settings: DetectionSettings,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = rows.astype(np.float32, copy=False)
        scores = rows[:, 4] * rows[:, 5:].max(axis=1)
        kept = ~(scores < settings.score_threshold)
        return _corners(rows[kept, :4]), scores[kept], rows[kept, 5:].argmax(axis=1)

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
