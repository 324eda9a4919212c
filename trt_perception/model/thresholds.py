# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector's own score and IoU threshold, from its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import ModelError, one_line

SCORE_KEY = 'score_threshold'
IOU_KEY = 'iou_threshold'


@dataclass(frozen=True)
class Thresholds:
    """What a detector uses if the user sets nothing.

    score: detections with a lower score are dropped, 0..1
    iou: IoU above which the lower-scoring box of the same class is removed, 0..1
    """

    score: float = 0.25
    iou: float = 0.45

    def chosen(self, score: float | None, iou: float | None) -> Thresholds:
        """Return these thresholds, replaced by each of the user's that is not None."""
        return Thresholds(self.score if score is None else score, self.iou if iou is None else iou)


def thresholds_of(metadata: Mapping[str, str]) -> Thresholds:
    """Return the thresholds in a file's metadata, the usual ones for missing keys. Raises ModelError for wrong ones."""
    return Thresholds().chosen(_fraction(metadata, SCORE_KEY), _fraction(metadata, IOU_KEY))


def _fraction(metadata: Mapping[str, str], key: str) -> float | None:
    if key not in metadata:
        return None
    try:
        value = float(metadata[key])
    except (TypeError, ValueError):
        value = -1.0
    # A comparison with NaN is False.
    if not 0.0 <= value <= 1.0:
        raise ModelError(
            f"the model's metadata has {key} {one_line(repr(metadata[key]), 40)}: expected a number from 0 to 1; "
            'correct it in the file (see models/README.md)')
    return value
