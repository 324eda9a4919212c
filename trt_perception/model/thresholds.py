# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A model's own default score threshold and NMS overlap, from the metadata `trt_perception.postprocessing`.

    {"score_threshold": 0.35, "iou_threshold": 0.6}

A network whose scores are low or high by training has other useful thresholds than the usual ones. The user's settings
win over them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ModelError, printable
from .heads.detection import DetectionSettings

METADATA_KEY = 'trt_perception.postprocessing'
_NAMES = ('score_threshold', 'iou_threshold')


@dataclass(frozen=True)
class Thresholds:
    """The thresholds to use if the user sets none; see DetectionSettings."""

    score_threshold: float = DetectionSettings.score_threshold
    iou_threshold: float = DetectionSettings.iou_threshold

    def chosen(self, score_threshold: float | None, iou_threshold: float | None) -> tuple[float, float]:
        """Return the user's thresholds, those of the model in place of None and of negative numbers."""
        return (
            self.score_threshold if score_threshold is None or score_threshold < 0 else score_threshold,
            self.iou_threshold if iou_threshold is None or iou_threshold < 0 else iou_threshold)


def thresholds_of(metadata: Mapping[str, str]) -> Thresholds:
    """Return the thresholds in the metadata, the usual ones for those that are missing; ModelError for other values."""
    text = metadata.get(METADATA_KEY)
    if not text:
        return Thresholds()
    expected = 'expected a JSON object with numbers in 0..1 for score_threshold, iou_threshold or both'
    try:
        values: dict[str, Any] = dict(json.loads(text))
    except (ValueError, TypeError, RecursionError):
        raise ModelError(f"the model's metadata {METADATA_KEY} is {printable(text[:120])}: {expected}") from None
    for name, value in values.items():
        if name not in _NAMES or isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise ModelError(f"the model's metadata {METADATA_KEY} has {printable(name)} {value!r}: {expected}")
    return Thresholds(**{name: float(value) for name, value in values.items()})
