# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How two annotations are compared."""

from __future__ import annotations

from dataclasses import dataclass

from ..precision.parity import MATCH_IOU

# As in COCO's AP75: a box with a lower IoU is not a good box for the same object.
MOVED_IOU = 0.75


@dataclass(frozen=True)
class CompareOptions:
    """The options of one comparison.

    iou: boxes with at least this IoU may be the same object
    moved_iou: a matched box with a lower IoU has moved
    score: boxes with a lower score are not counted. They only serve as partners, down to parity.SCORE_MARGIN below
    common_classes: other classes than those of both are left out, instead of an error
    pictures: the largest differences that are kept
    """

    iou: float = MATCH_IOU
    moved_iou: float = MOVED_IOU
    score: float = 0.0
    common_classes: bool = False
    pictures: int = 24
