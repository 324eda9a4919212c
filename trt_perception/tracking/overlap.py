# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes as corners and as centres, and how much they overlap."""

from __future__ import annotations

import numpy as np

_ROUNDING = 1e-9
# So many pairs are all looked at.
_FEW = 4000


def centres(boxes: np.ndarray) -> np.ndarray:
    """Return (N, 4) float64, centre x, centre y, width, height, of corners x_min, y_min, x_max, y_max."""
    first, last = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    return np.concatenate([(first + last) / 2, last - first], axis=1)


def corners(boxes: np.ndarray) -> np.ndarray:
    """Return (N, 4) float64, the corners of centre x, centre y, width, height."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the IoU of each box with each other box, (N, M) float64.

    first, second: (N, 4) and (M, 4) corners
    """
    rows, columns, values = overlapping(first, second)
    found = np.zeros((len(first), len(second)))
    found[rows, columns] = values
    return found


def overlapping(
    first: np.ndarray, second: np.ndarray, margins: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the pairs of boxes that overlap: (K,) int64 rows, (K,) int64 columns, (K,) float64 IoU; in row order.

    first, second: (N, 4) and (M, 4) corners; margins: (N, 2) in x and y, by which both boxes grow on each side

    Of thousands of boxes, each overlaps with few others: all pairs would take a second.
    """
    growth = np.zeros((2, len(first))) if margins is None else 2 * margins.T
    # Each coordinate in a row of its own is faster to choose from.
    first, second = np.ascontiguousarray(first.T), np.ascontiguousarray(second.T)
    rows, columns = _pairs_in_x(first, second, growth[0])
    shared = np.ones(len(rows))
    # Most pairs in x are none in y.
    for axis in (1, 0):
        low, high = first[axis].take(rows), first[axis + 2].take(rows)
        sides = np.minimum(high, second[axis + 2].take(columns)) - np.maximum(low, second[axis].take(columns))
        sides = sides + growth[axis].take(rows)
        kept = np.flatnonzero(sides > 0)
        rows, columns, shared = rows[kept], columns[kept], (shared * sides)[kept]
    order = np.lexsort((columns, rows))
    rows, columns, shared = rows[order], columns[order], shared[order]
    areas = others = np.ones(1)
    for axis in range(2):
        grown = growth[axis].take(rows)
        areas = areas * ((first[axis + 2] - first[axis]).take(rows) + grown)
        others = others * ((second[axis + 2] - second[axis]).take(columns) + grown)
    total = areas + others - shared
    return rows, columns, np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)


def _pairs_in_x(first: np.ndarray, second: np.ndarray, growth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs of boxes that overlap in x or nearly so, as rows and columns.

    first, second: (4, N) and (4, M); growth: (N,)
    """
    count = len(second[0])
    if len(first[0]) * count < _FEW:
        everything = np.arange(len(first[0]) * count)
        rows = everything // max(1, count)
        return rows, everything - rows * count
    # The sum of rounded numbers may be a little larger.
    reach = growth + _ROUNDING * (1 + np.abs(first[0]) + np.abs(first[2]) + growth)
    lows, highs = first[0] - reach, first[2] + reach
    by_low, by_other_low = lows.argsort(), second[0].argsort()
    sorted_lows, other_lows = lows[by_low], second[0][by_other_low]
    # The left edge of one of them is within the other one.
    rows, places = _ranges(other_lows.searchsorted(lows), other_lows.searchsorted(highs))
    others, other_places = _ranges(sorted_lows.searchsorted(second[0], 'right'), sorted_lows.searchsorted(second[2]))
    return np.concatenate([rows, by_low[other_places]]), np.concatenate([by_other_low[places], others])


def _ranges(starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of all ranges, as the index of the range and the number in it."""
    counts = np.maximum(ends - starts, 0)
    index = np.repeat(np.arange(len(starts)), counts)
    return index, np.arange(len(index)) + np.repeat(starts - (counts.cumsum() - counts), counts)
