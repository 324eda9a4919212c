# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Agreement of two pipelines on the same frames: the effect of another precision or backend on the results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import EngineError
from ..image.frame import Frame
from ..pipeline.interface import Pipeline, PostprocessSettings
from ..results.results import Classifications, Detections, Result

MATCH_IOU = 0.5
# A box just above the score threshold in one run and just below it in the other is not lost. If two classes are about
# equally likely, either may come first.
SCORE_MARGIN = 0.05
_ALL_CLASSES = 1_000_000
_BOXES_PER_OUTLIER = 50
_FEW_BOXES = 10


@dataclass
class Agreement:
    """How well a candidate's results agree with a reference's.

    Detections: boxes of the same class are matched one to one at an IoU of at least 0.5, the highest IoU first.
    `missing` counts the boxes of the reference without a match, `extra` those of the candidate. A box up to 0.05 below
    the score threshold counts as found. `value` = 2 matched / (2 matched + missing + extra), 1 if neither finds a box.

    Classifications: `value` is the part of the frames in which the candidate's first class is the reference's first
    class, or a class with a probability in the reference within 0.05 of its first. `same_first_class` counts without
    that margin. Score differences are each frame's largest over all classes.

    mean_score_difference, max_score_difference: absolute, of matched boxes or of probabilities
    min_iou, mean_iou: of matched boxes, 1 if there are no such boxes
    """

    task: str
    frames: int = 0
    matched: int = 0
    missing: int = 0
    extra: int = 0
    same_first_class: int = 0
    good_first_class: int = 0
    mean_iou: float = 1.0
    min_iou: float = 1.0
    mean_score_difference: float = 0.0
    max_score_difference: float = 0.0
    _compared: int = 0
    _ious: list[float] = field(default_factory=list, repr=False)
    _differences: list[float] = field(default_factory=list, repr=False)
    _unmatched_scores: float = 0.0

    @property
    def value(self) -> float:
        """The agreement in 0..1."""
        if self.task == 'classification':
            return self.good_first_class / self.frames if self.frames else 1.0
        total = 2 * self.matched + self.missing + self.extra
        return 2 * self.matched / total if total else 1.0

    @property
    def loss(self) -> float:
        """A finer measure than the agreement, 0 for equal results.

        Detections: the mean over all boxes; a matched box counts its score difference plus 1 - IoU, another box its
        score. Classifications: the mean over the frames of the largest difference of a probability.
        """
        if self.task == 'classification':
            return self.mean_score_difference
        count = self.matched + self.missing + self.extra
        if not count:
            return 0.0
        differences = self.matched * (self.mean_score_difference + 1.0 - self.mean_iou)
        return (differences + self._unmatched_scores) / count

    @property
    def says_nothing(self) -> bool:
        """Whether there was nothing to compare: no frames, or no boxes in the frames."""
        return not self.frames or (
            self.task == 'detection' and not self.matched + self.missing + self.extra)

    @property
    def low_iou(self) -> float:
        """The lowest IoU without the worst 2 % of the matched boxes, at least one if there are 10; 1 without boxes.

        A single box says little: if two overlapping boxes have almost equal scores, any rounding may let NMS keep the
        other one. With YOLOv3-tiny that happens to one of 50 boxes, whatever layers are in int8.
        """
        count = len(self._ious)
        if not count:
            return 1.0
        return float(np.sort(self._ious)[max(1, count // _BOXES_PER_OUTLIER) if count >= _FEW_BOXES else 0])

    @property
    def doubt(self) -> str:
        """The reason why this is not a check, '' if it is: one frame shows nothing about the others."""
        if self.says_nothing:
            return f'nothing was detected in {_frames(self.frames)}' if self.frames else 'there was no frame'
        if self.frames == 1:
            return 'there was only 1 frame'
        compared = self.frames if self.task == 'classification' else self._compared
        return f'something was detected in only 1 of {self.frames} frames' if compared == 1 else ''

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        values = {key: value for key, value in asdict(self).items() if not key.startswith('_')}
        unused = (
            ('matched', 'missing', 'extra', 'mean_iou', 'min_iou') if self.task == 'classification'
            else ('same_first_class', 'good_first_class'))
        for name in unused:
            del values[name]
        rounded = {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}
        return {'value': round(self.value, 6), **rounded}

    def summary(self) -> str:
        """Return one line for a log."""
        scores = (
            f'score difference mean {self.mean_score_difference:.4f}, largest {self.max_score_difference:.4f}')
        if self.task == 'classification':
            return (
                f'agreement {self.value:.3f}: same first class in {self.same_first_class} of {self.frames} frames, '
                f'an equally likely class in {self.good_first_class - self.same_first_class}; {scores}')
        if self.says_nothing:
            return f'agreement not measured: nothing was detected in {self.frames} frames'
        return (
            f'agreement {self.value:.3f}: {self.matched} boxes matched, {self.missing} missing, {self.extra} extra in '
            f'{self.frames} frames; IoU mean {self.mean_iou:.3f}, lowest {self.min_iou:.3f}; {scores}')

    def add_frame(self, reference: Result, candidate: Result, score_threshold: float) -> None:
        """Compare the results of one frame; they must have the boxes down to SCORE_MARGIN below `score_threshold`."""
        self.frames += 1
        if isinstance(reference, Detections) and isinstance(candidate, Detections):
            self._add_detections(reference, candidate, score_threshold)
        elif isinstance(reference, Classifications) and isinstance(candidate, Classifications):
            self._add_classifications(reference, candidate)
        else:
            raise EngineError('expected two pipelines for the same task, found two tasks: results cannot be compared')
        if self._differences:
            self.mean_score_difference = float(np.mean(self._differences))
            self.max_score_difference = float(np.max(self._differences))
        if self._ious:
            self.mean_iou, self.min_iou = float(np.mean(self._ious)), float(np.min(self._ious))

    def _add_detections(self, reference: Detections, candidate: Detections, threshold: float) -> None:
        pairs = match(reference, candidate)
        strong_reference = reference.scores >= threshold
        strong_candidate = candidate.scores >= threshold
        self._compared += int(strong_reference.any() or strong_candidate.any())
        for first, second, overlap in pairs:
            if not (strong_reference[first] or strong_candidate[second]):
                continue
            self.matched += 1
            self._ious.append(overlap)
            self._differences.append(abs(float(reference.scores[first]) - float(candidate.scores[second])))
        strong_reference[[first for first, _, _ in pairs]] = False
        strong_candidate[[second for _, second, _ in pairs]] = False
        self.missing += int(strong_reference.sum())
        self.extra += int(strong_candidate.sum())
        self._unmatched_scores += float(
            reference.scores[strong_reference].sum() + candidate.scores[strong_candidate].sum())

    def _add_classifications(self, reference: Classifications, candidate: Classifications) -> None:
        first = dict(zip(reference.class_indices.tolist(), reference.scores.tolist()))
        second = dict(zip(candidate.class_indices.tolist(), candidate.scores.tolist()))
        chosen = int(candidate.class_indices[0])
        self.same_first_class += int(reference.class_indices[0] == chosen)
        self.good_first_class += int(first.get(chosen, 0.0) >= float(reference.scores[0]) - SCORE_MARGIN)
        self._differences.append(max(
            abs(first.get(index, 0.0) - second.get(index, 0.0)) for index in first.keys() | second.keys()))


def _frames(count: int) -> str:
    return '1 frame' if count == 1 else f'{count} frames'


def match(
    reference: Detections, candidate: Detections, min_iou: float = MATCH_IOU,
) -> list[tuple[int, int, float]]:
    """Return (index, index, IoU) of boxes of the same class matched one to one, the highest IoU first.

    min_iou: above 0; pairs with a lower IoU are left out
    """
    overlaps = iou_matrix(reference.boxes, candidate.boxes)
    overlaps[reference.class_indices[:, np.newaxis] != candidate.class_indices[np.newaxis]] = 0.0
    firsts, seconds = np.nonzero(overlaps >= min_iou)
    values = overlaps[firsts, seconds]
    order = np.argsort(-values, kind='stable')
    return _one_to_one(list(zip(firsts[order].tolist(), seconds[order].tolist(), values[order].tolist())))


def _one_to_one(pairs: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    firsts: set[int] = set()
    seconds: set[int] = set()
    kept = []
    for first, second, overlap in pairs:
        if first not in firsts and second not in seconds:
            firsts.add(first)
            seconds.add(second)
            kept.append((first, second, overlap))
    return kept


def iou_matrix(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the (N, M) float64 intersection over union of boxes (N, 4) and (M, 4), x_min, y_min, x_max, y_max."""
    a = np.asarray(first, np.float64)[:, np.newaxis]
    b = np.asarray(second, np.float64)[np.newaxis]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    common = np.prod(np.maximum(sides, 0.0), axis=-1)
    union = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1) - common
    overlap: np.ndarray = common / np.maximum(union, 1e-12)
    return overlap


def compare(reference: Pipeline, candidate: Pipeline, frames: Iterable[Frame]) -> Agreement:
    """Run two open pipelines on the frames and compare their results.

    The reference's score threshold is used; the settings of both are restored at the end. Raises EngineError if a
    pipeline fails on a frame, for example with values that are not finite.
    """
    threshold = reference.settings.detection.score_threshold
    wide = loosened(reference.settings)
    agreement = Agreement(reference.spec.task)
    with _settings(reference, wide), _settings(candidate, wide):
        for frame in frames:
            agreement.add_frame(reference.run(frame).result, candidate.run(frame).result, threshold)
    return agreement


def loosened(settings: PostprocessSettings) -> PostprocessSettings:
    """Return the settings for a comparison: all classes, and boxes down to SCORE_MARGIN below the threshold."""
    detection = settings.detection
    return PostprocessSettings(
        replace(detection, score_threshold=max(detection.score_threshold - SCORE_MARGIN, 0.0)),
        replace(settings.classification, top_k=_ALL_CLASSES))


@contextlib.contextmanager
def _settings(pipeline: Pipeline, settings: PostprocessSettings) -> Iterator[None]:
    kept = pipeline.settings
    pipeline.settings = settings
    try:
        yield
    finally:
        pipeline.settings = kept
