# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""RT-DETR as Ultralytics exports it: one output, boxes are cx, cy, w, h as fractions of the network's input, no NMS.

- rtdetr:      [1, Q, 4 + C], scores after the sigmoid
- rtdetr_rows: [1, Q, 6] box, score, class, since 2026

With two classes both are [1, Q, 6]. Source: Ultralytics' published export and its outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..normalisation import YOLO, Preprocessing
from .boxes import CENTRES, FRACTIONS, boxes_problem, to_corners, used_boxes
from .detection import Candidates, FamilyHead, OneOutputHead
from .evidence import HeadEvidence, dense_counts
from .family_values import class_problem, score_problem

# DETR-like models have at most this many queries.
MOST_QUERIES = 1000
STRETCHED = replace(YOLO, resize_mode='stretch')


class _UltralyticsHead(OneOutputHead):
    """What the heads of Ultralytics' RT-DETR share."""

    family: ClassVar[str] = 'RT-DETR as exported by Ultralytics'
    advice: ClassVar[str] = 'export it again: yolo export model=rtdetr-l.pt format=onnx'
    usual_preprocessing: ClassVar[Preprocessing] = STRETCHED
    once_each: ClassVar[bool] = True


@dataclass(frozen=True)
class RtdetrHead(_UltralyticsHead):
    """RT-DETR of Ultralytics, [1, Q, 4 + C]: each query counts with its best class."""

    kind: ClassVar[str] = 'rtdetr'

    def candidates(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float) -> Candidates:
        """Return the queries above the threshold."""
        rows = outputs[self.output_name][0]
        best = rows[:, 4:].max(axis=1)
        rows = rows[~(best < threshold)].astype(np.float32)
        classes = rows[:, 4:].argmax(axis=1) if len(rows) else np.zeros(0, np.int64)
        boxes = to_corners(rows[:, :4], CENTRES, FRACTIONS, size)
        return Candidates(boxes, rows[np.arange(len(rows)), 4 + classes], classes)

    def problem(
        self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int], num_names: int,
    ) -> str:
        """Return why the outputs are not fractions and scores; '' if they can be."""
        tables = [image[self.output_name][0] for image in images]
        return (
            no_boxes(np.concatenate(tables))
            or score_problem(self.output_name, np.concatenate([table[:, 4:] for table in tables]))
            or boxes_problem([table[:, :4] for table in tables], CENTRES, FRACTIONS, size))


@dataclass(frozen=True)
class RtdetrRowsHead(_UltralyticsHead):
    """RT-DETR of Ultralytics, [1, Q, 6]: cx, cy, w, h, score, class."""

    kind: ClassVar[str] = 'rtdetr_rows'

    def candidates(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float) -> Candidates:
        """Return the rows above the threshold."""
        rows = outputs[self.output_name][0]
        rows = rows[~(rows[:, 4] < threshold)].astype(np.float32)
        if not np.isfinite(rows).all():
            raise self.not_finite()
        return Candidates(
            to_corners(rows[:, :4], CENTRES, FRACTIONS, size), rows[:, 4], np.rint(rows[:, 5]).astype(np.int64))

    def problem(
        self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int], num_names: int,
    ) -> str:
        """Return why the rows are not fractions, score and class; '' if they can be."""
        tables = [image[self.output_name][0] for image in images]
        rows = np.concatenate(tables)
        return (
            no_boxes(rows) or score_problem(self.output_name, rows[:, 4])
            or class_problem(self.output_name, rows[:, 5], num_names)
            or boxes_problem([table[:, :4] for table in tables], CENTRES, FRACTIONS, size))


def no_boxes(rows: np.ndarray) -> str:
    """Return that rows (N, 4+) have no box, as the rest of a sentence; '' if they have one."""
    return '' if len(used_boxes(rows)) else 'has no boxes for the test images: expected a box for each query'


def rtdetr_heads(evidence: HeadEvidence) -> list[FamilyHead]:
    """Return the heads of this file that fit by names, shapes and metadata; several if the values decide."""
    name, shape = evidence.outputs[0] if evidence.outputs else ('', ())
    if len(evidence.outputs) != 1 or len(shape) != 3 or shape[0] != 1 or not evidence.is_float(name):
        return []
    rows, columns = shape[1:]
    asked = evidence.asked in (RtdetrHead.kind, RtdetrRowsHead.kind)
    said = asked or 'rtdetr' in evidence.metadata.get('head', '').lower() or (
        'rtdetr' in evidence.metadata.get('description', '').lower().replace('-', ''))
    if not said and (not 1 < rows <= MOST_QUERIES or rows in dense_counts(evidence.input_size)):
        return []
    named = evidence.num_names or 0
    if columns == 6:
        # Two classes and their scores, or one score and the class: only the values tell them apart.
        certain = said or evidence.end_to_end is False
        heads: list[FamilyHead] = [RtdetrHead(2, name)] if certain and (named == 2 or asked) else []
        return [*heads, RtdetrRowsHead(named, name)] if said or (certain and named > 1) else heads
    certain = said and columns > 4 and (asked or evidence.num_names in (None, columns - 4))
    exact = columns == 4 + named and columns > 4
    return [RtdetrHead(columns - 4, name)] if certain or (exact and rows > columns) else []


def unnamed_rtdetr(evidence: HeadEvidence) -> list[FamilyHead]:
    """Return the heads if a single output may be that of RT-DETR, although no name or metadata says so; else []."""
    name, shape = evidence.outputs[0]
    if evidence.end_to_end is not None or evidence.metadata.get('head') or len(shape) != 3:
        return []
    rows, columns = shape[1:]
    if not 1 < rows <= MOST_QUERIES or rows in dense_counts(evidence.input_size) or columns in dense_counts(
            evidence.input_size):
        return []
    if columns == 6:
        heads: list[FamilyHead] = [RtdetrRowsHead(evidence.num_names or 0, name)]
        return [*heads, RtdetrHead(2, name)] if evidence.num_names in (None, 2) else heads
    return [RtdetrHead(columns - 4, name)] if columns > 4 and rows > columns and evidence.num_names is None else []


def without_rival(heads: Sequence[Any], images: Sequence[Mapping[str, np.ndarray]]) -> list[Any]:
    """Return the heads without one of RtdetrHead and RtdetrRowsHead, if both fit [1, Q, 6].

    The sixth column is a class in all rows, or the score of the second class: a sigmoid gives no whole number.
    """
    kinds = {head.kind for head in heads}
    if not {RtdetrHead.kind, RtdetrRowsHead.kind} <= kinds:
        return list(heads)
    whole = all(
        bool((image[name][0, :, 5] == np.rint(image[name][0, :, 5])).all())
        for image in images for name in heads[0].output_names)
    rival = RtdetrHead.kind if whole else RtdetrRowsHead.kind
    return [head for head in heads if head.kind != rival]
