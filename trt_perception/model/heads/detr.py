# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""DETR and its relatives: a fixed number of queries, each with one box, and no NMS.

Boxes [1, Q, 4] and class logits [1, Q, C], with Q queries and C classes: RF-DETR (`dets`, `labels`), LibreYOLO
(`pred_boxes`, `pred_logits`), Hugging Face (`pred_boxes`, `logits`). Boxes are cx, cy, w, h as fractions of the
network's input.

The layouts with `labels`, `boxes`, `scores` of the projects' own exports are in labelled.py, those of Ultralytics in
rtdetr.py.
Sources: the papers and published export scripts of these projects. The Q best pairs of query and class count, as in
the post-processing of Deformable DETR, which all but the first DETR use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..coco_ids import NUM_IDS, are_coco, by_id
from ..normalisation import Preprocessing
from .boxes import CENTRES, FRACTIONS, boxes_problem, to_corners
from .detection import Candidates, FamilyHead
from .detr_preprocessing import detr_preprocessing
from .evidence import HeadEvidence, dense_counts
from .family_values import are_scores, logit, score_problem, sigmoid
from .rtdetr import MOST_QUERIES, STRETCHED, no_boxes

DETR_OUTPUTS = ('pred_boxes', 'dets')
# max_det of its postprocess/, also with fewer queries.
_LIBREYOLO_PAIRS = 300


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
    expected: Preprocessing = STRETCHED
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
        return no_boxes(np.concatenate(tables)) or boxes_problem(tables, CENTRES, FRACTIONS, size)

    def settled(self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int]) -> DetrHead:
        """Return the head with its activation. Logits of a network are never all in 0..1."""
        if self.activation:
            return self
        inside = all(are_scores(image[self.scores_name]) for image in images)
        return replace(self, activation='none' if inside else 'sigmoid')


def detr_heads(evidence: HeadEvidence) -> list[FamilyHead]:
    """Return the head if two outputs are boxes and scores of the same queries, else []."""
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
