# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes as networks write them: corners or centres, in pixels or as fractions; their conversion and their check."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .plausible_boxes import are_corners

CORNERS, CENTRES, YX_CORNERS = 'corners', 'centres', 'yx_corners'
PIXELS, FRACTIONS = 'pixels', 'fractions'

# Coordinates up to here may be fractions of the image: boxes may reach over its edges. A box in pixels that lies
# completely in the first pixel and a half is none.
LARGEST_FRACTION = 1.5
# Rows of all-or-nothing questions, such as whether the corners are in order. Genuine outputs have a few odd ones.
_NEARLY_ALL = 0.98
_MOST_WRONG = 0.3
# The median centre of genuine boxes lies in the input; this many inputs away it cannot.
_FAR = 2.0
_FEWEST = 20
_TEXTS = {
    CORNERS: 'x_min, y_min, x_max, y_max', CENTRES: 'cx, cy, w, h', YX_CORNERS: 'y_min, x_min, y_max, x_max'}


def to_corners(boxes: np.ndarray, coding: str, unit: str, size: tuple[int, int]) -> np.ndarray:
    """(N, 4) boxes of this coding and unit -> (N, 4) float32 x_min, y_min, x_max, y_max in network pixels."""
    result = np.array(boxes, np.float32)
    if coding == CENTRES:
        half = result[:, 2:] / 2
        result = np.concatenate([result[:, :2] - half, result[:, :2] + half], axis=1)
    elif coding == YX_CORNERS:
        result = result[:, [1, 0, 3, 2]]
    if unit == FRACTIONS:
        result *= np.array([*size, *size], np.float32)
    return result


def unit_of(boxes: np.ndarray, size: tuple[int, int]) -> str:
    """Return pixels or fractions for raw boxes (N, 4), '' if there is none."""
    boxes = used_boxes(boxes)
    if not len(boxes):
        return ''
    return FRACTIONS if _extent(boxes) <= LARGEST_FRACTION < 0.1 * min(size) else PIXELS


def coding_of(boxes: np.ndarray) -> str:
    """Return corners or centres for all raw boxes (N, 4) of a dense head, '' if they are neither or too few."""
    boxes = used_boxes(boxes)
    if len(boxes) < _FEWEST:
        return ''
    return CORNERS if (boxes[:, 2:] >= boxes[:, :2]).all(axis=1).mean() >= _NEARLY_ALL else (
        CENTRES if (boxes[:, 2:] >= 0).all(axis=1).mean() >= _NEARLY_ALL else '')


def boxes_problem(tables: Sequence[np.ndarray], coding: str, unit: str, size: tuple[int, int]) -> str:
    """Return why raw boxes (N, 4) are not of this coding and unit, as the rest of a sentence; '' if they can be.

    tables: the boxes of each test image, without those that only fill the output
    """
    boxes = used_boxes(np.concatenate([np.asarray(table, np.float32)[:, :4] for table in tables]))
    if not len(boxes):
        return ''
    width, height = size
    kind = f'in pixels of the {width}x{height} input' if unit == PIXELS else 'as fractions of the input, 0..1'
    expected = f'expected {_TEXTS[coding]} {kind}'
    extent = _extent(boxes)
    if unit == FRACTIONS and extent > LARGEST_FRACTION:
        return f'has box coordinates up to {np.abs(boxes).max():.4g}: {expected}'
    if unit == PIXELS and extent <= LARGEST_FRACTION < 0.1 * min(size):
        return f'has boxes with coordinates from {boxes.min():.2g} to {boxes.max():.2g}: {expected}'
    if coding == CENTRES:
        wrong = (boxes[:, 2:] < 0).any(axis=1)
        if wrong.mean() > _MOST_WRONG:
            return f'has {wrong.sum()} of {len(boxes)} boxes with a negative width or height: {expected}'
        if len(boxes) >= _FEWEST and are_corners(boxes):
            return (
                f'has {len(boxes)} boxes whose third and fourth numbers are always larger than the first two, as '
                f'corners are: {expected}')
    else:
        wrong = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
        if wrong.mean() > _MOST_WRONG:
            return f'has {wrong.sum()} of {len(boxes)} boxes whose second corner lies before the first: {expected}'
    centre = np.median(to_corners(boxes, coding, unit, size).reshape(-1, 2, 2).mean(axis=1), axis=0)
    if (np.abs(centre) > _FAR * np.array(size)).any():
        return f'has boxes around {centre[0]:.0f}, {centre[1]:.0f}, outside of the input: {expected}'
    return ''


def used_boxes(boxes: np.ndarray) -> np.ndarray:
    """Return the (N, 4) boxes that are finite and not all zero."""
    boxes = np.asarray(boxes, np.float32)[:, :4]
    used: np.ndarray = boxes[np.isfinite(boxes).all(axis=1) & (boxes != 0).any(axis=1)]
    return used


def _extent(boxes: np.ndarray) -> float:
    """Return the usual largest coordinate: a few boxes of a decoder may be of any size."""
    return float(np.percentile(np.abs(boxes).max(axis=1), 100 * _NEARLY_ALL))
