# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decoded boxes and class scores in two outputs, before NMS.

boxes [1, N, 4] or [1, N, 1, 4], scores [1, N, C] or [1, C, N], in any order of the outputs:

- YOLO-NAS, DAMO-YOLO, PP-YOLOE: corners in pixels
- YOLOv4: corners as fractions
- SSD with decoded boxes: corners as fractions; with a softmax, class 0 is the background

The values of the test images decide whether the boxes are corners or centres, in pixels or fractions, and whether there
is a background: the boxes of all N places are there, so there is no doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..coco_ids import after_background
from ..normalisation import YOLO, Preprocessing
from .boxes import PIXELS, boxes_problem, coding_of, to_corners, unit_of, used_boxes
from .detection import Candidates, FamilyHead
from .evidence import HeadEvidence
from .family_values import score_problem

_SUM_TOLERANCE = 0.01


@dataclass(frozen=True)
class SeparateHead(FamilyHead):
    """Decodes boxes and scores, with NMS.

    num_classes: columns of the scores, with the background if there is one
    turned: whether the scores are [1, C, N]
    coding: corners or centres; unit: pixels or fractions; both '' until the values have decided
    has_background: whether class 0 is no object
    stretched: whether the image is usually stretched (YOLOv4)
    """

    kind: ClassVar[str] = 'separate'
    family: ClassVar[str] = 'a detector with boxes and scores in separate outputs, such as YOLO-NAS or SSD'
    advice: ClassVar[str] = 'export it with box decoding and scores in 0..1'

    boxes_name: str
    scores_name: str
    turned: bool = False
    coding: str = ''
    unit: str = ''
    has_background: bool = False
    stretched: bool = False

    @property
    def output_names(self) -> tuple[str, ...]:
        """The outputs that the head reads."""
        return self.boxes_name, self.scores_name

    @property
    def usual_preprocessing(self) -> Preprocessing:  # type: ignore[override]
        """Letterbox, or stretched."""
        return replace(YOLO, resize_mode='stretch') if self.stretched else YOLO

    def names_of(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names; if there is one class more, it is the background, class 0."""
        return after_background(names) if len(names) == self.num_classes - 1 else names

    def candidates(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float) -> Candidates:
        """Return the places whose best class is above the threshold."""
        scores = self._scores(outputs)
        first = int(self.has_background)
        best = scores[:, first:].max(axis=1)
        kept = np.flatnonzero(~(best < threshold))
        classes = scores[kept, first:].argmax(axis=1) + first if len(kept) else np.zeros(0, np.int64)
        boxes = outputs[self.boxes_name].reshape(-1, 4)[kept]
        return Candidates(to_corners(boxes, self.coding, self.unit, size), best[kept].astype(np.float32), classes)

    def problem(
        self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int], num_names: int,
    ) -> str:
        """Return why the outputs are not decoded boxes and scores in 0..1; '' if they can be."""
        problem = score_problem(self.scores_name, np.concatenate([self._scores(image) for image in images]))
        if problem:
            return problem
        head = self.settled(images, size)
        boxes = [image[self.boxes_name].reshape(-1, 4) for image in images]
        if not head.coding:
            return 'has boxes that are neither corners nor centres with sizes: expected decoded boxes'
        return boxes_problem(boxes, head.coding, head.unit or PIXELS, size)

    def settled(self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int]) -> SeparateHead:
        """Return the head with the coding and unit of its boxes, and whether class 0 is the background."""
        if self.coding:
            return self
        boxes = np.concatenate([used_boxes(image[self.boxes_name].reshape(-1, 4)) for image in images])
        sums = np.concatenate([self._scores(image) for image in images]).astype(np.float32).sum(axis=1)
        softmax = self.num_classes > 1 and bool((np.abs(sums - 1.0) < _SUM_TOLERANCE).all())
        return replace(self, coding=coding_of(boxes), unit=unit_of(boxes, size), has_background=softmax)

    def _scores(self, outputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return (N, C)."""
        scores: np.ndarray = outputs[self.scores_name][0]
        return scores.T if self.turned else scores


def separate_heads(evidence: HeadEvidence) -> list[FamilyHead]:
    """Return the head if the outputs are boxes and scores of the same places, else []."""
    if len(evidence.outputs) != 2 or not all(evidence.is_float(name) for name, _ in evidence.outputs):
        return []
    found = []
    for (name, shape), (other, scores) in (evidence.outputs, evidence.outputs[::-1]):
        squeezed = shape[:2] + shape[3:] if len(shape) == 4 and shape[2] == 1 else shape
        if len(squeezed) != 3 or squeezed[0] != 1 or squeezed[2] != 4 or len(scores) != 3 or scores[0] != 1:
            continue
        count = squeezed[1]
        if count > 1 and count in scores[1:] and scores[1:] != (4, count):
            turned = scores[1] != count
            classes = scores[1] if turned else scores[2]
            found.append(SeparateHead(classes, name, other, turned, stretched=len(shape) == 4))
    if len(found) == 2:
        # Four classes: of two equal shapes the names decide.
        found = [head for head in found if 'box' in head.boxes_name.lower()]
    return list(found) if len(found) == 1 else []
