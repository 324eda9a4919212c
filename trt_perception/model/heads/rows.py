# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One row of 7 numbers for each object, after NMS.

- yolov7_rows: [N, 7] image, x_min, y_min, x_max, y_max, class, score; pixels; N depends on the image (YOLOv7 and
  others, exported with NMS for ONNX Runtime)
- ssd_rows:    [1, 1, N, 7] image, class, score, x_min, y_min, x_max, y_max in 0..1 (DetectionOutput of Caffe and
  OpenVINO); class 0 is the background, the image -1 ends the list

Sources: YOLOv7's export script and OpenVINO's documentation of DetectionOutput.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..coco_ids import after_background
from ..normalisation import YOLO, Preprocessing
from .boxes import CORNERS, FRACTIONS, PIXELS, boxes_problem, to_corners
from .detection import Candidates, FamilyHead, OneOutputHead
from .evidence import HeadEvidence
from .family_values import NO_NMS, class_problem, score_problem

_STRETCHED = replace(YOLO, resize_mode='stretch')


@dataclass(frozen=True)
class _RowsHead(OneOutputHead):
    """Rows of 7 numbers; subclasses say which column is what."""

    once_each: ClassVar[bool] = True
    score_column: ClassVar[int]
    class_column: ClassVar[int]
    box_column: ClassVar[int]
    unit: ClassVar[str]

    def candidates(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float) -> Candidates:
        """Return the rows above the threshold."""
        rows = outputs[self.output_name].reshape(-1, 7)
        rows = rows[~(rows[:, self.score_column] < threshold)].astype(np.float32)
        if not np.isfinite(rows).all():
            raise self.not_finite()
        rows = self._used(rows)
        return Candidates(
            to_corners(rows[:, self.box_column:self.box_column + 4], CORNERS, self.unit, size),
            rows[:, self.score_column], np.rint(rows[:, self.class_column]).astype(np.int64))

    def problem(
        self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int], num_names: int,
    ) -> str:
        """Return why the rows are not image, box, class and score; '' if they can be. There may be none."""
        rows = self._used(np.concatenate([image[self.output_name].reshape(-1, 7) for image in images]))
        if len(rows) and (rows[:, 0] != 0).any():
            return f'has {rows[:, 0].max():.6g} in its first column: expected 0, the index of the only image'
        return (
            score_problem(self.output_name, rows[:, self.score_column])
            or class_problem(self.output_name, rows[:, self.class_column], num_names)
            or boxes_problem([rows[:, self.box_column:self.box_column + 4]], CORNERS, self.unit, size))

    def _used(self, rows: np.ndarray) -> np.ndarray:
        filling = (rows[:, 0] < 0) | (rows[:, self.score_column] <= 0) | (rows[:, self.class_column] < 0)
        used: np.ndarray = rows[~filling]
        return used


@dataclass(frozen=True)
class Yolov7RowsHead(_RowsHead):
    """[N, 7] of YOLOv7: image, box in pixels, class, score."""

    kind: ClassVar[str] = 'yolov7_rows'
    family: ClassVar[str] = 'a detector with NMS for ONNX Runtime, one row of 7 columns for each box'
    advice: ClassVar[str] = NO_NMS
    score_column: ClassVar[int] = 6
    class_column: ClassVar[int] = 5
    box_column: ClassVar[int] = 1
    unit: ClassVar[str] = PIXELS


@dataclass(frozen=True)
class SsdRowsHead(_RowsHead):
    """[1, 1, N, 7] of Caffe and OpenVINO: image, class, score, box in 0..1."""

    kind: ClassVar[str] = 'ssd_rows'
    family: ClassVar[str] = 'SSD of OpenVINO or Caffe (DetectionOutput, 7 columns)'
    usual_preprocessing: ClassVar[Preprocessing] = _STRETCHED
    score_column: ClassVar[int] = 2
    class_column: ClassVar[int] = 1
    box_column: ClassVar[int] = 3
    unit: ClassVar[str] = FRACTIONS

    def names_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names after that of the background, class 0."""
        return after_background(names)


def rows_heads(evidence: HeadEvidence) -> list[FamilyHead]:
    """Return the head if the only output has 7 columns and rows after NMS, else []."""
    if len(evidence.outputs) != 1 or not evidence.is_float(evidence.outputs[0][0]):
        return []
    name, shape = evidence.outputs[0]
    named = evidence.num_names or 0
    if len(shape) == 4 and shape[:2] == (1, 1) and shape[3] == 7:
        return [SsdRowsHead(named, name)]
    if len(shape) == 2 and shape[1] == 7 and (name in evidence.open_outputs or shape[0] != 1):
        return [Yolov7RowsHead(named, name)]
    return []
