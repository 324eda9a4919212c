# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The cells of dense heads that do not decode their boxes: one row for each cell, the finest grid first."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np


@functools.lru_cache(maxsize=8)
def cells(size: tuple[int, int], strides: tuple[int, ...]) -> np.ndarray:
    """Return (N, 3) float32 column, row and stride of each cell, row by row. size: width, height of the input."""
    width, height = size
    parts = []
    for stride in strides:
        rows, columns = np.mgrid[0:-(-height // stride), 0:-(-width // stride)].reshape(2, -1)
        parts.append(np.stack([columns, rows, np.full(len(rows), stride)], axis=1))
    result = np.concatenate(parts).astype(np.float32)
    # The cached array is shared.
    result.setflags(write=False)
    return result


def strides_of(count: int, size: tuple[int, int], known: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Return the strides of `known` whose cells are `count` rows, None if there are none."""
    return next((strides for strides in known if len(cells(size, strides)) == count), None)
