# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""DETR and its relatives: a fixed number of queries, each with one box, and no NMS.

Layouts, with Q queries and C classes; boxes are cx, cy, w, h as fractions of the network's input:

- rtdetr:      [1, Q, 4 + C], scores after the sigmoid, as Ultralytics exports RT-DETR
- rtdetr_rows: [1, Q, 6] box, score, class, as Ultralytics exports RT-DETR since 2026
- detr:        boxes [1, Q, 4] and class logits [1, Q, C]: RF-DETR (`dets`, `labels`), LibreYOLO (`pred_boxes`,
               `pred_logits`), Hugging Face (`pred_boxes`, `logits`)

The layouts with `labels`, `boxes`, `scores` of the projects' own exports are in labelled.py.
Sources: the papers and published export scripts of these projects. Of `detr`, the Q best pairs of query and class
count, as in the post-processing of Deformable DETR, which all but the first DETR use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..coco_ids import NUM_IDS, are_coco, by_id
from ..normalisation import YOLO, Preprocessing
from .boxes import CENTRES, FRACTIONS, boxes_problem, to_corners, used_boxes
from .detection import Candidates, FamilyHead, OneOutputHead
from .detr_preprocessing import detr_preprocessing
from .evidence import HeadEvidence, dense_counts
from .family_values import are_scores, class_problem, logit, score_problem, sigmoid

# DETR-like models have at most this many queries.
MOST_QUERIES = 1000
DETR_OUTPUTS = ('pred_boxes', 'dets')
# max_det of its postprocess/, also with fewer queries.
_LIBREYOLO_PAIRS = 300
_STRETCHED = replace(YOLO, resize_mode='stretch')


class _UltralyticsHead(OneOutputHead):
    """What the heads of Ultralytics' RT-DETR share."""

    family: ClassVar[str] = 'RT-DETR as exported by Ultralytics'
    advice: ClassVar[str] = 'export it again: yolo export model=rtdetr-l.pt format=onnx'
    usual_preprocessing: ClassVar[Preprocessing] = _STRETCHED
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
            _no_boxes(np.concatenate(tables))
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
            _no_boxes(rows) or score_problem(self.output_name, rows[:, 4])
            or class_problem(self.output_name, rows[:, 5], num_names)
            or boxes_problem([table[:, :4] for table in tables], CENTRES, FRACTIONS, size))


@dataclass(frozen=True)
class DetrHead(FamilyHead):
    """Boxes [1, Q, 4] and class scores [1, Q, C] of DETR and its relatives.

    activation: sigmoid; softmax if the last class means "no object" (the first DETR); none if the scores are in 0..1;
        '' if the values decide between sigmoid and none
    expected: the preprocessing that its exporter expects
    pairs: so many of the best pairs of query and class count, 0 for as many as there are queries
    """

    kind: ClassVar[str] = 'detr'
    family: ClassVar[str] = 'DETR or one of its relatives (RF-DETR, RT-DETR, D-FINE, DEIM)'
    advice: ClassVar[str] = "export it with its project's own exporter (models/README.md)"
    once_each: ClassVar[bool] = True

    boxes_name: str
    scores_name: str
    activation: str = ''
    expected: Preprocessing = _STRETCHED
    pairs: int = 0

    def names_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names by COCO's ids if there are 91 classes; the class after all names means "no object"."""
        if self.num_classes == NUM_IDS and are_coco(names):
            return by_id(names)
        return (*names, 'background') if names and len(names) == self.num_classes - 1 else names

    @property
    def output_names(self) -> tuple[str, ...]:
        """The outputs that the head reads."""
        return self.boxes_name, self.scores_name

    @property
    def usual_preprocessing(self) -> Preprocessing:  # type: ignore[override]
        """Stretched, as in the training of all of them."""
        return self.expected

    def candidates(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float) -> Candidates:
        """Return the best pairs of query and class above the threshold."""
        values = outputs[self.scores_name][0]
        if self.activation == 'softmax':
            values = np.asarray(values, np.float32)
            powers = np.exp(values - values.max(axis=1, keepdims=True))
            probabilities = (powers / powers.sum(axis=1, keepdims=True))[:, :-1]
            classes = probabilities.argmax(axis=1)
            scores = probabilities[np.arange(len(values)), classes]
            queries = np.flatnonzero(~(scores < threshold))
            classes, scores = classes[queries], scores[queries]
        else:
            limit = threshold if self.activation == 'none' else logit(threshold)
            queries, classes = np.nonzero(~(values < limit))
            chosen = values[queries, classes]
            most = self.pairs or len(values)
            if len(chosen) > most:
                best = np.argpartition(-chosen, most)[:most]
                queries, classes, chosen = queries[best], classes[best], chosen[best]
            scores = chosen.astype(np.float32) if self.activation == 'none' else sigmoid(chosen)
        boxes = outputs[self.boxes_name][0][queries]
        return Candidates(to_corners(boxes, CENTRES, FRACTIONS, size), scores, classes)

    def problem(
        self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int], num_names: int,
    ) -> str:
        """Return why the boxes are not fractions; '' if they can be. Logits may be any numbers."""
        if self.activation == 'none':
            problem = score_problem(self.scores_name, np.stack([image[self.scores_name] for image in images]))
            if problem:
                return problem
        tables = [image[self.boxes_name][0] for image in images]
        return _no_boxes(np.concatenate(tables)) or boxes_problem(tables, CENTRES, FRACTIONS, size)

    def settled(self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int]) -> DetrHead:
        """Return the head with its activation. Logits of a network are never all in 0..1."""
        if self.activation:
            return self
        inside = all(are_scores(image[self.scores_name]) for image in images)
        return replace(self, activation='none' if inside else 'sigmoid')


def _no_boxes(rows: np.ndarray) -> str:
    return '' if len(used_boxes(rows)) else 'has no boxes for the test images: expected a box for each query'


def detr_heads(evidence: HeadEvidence) -> list[FamilyHead]:
    """Return the heads of this file that fit by names, shapes and metadata; several if the values decide."""
    if len(evidence.outputs) == 1:
        head = _of_one_output(evidence)
        return [head] if head is not None else []
    boxes = [entry for entry in evidence.outputs if len(entry[1]) == 3 and entry[1][0] == 1 and entry[1][2] == 4]
    scores = [entry for entry in evidence.outputs if len(entry[1]) == 3 and entry[1][0] == 1 and entry[1][2] != 4]
    if evidence.named(*DETR_OUTPUTS) and evidence.named('pred_logits', 'logits', 'labels'):
        boxes = [entry for entry in boxes if entry == evidence.named(*DETR_OUTPUTS)]
        named = evidence.named('pred_logits', 'logits', 'labels')
        scores = [entry for entry in evidence.outputs if entry == named and len(entry[1]) == 3]
    if len(boxes) != 1 or len(scores) != 1 or boxes[0][1][1] != scores[0][1][1]:
        return []
    queries, classes = scores[0][1][1:]
    if queries > MOST_QUERIES or (queries in dense_counts(evidence.input_size) and not evidence.named(*DETR_OUTPUTS)):
        return []
    if not (evidence.is_float(boxes[0][0]) and evidence.is_float(scores[0][0])):
        return []
    names = {boxes[0][0].lower(), scores[0][0].lower()}
    # The first DETR has 100 queries and one class more, for "no object": 92 with COCO's 91 ids.
    softmax = 'logits' in names and (classes == (evidence.num_names or 91) + 1)
    return [DetrHead(
        classes - softmax, boxes[0][0], scores[0][0], 'softmax' if softmax else '',
        detr_preprocessing(names, classes - softmax, softmax, evidence.metadata),
        _LIBREYOLO_PAIRS if 'libreyolo_version' in evidence.metadata else 0)]


def _of_one_output(evidence: HeadEvidence) -> FamilyHead | None:
    """Return the head of RT-DETR as exported by Ultralytics, None if it is another model."""
    name, shape = evidence.outputs[0]
    if len(shape) != 3 or shape[0] != 1 or not evidence.is_float(name):
        return None
    rows, columns = shape[1:]
    said = 'rtdetr' in evidence.metadata.get('head', '').lower() or (
        'rt-detr' in evidence.metadata.get('description', '').lower())
    if not said and (not 1 < rows <= MOST_QUERIES or rows in dense_counts(evidence.input_size)):
        return None
    if columns == 6 and ((said and evidence.num_names != 2) or (
            evidence.end_to_end is False and (evidence.num_names or 0) > 2)):
        return RtdetrRowsHead(evidence.num_names or 0, name)
    exact = columns == 4 + (evidence.num_names or 0) and columns > 4
    certain = said and columns > 4 and evidence.num_names in (None, columns - 4)
    if certain or (exact and columns != 6 and rows > columns):
        return RtdetrHead(columns - 4, name)
    return None


def unnamed_rtdetr(evidence: HeadEvidence) -> FamilyHead | None:
    """Return the head if a single output may be that of RT-DETR, although no name or metadata says so; else None."""
    name, shape = evidence.outputs[0]
    if evidence.end_to_end is not None or evidence.metadata.get('head') or len(shape) != 3:
        return None
    rows, columns = shape[1:]
    if not 1 < rows <= MOST_QUERIES or rows in dense_counts(evidence.input_size) or columns in dense_counts(
            evidence.input_size):
        return None
    if columns == 6:
        return RtdetrRowsHead(evidence.num_names or 0, name)
    return RtdetrHead(columns - 4, name) if columns > 4 and rows > columns and evidence.num_names is None else None
