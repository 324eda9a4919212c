# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Recognises segmentation, pose and oriented-box models (further_columns.py) by the user, metadata and shapes."""

from __future__ import annotations

import ast
import math
from typing import NamedTuple

from .detection import FamilyHead
from .evidence import HeadEvidence, dense_counts, is_feature_map
from .further_columns import AFTER_NMS, DENSE, WITH_OBJECTNESS, FurtherColumnsHead, ObbHead, PoseHead, SegmentHead

_OF_TASK: dict[str, type[FurtherColumnsHead]] = {'segment': SegmentHead, 'pose': PoseHead, 'obb': ObbHead}
_OF_HEAD = {'Segment': SegmentHead, 'YOLOESegment': SegmentHead, 'Pose': PoseHead, 'OBB': ObbHead}
# YOLOv5 and Ultralytics have prototypes of a quarter of the input's size.
_STRIDE = 4


class _Prototypes(NamedTuple):
    """One way to read the only output that can be prototypes. number: of the prototypes, and of the coefficients."""

    name: str
    number: int
    channels_last: bool


def further_columns_heads(evidence: HeadEvidence) -> list[FamilyHead]:
    """Return the head if the metadata or mask prototypes say that there are further columns, else []."""
    maps = [(name, shape) for name, shape in evidence.outputs if is_feature_map(shape)]
    tables = [(name, shape) for name, shape in evidence.outputs if len(shape) == 3 and shape[0] == 1]
    kind = _kind(evidence)
    if kind is None and len(maps) == len(tables) == 1 and len(evidence.outputs) == 2:
        kind = SegmentHead
    if kind is None or len(tables) != 1 or not evidence.is_float(tables[0][0]):
        return []
    name, (_, rows, columns) = tables[0]
    if kind is SegmentHead and len(maps) == 1:
        found = _layout(rows, columns, maps[0][1][1], evidence)
        for prototypes in _orders(*maps[0], evidence, found is not None and found[0] == WITH_OBJECTNESS):
            if head := _segment_head(name, rows, columns, prototypes, evidence):
                return [head]
        return _with_unusable_prototypes(name, columns, evidence)
    # The number of further columns, as far as it is known.
    further = 1 if kind is ObbHead else maps[0][1][1] if kind is SegmentHead and maps else _key_point_numbers(evidence)
    found = _layout(rows, columns, further, evidence)
    return [kind(found[1], name, found[0])] if found else []


def _segment_head(
    name: str, rows: int, columns: int, prototypes: _Prototypes, evidence: HeadEvidence,
) -> SegmentHead | None:
    found = _layout(rows, columns, prototypes.number, evidence)
    if found is None or (found[0] == AFTER_NMS and columns != 6 + prototypes.number):
        return None
    return SegmentHead(found[1], name, found[0], prototypes.name, prototypes.channels_last)


def _with_unusable_prototypes(name: str, columns: int, evidence: HeadEvidence) -> list[FamilyHead]:
    """Return a head for the boxes alone, if the metadata say that NMS is in the network."""
    return [SegmentHead(evidence.num_names or 0, name, AFTER_NMS)] if evidence.end_to_end and columns > 6 else []


def _layout(rows: int, columns: int, further: int | None, evidence: HeadEvidence) -> tuple[str, int] | None:
    """Return the layout and the number of classes of [1, rows, columns], None if the numbers do not fit.

    further: number of further columns, None if unknown
    """
    if evidence.end_to_end or (evidence.end_to_end is None and columns == 6 + (further or 0) and rows <= 1000):
        return (AFTER_NMS, evidence.num_names or 0) if columns > 6 else None
    dense = dense_counts(evidence.input_size)
    is_turned = columns > rows if (rows in dense) == (columns in dense) else columns in dense
    layout, used = (DENSE, rows - 4) if is_turned else (WITH_OBJECTNESS, columns - 5)
    classes = evidence.num_names or (used - further if further is not None else 0)
    if classes < 1 or used <= classes or (further is not None and used != classes + further):
        return None
    return layout, classes


def _orders(
    name: str, shape: tuple[int, ...], evidence: HeadEvidence, of_yolov5: bool,
) -> list[_Prototypes]:
    """Return both ways to read prototypes, the likelier one first: their number need not decide.

    of_yolov5: whether the candidates have an objectness. In .tflite files Ultralytics' prototypes are [1, h, w, M];
        YOLOv5 turns its own to [1, M, h, w] (TFSegment in its models/tf.py)
    """
    first, last = _Prototypes(name, shape[1], False), _Prototypes(name, shape[3], True)
    width, height = (-(-side // _STRIDE) for side in evidence.input_size)
    fits_first, fits_last = shape[2:] == (height, width), shape[1:3] == (height, width)
    if fits_first != fits_last:
        return [first, last] if fits_first else [last, first]
    return [last, first] if evidence.channels_last and not of_yolov5 else [first, last]


def _kind(evidence: HeadEvidence) -> type[FurtherColumnsHead] | None:
    if evidence.asked in _OF_TASK:
        return _OF_TASK[evidence.asked]
    said = evidence.metadata.get('head', '')
    kind = next((kind for start, kind in _OF_HEAD.items() if said.startswith(start)), None)
    return kind or _OF_TASK.get(evidence.metadata.get('task', ''))


def _key_point_numbers(evidence: HeadEvidence) -> int | None:
    """Return the numbers of Ultralytics' `kpt_shape`, such as 51 for '[17, 3]'; None if it is missing."""
    try:
        points = ast.literal_eval(evidence.metadata.get('kpt_shape', ''))
        return math.prod(int(number) for number in points)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
