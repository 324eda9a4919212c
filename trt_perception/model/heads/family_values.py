# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks of scores and classes for several families. Each returns the rest of a sentence, '' without a problem."""

from __future__ import annotations

import numpy as np

# float16 and int8 may give a little more than 1. No sigmoid is negative.
LOWEST_SCORE, HIGHEST_SCORE = -0.001, 1.01
NO_NMS = 'export it without NMS (YOLOv6 and YOLOv7: no --end2end, YOLOv7 with --grid)'
_CLASS_TOLERANCE = 0.01
# No detector has more classes.
_MOST_CLASSES = 100_000


def are_scores(values: np.ndarray) -> bool:
    """Return whether all finite values are in 0..1."""
    values = values[np.isfinite(values)]
    return not len(values) or bool(values.min() >= LOWEST_SCORE and values.max() <= HIGHEST_SCORE)


def score_problem(name: str, scores: np.ndarray) -> str:
    """Check that the scores in the output `name`, of any shape, are in 0..1."""
    finite = scores[np.isfinite(scores)]
    if are_scores(scores):
        return ''
    return (
        f"has scores from {finite.min():.3g} to {finite.max():.3g} (in '{name}'): expected 0..1; if these are raw "
        'logits, export the model with its sigmoid')


def class_problem(name: str, classes: np.ndarray, num_names: int) -> str:
    """Check that the classes (N,) of rows in use are indices; num_names: number of class names, 0 if unknown."""
    classes = np.asarray(classes, np.float64)
    classes = classes[np.isfinite(classes)]
    wrong = (np.abs(classes - np.rint(classes)) > _CLASS_TOLERANCE) | (classes > _MOST_CLASSES) | (classes < 0)
    if wrong.any():
        return f"has the class {classes[wrong][0]:.6g} (in '{name}'): expected the index of a class"
    if num_names and len(classes) and classes.max() > num_names - 1 + _CLASS_TOLERANCE:
        return (
            f"has the class {classes.max():.0f} (in '{name}'), but there are only {num_names} class names, for 0 to "
            f'{num_names - 1}: correct the class names')
    return ''


def logit(score: float) -> float:
    """Return the value whose sigmoid is the score; infinite for 0 and 1."""
    if not 0.0 < score < 1.0:
        return -np.inf if score <= 0.0 else np.inf
    return float(np.log(score / (1.0 - score)))


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) in float32, without overflow."""
    values = np.asarray(values, np.float32)
    small = np.exp(-np.abs(values))
    result: np.ndarray = np.where(values >= 0, 1.0 / (1.0 + small), small / (1.0 + small)).astype(np.float32)
    return result
