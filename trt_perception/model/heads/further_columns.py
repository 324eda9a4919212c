# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Segmentation, pose and oriented-box models of YOLOv5, YOLOv8, YOLO11 and YOLO26: their boxes, and masks.

Their candidates have further columns after those of a detector:

- segment: coefficients of masks (the prototypes are an output [1, M, h, w] or [1, h, w, M]; masks.py)
- pose:    key points
- obb:     the angle in radians, which turns the box around its centre

Layouts are those of yolo.py: [1, 4 + C + E, N], [1, N, 5 + C + E], and [1, N, 6 + E] after NMS. Of an oriented box the
upright box that encloses it is given, and NMS compares these upright boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from ...results.results import Detections
from ..geometry import Geometry
from .boxes import CENTRES, CORNERS, PIXELS, boxes_problem, to_corners
from .detection import Candidates, DetectionSettings, OneOutputHead
from .family_values import class_problem, score_problem
from .masks import instance_masks
from .plausible_boxes import centre_problem

DENSE, WITH_OBJECTNESS, AFTER_NMS = 'yolov8', 'yolov5', 'end_to_end'


@dataclass(frozen=True)
class FurtherColumnsHead(OneOutputHead):
    """Reads the boxes, scores and classes of candidates with further columns.

    layout: yolov8, yolov5 or end_to_end
    unit: of the boxes, pixels or fractions of the network's input (fractions.py)
    """

    layout: str
    unit: str = field(default=PIXELS, kw_only=True)

    turned: ClassVar[bool] = False

    @property
    def suppresses(self) -> bool:
        """Whether NMS follows."""
        return self.layout != AFTER_NMS

    def candidates(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float) -> Candidates:
        """Return the candidates above the threshold."""
        return self.with_further_columns(outputs, size, threshold)[0]

    def with_further_columns(
        self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float,
    ) -> tuple[Candidates, np.ndarray]:
        """Return the candidates above the threshold, and their further columns, (N, E) float32."""
        columns = self._columns(outputs)
        if self.layout == DENSE:
            best = columns[4:4 + self.num_classes].max(axis=0)
            picked = columns[:, ~(best < threshold)].astype(np.float32)
            scores, classes = _best(picked[4:4 + self.num_classes])
        elif self.layout == WITH_OBJECTNESS:
            picked = columns[:, ~(columns[4] < threshold)].astype(np.float32)
            scores, classes = _best(picked[5:5 + self.num_classes])
            scores = scores * picked[4]
            kept = ~(scores < threshold)
            picked, scores, classes = picked[:, kept], scores[kept], classes[kept]
        else:
            picked = columns[:, ~(columns[4] < threshold)].astype(np.float32)
            if not np.isfinite(picked).all():
                raise self.not_finite()
            picked = picked[:, (picked[4] > 0) & (picked[5] >= 0)]
            scores, classes = picked[4], np.rint(picked[5]).astype(np.int64)
        further = picked[self._first_further:].T
        return Candidates(self._corners(picked, size), scores, classes), further

    @property
    def _first_further(self) -> int:
        return 6 if self.layout == AFTER_NMS else self.num_classes + (4 if self.layout == DENSE else 5)

    def problem(
        self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int], num_names: int,
    ) -> str:
        """Return why the columns are not boxes, scores and classes; '' if they can be."""
        tables = [np.asarray(self._columns(image), np.float32) for image in images]
        if self.layout == AFTER_NMS:
            rows = np.concatenate(tables, axis=1)
            rows = rows[:, (rows[4] > 0) & (rows[5] >= 0)]
            coding = CENTRES if self.turned else CORNERS
            return (
                score_problem(self.output_name, rows[4]) or class_problem(self.output_name, rows[5], num_names)
                or boxes_problem([self._in_pixels(rows, size)], coding, PIXELS, size))
        first, last = (4, 4 + self.num_classes) if self.layout == DENSE else (4, 5 + self.num_classes)
        return (
            score_problem(self.output_name, np.concatenate([table[first:last] for table in tables], axis=1))
            or centre_problem([self._in_pixels(table, size) for table in tables], size))

    def _columns(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return (columns, N)."""
        rows: np.ndarray = outputs[self.output_name][0]
        return rows if self.layout == DENSE else rows.T

    def _corners(self, picked: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """(columns, N) -> (N, 4) x_min, y_min, x_max, y_max in network pixels."""
        boxes = self._in_pixels(picked, size)
        coding = CORNERS if self.layout == AFTER_NMS else CENTRES
        if self.turned:
            coding, angle = CENTRES, picked[-1]
            cosine, sine = np.abs(np.cos(angle)), np.abs(np.sin(angle))
            x, y, width, height = boxes.T
            boxes = np.stack([x, y, width * cosine + height * sine, width * sine + height * cosine], axis=1)
        return to_corners(boxes, coding, PIXELS, size)

    def _in_pixels(self, columns: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Return the boxes, (N, 4), as the columns have them, but in network pixels."""
        boxes: np.ndarray = columns[:4].T
        return boxes if self.unit == PIXELS else boxes * np.array([*size, *size], np.float32)


@dataclass(frozen=True)
class SegmentHead(FurtherColumnsHead):
    """The boxes of a segmentation model, and the masks of its objects if they are wanted.

    prototypes_name: output for the masks, '' if the file has none. It is not one of `output_names`, because without
        masks it need not be copied from a GPU
    channels_last: whether the prototypes are [1, h, w, M], not [1, M, h, w]
    """

    prototypes_name: str = ''
    channels_last: bool = False

    kind: ClassVar[str] = 'segment'
    family: ClassVar[str] = 'a segmentation model of YOLOv5 or Ultralytics'
    advice: ClassVar[str] = 'export the detection variant, such as yolo11n.pt'

    @property
    def remark(self) -> str:  # type: ignore[override]
        """What the log says of the masks."""
        if self.prototypes_name:
            return 'its masks are computed while they are wanted'
        return 'its file has no mask prototypes, so only its boxes are used'

    def pick(self, outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the outputs that the head reads, with the prototypes if they are there."""
        names = (*self.output_names, self.prototypes_name)
        return {**super().pick(outputs), **{name: outputs[name] for name in names if name in outputs}}

    def decode_with_masks(
        self, outputs: Mapping[str, np.ndarray], geometry: Geometry, settings: DetectionSettings,
    ) -> Detections:
        """Return what `decode` returns, with the masks. Raises EngineError if values are not finite.

        Raises KeyError without the prototypes.
        """
        size = geometry.network_width, geometry.network_height
        candidates, coefficients = self.with_further_columns(outputs, size, settings.score_threshold)
        found, chosen = self.selected(candidates, geometry, settings)
        prototypes = outputs[self.prototypes_name][0]
        if self.channels_last:
            prototypes = prototypes.transpose(2, 0, 1)
        masks = instance_masks(coefficients[chosen], prototypes, found.boxes, geometry)
        if masks is None:
            raise self.not_finite()
        return replace(found, masks=masks)


@dataclass(frozen=True)
class PoseHead(FurtherColumnsHead):
    """The boxes of a pose model."""

    kind: ClassVar[str] = 'pose'
    family: ClassVar[str] = 'a pose model of Ultralytics'
    advice: ClassVar[str] = 'export the detection variant, such as yolo11n.pt'
    remark: ClassVar[str] = 'its key points are not used, only its boxes'


@dataclass(frozen=True)
class ObbHead(FurtherColumnsHead):
    """The upright boxes around the oriented boxes of a model; the angle is the last column."""

    kind: ClassVar[str] = 'obb'
    family: ClassVar[str] = 'an oriented-box model of Ultralytics'
    advice: ClassVar[str] = 'export the detection variant, such as yolo11n.pt'
    remark: ClassVar[str] = 'its angles are not given: each box is the upright box around the oriented one'
    turned: ClassVar[bool] = True


def _best(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(C, N) class scores -> the best score and class of each."""
    if not scores.shape[1]:
        return np.zeros(0, np.float32), np.zeros(0, np.int64)
    classes = scores.argmax(axis=0)
    return scores[classes, np.arange(scores.shape[1])], classes
