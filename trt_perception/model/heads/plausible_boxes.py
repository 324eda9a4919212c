# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Tells boxes in pixels of the input from fractions, undecoded offsets, and corners or centres in the wrong place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .evidence import dense_counts

# A decoder gives at least 21 boxes (for a 32x32 input), spread over the whole input.
_FEWEST_OF_A_GRID = 20
_FIRST_PART = 0.1
# The median centre of genuine boxes lies in the input; this many inputs away it cannot.
_FAR = 2.0
# Coordinates up to here may be fractions of the image: boxes may reach over its edges.
_LARGEST_FRACTION = 1.5
# Share of rows that an end-to-end model may have with the second corner before the first. Genuine ones have none.
_MOST_SWAPPED = 0.3
# Neighbouring candidates of a grid of so many are this part of the input apart at most; random places 0.46.
_FEWEST_OF_AN_ORDER = 200
_FARTHEST_NEIGHBOURS = 0.3
_FRACTIONS = (
    'these look like fractions of the image, which this layout does not have; export the model with box decoding to '
    'pixels')


def centre_problem(tables: Sequence[np.ndarray], size: tuple[int, int]) -> str:
    """Return why rows (N, 4+) of a dense head are not cx, cy, w, h in pixels of the input; '' if they can be.

    A decoder gives boxes all over the image, whatever it shows. Without one (YOLOX without decode_in_inference, boxes
    as fractions of the image) the output has the same shape, but nearly all boxes lie in the first pixels.
    """
    width, height = size
    for rows in tables:
        boxes = _finite(rows[:, :4])
        count = len(boxes)
        if count < _FEWEST_OF_A_GRID:
            continue
        usual = float(np.median(np.abs(boxes[:, :2])))
        expected = f'expected boxes in pixels of the {width}x{height} input'
        if usual < _FIRST_PART * min(width, height):
            found = f'has {count} boxes, half of them within {usual:.2f} of the corner: {expected}'
            if boxes.min() >= 0 and boxes.max() <= _LARGEST_FRACTION:
                return f'{found}; {_FRACTIONS}'
            return f'{found}; export the model with box decoding (YOLOX: --decode_in_inference)'
        centre = np.median(boxes[:, :2], axis=0)
        if (np.abs(centre) > _FAR * np.array(size)).any():
            return (
                f'has {count} boxes around {centre[0]:.0f}, {centre[1]:.0f}, outside of the input: {expected}; export '
                'the model for this input size')
        apart = _apart(boxes, size)
        if count == len(rows) in dense_counts(size) and count >= _FEWEST_OF_AN_ORDER and apart > _FARTHEST_NEIGHBOURS:
            return (
                f'has {count} boxes, as many as a grid has cells, but neighbours are usually {apart:.0%} of the input '
                'apart: expected boxes in the order of the cells; these are not the boxes of a detector, or those of '
                'another kind (oriented boxes, key points); export a detection model')
        if are_corners(boxes):
            return (
                f'has {count} boxes whose third and fourth numbers are always larger than the first two: these are '
                'corners (x_min, y_min, x_max, y_max), expected centre, width and height; export the model with boxes '
                'as YOLOv5 and YOLOv8 give them (cx, cy, w, h), or with NMS as [1, N, 6]')
    return ''


def corner_problem(tables: Sequence[np.ndarray], size: tuple[int, int]) -> str:
    """Return why rows (N, 4+) after NMS are not x_min, y_min, x_max, y_max in pixels of the input; '' if they can be.

    tables: the rows of each test image, without those that only fill the output
    """
    width, height = size
    expected = f'expected x_min, y_min, x_max, y_max in pixels of the {width}x{height} input'
    boxes = np.concatenate([rows[:, :4] for rows in tables])
    boxes = boxes[(boxes != 0).any(axis=1)]
    if not len(boxes):
        return ''
    if np.abs(boxes).max() <= _LARGEST_FRACTION < 0.1 * min(size):
        return f'has boxes with coordinates from {boxes.min():.2g} to {boxes.max():.2g}: {expected}; {_FRACTIONS}'
    swapped = (boxes[:, 2] < boxes[:, 0]) | (boxes[:, 3] < boxes[:, 1])
    if swapped.mean() > _MOST_SWAPPED:
        return (
            f'has {swapped.sum()} of {len(boxes)} boxes whose second corner lies before the first: {expected}; if '
            'these are cx, cy, w, h, export the model with corners')
    for rows in tables:
        # One object is one row after NMS, and one anchor is one row in YOLOv10 and YOLO26.
        distinct = len(np.unique(rows, axis=0))
        if len(rows) >= _FEWEST_OF_A_GRID and distinct < len(rows) / 2:
            return (
                f'has {len(rows)} rows, only {distinct} of them different: expected each object once, {expected[9:]}; '
                'export a detector with its boxes after NMS')
    return ''


def _apart(boxes: np.ndarray, size: tuple[int, int]) -> float:
    """Return the usual distance of the centres of consecutive boxes (N, 4), as a fraction of the input.

    In the cells of a grid it is the stride, whether rows, columns or anchors come first.
    """
    steps = np.abs(np.diff(boxes[:, :2], axis=0)) / np.array(size, np.float32)
    return float(np.median(steps.max(axis=1)))


def are_corners(boxes: np.ndarray) -> bool:
    """Return whether (N, 4) are x_min, y_min, x_max, y_max.

    Corners are ordered in all rows although both columns cover the same range. Width and height do not depend on the
    place of a box like this: a network whose boxes are all wider than the input has no common range.
    """
    first, second = boxes[:, :2], boxes[:, 2:]
    ordered = (second > first).all(axis=1).mean()
    overlapping = np.percentile(second, 25, axis=0) < np.percentile(first, 75, axis=0)
    return bool(ordered >= 0.98 and overlapping.all())


def _finite(boxes: np.ndarray) -> np.ndarray:
    finite: np.ndarray = boxes[np.isfinite(boxes).all(axis=1)]
    return finite
