# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks that a network's outputs can be what its head reads from them, before anything is published.

The outputs are those of the test images in pipeline/probe.py. It does not matter what the images show: all rows have
boxes and scores, also those far below any threshold. A rule here must never refuse a genuine model, trained or with
random weights, so each rule looks for values that no such model gives.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import ModelError, printable
from .binary import BinaryHead
from .classification import ClassificationHead, with_activation
from .detection import FamilyHead, RawOutput
from .plausible_boxes import centre_problem, corner_problem
from .yolo import YoloHead

# float16 and int8 may give a little more than 1. No sigmoid is negative.
_LOWEST_SCORE, _HIGHEST_SCORE = -0.001, 1.01
_CLASS_TOLERANCE = 0.01
# An angle of an untrained model is 0.79 in all candidates. No class is found everywhere while the others are not.
_MANY, _ALWAYS_HIGH, _USUAL_SCORE = 200, 0.6, 0.3
# No detector has more classes.
_MOST_CLASSES = 100_000


Head = ClassificationHead | YoloHead | FamilyHead


class ImplausibleOutputsError(ModelError):
    """The outputs of a network cannot be what its head reads from them."""


def require_plausible(
    head: Head, outputs: Sequence[RawOutput], size: tuple[int, int], num_names: int = 0,
) -> Head:
    """Return the head for these outputs. Raises ImplausibleOutputsError if they cannot be what it reads from them.

    outputs: what the head reads, for each test image
    size: width, height of the network's input; num_names: number of class names, 0 if unknown
    The head returned is the given one, except that a classifier's activation, and the unit of boxes, are known from
    then on.
    """
    problem = problem_of(head, outputs, size, num_names)
    if problem:
        raise ImplausibleOutputsError(f"output '{printable(head.output_names[0])}' {problem}")
    if isinstance(head, FamilyHead):
        return head.settled(outputs, size)
    if isinstance(head, BinaryHead):
        return head.settled(outputs)
    return with_activation(head, outputs) if isinstance(head, ClassificationHead) else head


def problem_of(
    head: Head, outputs: Sequence[RawOutput], size: tuple[int, int], num_names: int = 0,
) -> str:
    """Return why these outputs cannot be the head's, with what to do, as the rest of a sentence; '' if they can."""
    if isinstance(head, FamilyHead):
        problem = head.problem(outputs, size, num_names)
        return f'{problem}; this looks like {head.family}: {head.advice}' if problem else ''
    for output in outputs:
        if output.dtype.kind != 'f':
            return (
                f'has elements of type {output.dtype}: expected float32 or float16; export the model with '
                'floating-point outputs')
    if isinstance(head, ClassificationHead):
        return _embedding_problem(outputs)
    tables = [head.rows_of(output) for output in outputs]
    if head.kind == 'end_to_end':
        return _end_to_end_problem(tables, size, num_names)
    problem = _score_problem(head, tables) or centre_problem(tables, size)
    # Without a row in use nothing speaks for end-to-end.
    if problem and head.columns == 6 and any(len(_used(table)) for table in tables) and not _end_to_end_problem(
            tables, size, num_names):
        problem += '; if these are boxes after NMS, set head to end_to_end'
    return problem


def _score_problem(head: YoloHead, tables: Sequence[np.ndarray]) -> str:
    """Check the scores of a dense head: each is in 0..1."""
    scores = _finite(np.concatenate([table[:, 4:] for table in tables]))
    if not len(scores):
        return ''
    lowest, highest = scores.min(axis=0), scores.max(axis=0)
    wrong = (lowest < _LOWEST_SCORE) | (highest > _HIGHEST_SCORE)
    if not wrong.any():
        return _angle_problem(scores)
    right = int(np.argmax(wrong))
    if right == 0:
        remedy = 'if these are raw logits, export the model with its sigmoid; otherwise it is not a detector'
    elif right == 1 and head.kind == 'yolov5':
        remedy = 'the objectness is in 0..1 but the class scores are not: export the model with its sigmoid'
    else:
        remedy = (
            f'only the first {right} of {len(wrong)} columns after the box are scores: a segmentation, pose or '
            'oriented-box model has further columns; for such a model set head to segment, pose or obb, and '
            'labels_file to its class names; otherwise export a detection model')
    return f'has scores from {lowest.min():.3g} to {highest.max():.3g}: expected 0..1; {remedy}'


def _angle_problem(scores: np.ndarray) -> str:
    """Check that the last of (N, C) columns is a score like the others, not the angle of an oriented box."""
    count, columns = scores.shape
    if count < _MANY or columns < 2 or scores[:, -1].min() < _ALWAYS_HIGH or np.median(scores[:, :-1]) > _USUAL_SCORE:
        return ''
    return (
        f'has a last number of at least {scores[:, -1].min():.2f} in all candidates: expected a score per class; '
        'an oriented-box model has the angle there and is not supported; export a detection model')


def _end_to_end_problem(tables: Sequence[np.ndarray], size: tuple[int, int], num_names: int) -> str:
    """Check rows of x_min, y_min, x_max, y_max, score, class."""
    rows = _used(np.concatenate(tables))
    if not len(rows):
        return ''
    scores, classes = rows[:, 4], rows[:, 5]
    if scores.min() < _LOWEST_SCORE or scores.max() > _HIGHEST_SCORE:
        return (
            f'has scores from {scores.min():.3g} to {scores.max():.3g} in its fifth column: expected 0..1; export the '
            'model with the columns x_min, y_min, x_max, y_max, score, class')
    wrong = (np.abs(classes - np.rint(classes)) > _CLASS_TOLERANCE) | (classes > _MOST_CLASSES)
    if wrong.any():
        return (
            f'has the class {classes[wrong][0]:.6g} in its sixth column: expected the index of a class; export the '
            'model with the columns x_min, y_min, x_max, y_max, score, class, or set head if it has no NMS')
    if num_names and classes.max() > num_names - 1 + _CLASS_TOLERANCE:
        return (
            f'has the class {classes.max():.0f}, but there are only {num_names} class names, for 0 to {num_names - 1}: '
            'correct the class names')
    return corner_problem([_used(table) for table in tables], size)


def _embedding_problem(outputs: Sequence[np.ndarray]) -> str:
    """Check that the numbers are not a vector of length 1, such as an embedding of a face, a person or a picture."""
    vectors = [np.asarray(output, np.float64).reshape(-1) for output in outputs]
    if not vectors or vectors[0].size < 32 or not all(np.isfinite(vector).all() for vector in vectors):
        return ''
    # Probabilities are not negative. Logits have a length of exactly 1 by chance only.
    if all(vector.min() < 0 and abs(np.linalg.norm(vector) - 1) < 2e-3 for vector in vectors):
        return (
            f'is a vector of length 1 with {vectors[0].size} numbers, an embedding: expected one score per class; '
            'export a classifier')
    return ''


def _used(rows: np.ndarray) -> np.ndarray:
    """Return the rows that hold a candidate: finite, without those that only fill the output.

    Exporters fill it with zeros, with the score 0 or -1, or with the class -1.
    """
    rows = _finite(rows)
    scores, classes = rows[:, 4], rows[:, 5]
    filling = (scores == 0) | (scores == -1) | ((classes < 0) & (classes == np.rint(classes)))
    used: np.ndarray = rows[~filling]
    return used


def _finite(rows: np.ndarray) -> np.ndarray:
    """Return the rows without NaN and infinity, which `decode` reports."""
    finite: np.ndarray = rows[np.isfinite(rows).all(axis=1)]
    return finite
