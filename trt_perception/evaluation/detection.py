# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""mAP, and precision and recall at one score, of detections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .average_precision import Boxes, average_precision
from .errors import EvaluationError
from .matching import match
from .predictions import ImageResult
from .truth import Truth

# IoU from which a detection counts as right for precision and recall.
MIN_IOU = 0.5


@dataclass(frozen=True)
class Counts:
    """Detections of at least the score threshold: right and wrong ones, and boxes of the truth."""

    right: int
    wrong: int
    boxes: int

    @property
    def precision(self) -> float:
        """Part of the detections that are right; NaN without detections."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else float('nan')

    @property
    def recall(self) -> float:
        """Part of the boxes that are found; NaN without boxes."""
        return self.right / self.boxes if self.boxes else float('nan')


@dataclass(frozen=True)
class ClassAccuracy:
    """One class of the truth, or all of them. map50, map50_95: NaN without boxes."""

    name: str
    map50: float
    map50_95: float
    counts: Counts


@dataclass(frozen=True)
class DetectionAccuracy:
    """The accuracy of a detector.

    total: all classes: the mean of their average precisions, the sum of their counts
    classes: those with boxes or detections
    images, detections: how many were evaluated
    score: the threshold of precision and recall
    lowest_score: of all detections; NaN without detections
    """

    total: ClassAccuracy
    classes: tuple[ClassAccuracy, ...]
    images: int
    detections: int
    score: float
    lowest_score: float


def detection_accuracy(
    truth: Truth, results: Mapping[int, ImageResult], numbers: Mapping[str, int | None], score: float,
) -> DetectionAccuracy:
    """Compare detections with the truth.

    results: position in Truth.images -> detections; numbers: predicted name -> position in Truth.classes, None to leave
    out; score: threshold of precision and recall
    Raises EvaluationError if the images have no boxes, or objects without one.
    """
    labelled = _truth_boxes(truth, results)
    if not len(labelled) or labelled.crowd.all():
        raise EvaluationError(f'truth {truth.path}: the evaluated images have no boxes (annotations with a bbox)')
    without = sum(label.box is None for label in truth.labels if label.image in results)
    if without:
        # An object that is left out is not missed by any model, and a detection of it is wrong.
        raise EvaluationError(
            f'truth {truth.path}: {without} of {len(labelled) + without} annotations of the evaluated images have no '
            'bbox; expected one for each object: add them (of a segmentation, the smallest box around it), or remove '
            'these annotations')
    detected = _detected_boxes(results, numbers)
    mean, each = average_precision(labelled, detected, sorted(results), len(truth.classes))
    counts = [_counts(labelled, detected, number, score) for number in range(len(truth.classes))]
    total = Counts(sum(c.right for c in counts), sum(c.wrong for c in counts), sum(c.boxes for c in counts))
    return DetectionAccuracy(
        ClassAccuracy('all', mean.at_50, mean.mean, total),
        tuple(ClassAccuracy(name, one.at_50, one.mean, count) for name, one, count in zip(truth.classes, each, counts)
              if count.boxes or count.right or count.wrong),
        len(results), len(detected), score, float(detected.scores.min()) if len(detected) else float('nan'))


def _truth_boxes(truth: Truth, results: Mapping[int, ImageResult]) -> Boxes:
    labels = [(label, label.box) for label in truth.labels if label.box is not None and label.image in results]
    corners = [(x, y, x + width, y + height) for _, (x, y, width, height) in labels]
    return _boxes(
        [label.image for label, _ in labels], [label.class_index for label, _ in labels], corners, [1.0] * len(labels),
        [label.crowd for label, _ in labels])


def _detected_boxes(results: Mapping[int, ImageResult], numbers: Mapping[str, int | None]) -> Boxes:
    found = [
        (image, number, entry.box, entry.score) for image, result in results.items() for entry in result.found
        if entry.box is not None and (number := numbers[entry.name]) is not None]
    return _boxes(
        [image for image, _, _, _ in found], [number for _, number, _, _ in found], [box for _, _, box, _ in found],
        [score for _, _, _, score in found], [False] * len(found))


def _boxes(
    images: Sequence[int], classes: Sequence[int], corners: Sequence[tuple[float, ...]], scores: Sequence[float],
    crowd: Sequence[bool],
) -> Boxes:
    return Boxes(
        np.array(images, np.int64), np.array(classes, np.int64), np.array(corners, np.float64).reshape(-1, 4),
        np.array(scores, np.float64), np.array(crowd, bool))


def _counts(truth: Boxes, detections: Boxes, number: int, score: float) -> Counts:
    mine = np.flatnonzero((detections.classes == number) & (detections.scores >= score))
    mine = mine[np.argsort(-detections.scores[mine], kind='stable')]
    wanted = np.flatnonzero(truth.classes == number)
    right = wrong = 0
    for image in np.unique(detections.images[mine]):
        here = mine[detections.images[mine] == image]
        there = wanted[truth.images[wanted] == image]
        kinds = match(detections.boxes[here], truth.boxes[there], truth.crowd[there], MIN_IOU)
        right += int((kinds == 1).sum())
        wrong += int((kinds == 0).sum())
    return Counts(right, wrong, int((~truth.crowd[wanted]).sum()))
