# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The thresholds of the detection heads."""

from __future__ import annotations

from dataclasses import dataclass

from ..thresholds import Thresholds


@dataclass(frozen=True)
class DetectionSettings:
    """Thresholds of the detection head; all may change between two frames.

    score_threshold: detections with a lower score are removed, 0..1
    iou_threshold: IoU above which the lower-scoring box of a pair is suppressed, 0..1
    keep_classes: class indices to keep, None for all
    """

    score_threshold: float = Thresholds.score
    iou_threshold: float = Thresholds.iou
    class_agnostic_nms: bool = False
    max_detections: int = 300
    keep_classes: frozenset[int] | None = None
