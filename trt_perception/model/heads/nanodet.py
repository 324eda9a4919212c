# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""NanoDet and NanoDet-Plus: [1, N, C + 4 * (R + 1)], class scores and distributions of the four distances of each cell.

A distance is the mean of its distribution (softmax over R + 1 bins) times the stride: left, top, right, bottom of the
cell's point. NanoDet-Plus has the strides 8 to 64 and the point in the corner of the cell; NanoDet has the strides 8 to
32 and the point in the middle. Source: the paper on Generalized Focal Loss (arXiv 2006.04388) and the projects' export.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..normalisation import Preprocessing
from .boxes import CORNERS, PIXELS, boxes_problem
from .detection import Candidates, FamilyHead, OneOutputHead
from .evidence import HeadEvidence
from .family_values import score_problem
from .grids import cells, strides_of

_STRIDES = ((8, 16, 32, 64), (8, 16, 32))
# Bins of a distance in the published configurations.
_BINS = (8, 11)
_COCO = 80
_USUAL = Preprocessing(
    color_order='bgr', scale=1.0, mean=(103.53, 116.28, 123.675), std=(57.375, 57.12, 58.395), resize_mode='stretch')


@dataclass(frozen=True)
class NanoDetHead(OneOutputHead):
    """Decodes the cells of NanoDet."""

    kind: ClassVar[str] = 'nanodet'
    family: ClassVar[str] = 'NanoDet'
    advice: ClassVar[str] = 'export it with tools/export_onnx.py of its project'

    strides: tuple[int, ...]
    bins: int

    @property
    def usual_preprocessing(self) -> Preprocessing:  # type: ignore[override]
        """BGR with the mean and deviation of the configurations; NanoDet-Plus stretches."""
        return _USUAL if len(self.strides) == 4 else replace(_USUAL, resize_mode='letterbox')

    def candidates(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float) -> Candidates:
        """Return the cells above the threshold."""
        rows = outputs[self.output_name][0]
        best = rows[:, :self.num_classes].max(axis=1)
        places = np.flatnonzero(~(best < threshold))
        rows = rows[places].astype(np.float32)
        classes = rows[:, :self.num_classes].argmax(axis=1) if len(rows) else np.zeros(0, np.int64)
        boxes = self._boxes(rows, cells(size, self.strides)[places])
        return Candidates(boxes, best[places].astype(np.float32), classes)

    def problem(
        self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int], num_names: int,
    ) -> str:
        """Return why the rows are not scores and distributions; '' if they can be."""
        tables = [np.asarray(image[self.output_name][0], np.float32) for image in images]
        return (
            score_problem(self.output_name, np.concatenate(tables)[:, :self.num_classes])
            or boxes_problem(
                [self._boxes(table, cells(size, self.strides)) for table in tables], CORNERS, PIXELS, size))

    def _boxes(self, rows: np.ndarray, places: np.ndarray) -> np.ndarray:
        """(N, C + 4 * bins) rows and their (N, 3) cells -> x_min, y_min, x_max, y_max in pixels."""
        logits = rows[:, self.num_classes:].reshape(len(rows), 4, self.bins)
        powers = np.exp(logits - logits.max(axis=2, keepdims=True))
        stride = places[:, 2:]
        distances = (powers @ np.arange(self.bins, dtype=np.float32)) / powers.sum(axis=2) * stride
        points = (places[:, :2] + (0.0 if len(self.strides) == 4 else 0.5)) * stride
        return np.concatenate([points - distances[:, :2], points + distances[:, 2:]], axis=1)


def nanodet_heads(evidence: HeadEvidence) -> list[FamilyHead]:
    """Return the head if a single output has the rows and columns of NanoDet, else []."""
    name, shape = evidence.outputs[0] if evidence.outputs else ('', ())
    if len(evidence.outputs) != 1 or len(shape) != 3 or shape[0] != 1 or not evidence.is_float(name):
        return []
    strides = strides_of(shape[1], evidence.input_size, _STRIDES)
    classes = evidence.num_names or _COCO
    bins = next((bins for bins in _BINS if shape[2] - classes == 4 * bins), None)
    return [] if strides is None or bins is None else [NanoDetHead(classes, name, strides, bins)]
