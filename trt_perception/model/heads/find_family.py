# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the heads of families other than YOLO's usual outputs. Each family's file recognises its own."""

from __future__ import annotations

from collections.abc import Callable

from .anchors import AnchorsHead, anchors_heads
from .detection import FamilyHead
from .detr import DETR_OUTPUTS, DetrHead, detr_heads
from .evidence import HeadEvidence
from .find_further_columns import further_columns_heads
from .further_columns import ObbHead, PoseHead, SegmentHead
from .labelled import LabelledHead, labelled_heads
from .nanodet import NanoDetHead, nanodet_heads
from .rows import SsdRowsHead, Yolov7RowsHead, rows_heads
from .rtdetr import RtdetrHead, RtdetrRowsHead, rtdetr_heads
from .separate import SeparateHead, separate_heads
from .yolox import YoloxHead

_Finder = Callable[[HeadEvidence], list[FamilyHead]]
_FINDERS: tuple[_Finder, ...] = (
    labelled_heads, rows_heads, rtdetr_heads, detr_heads, separate_heads, nanodet_heads, further_columns_heads)
FAMILY_KINDS = tuple(head.kind for head in (
    RtdetrHead, RtdetrRowsHead, DetrHead, LabelledHead, Yolov7RowsHead, SsdRowsHead, SeparateHead, YoloxHead,
    NanoDetHead, AnchorsHead, SegmentHead, PoseHead, ObbHead))
# Their outputs do not show the number of classes.
UNCOUNTED_KINDS = tuple(head.kind for head in (RtdetrRowsHead, LabelledHead, Yolov7RowsHead, SsdRowsHead))
FAMILY_LAYOUTS = (
    'RT-DETR [1, Q, 4+C] or [1, Q, 6]; DETR [1, Q, 4], [1, Q, C]; boxes [1, N, 4], scores [1, N, C]; '
    'boxes [1, N, 4], scores [1, N] and labels [1, N]; rows [N, 7] or [1, 1, N, 7]; YOLOX [1, N, 5+C]; '
    'NanoDet [1, N, C+4*B]; maps [1, A*(5+C), h, w] with anchors in the metadata; '
    'segmentation [1, 4+C+M, N]; pose [1, 4+C+K, N]; oriented boxes [1, 4+C+1, N]')


def family_heads(evidence: HeadEvidence, wanted: str = 'auto') -> list[FamilyHead]:
    """Return the family heads that fit by names, shapes and metadata, the likeliest first.

    wanted: auto, or one kind
    """
    described = anchors_heads(evidence)
    if described:
        return described if wanted in ('auto', described[0].kind) else []
    found: list[FamilyHead] = []
    for finder in _FINDERS:
        fitting = finder(evidence)
        if fitting and evidence.named(*DETR_OUTPUTS):
            # The names leave no doubt.
            return fitting if wanted in ('auto', fitting[0].kind) else []
        found += fitting
    return [head for head in found if wanted in ('auto', head.kind)]
