# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which source pixels make a pixel of the resized image, and their weights in fixed point.

The host and the CUDA kernels use these tables, so both give the same pixels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..model.geometry import Geometry

# One column or row of the target: two source indices and their weights in units of 1/2048.
TAPS = np.dtype([
    ('first', np.int32), ('second', np.int32), ('first_weight', np.int32), ('second_weight', np.int32)])
LINEAR_UNITS = 2048
# Pillow's PRECISION_BITS: 32 bits less 8 of a pixel and 2 for sums that exceed it.
FILTER_BITS = 22


class Spans(NamedTuple):
    """The sources of n neighbouring columns (or rows) with an antialiasing filter.

    first, number: (n,) int64, the first source index and the number of sources
    weights: (n, most) int64 in units of 1 / 2**FILTER_BITS, zero beyond `number`
    """

    first: np.ndarray
    number: np.ndarray
    weights: np.ndarray


def taps(source_size: int, target_size: int, offset: int = 0) -> np.ndarray:
    """Return the taps of `target_size` columns (or rows) on `source_size`, as in OpenCV's INTER_LINEAR.

    offset: index of the source's first column in the frame
    Returns (target_size,) of TAPS. From modules/imgproc/src/resize.cpp: float32 positions, and weights rounded
    to 11 bits.
    """
    scale = 1.0 / (target_size / source_size)
    position = ((np.arange(target_size) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(position)
    fraction = position - first
    index = first.astype(np.int64)
    result = np.empty(target_size, TAPS)
    result['first'] = np.clip(index, 0, source_size - 1) + offset
    result['second'] = np.clip(index + 1, 0, source_size - 1) + offset
    result['first_weight'] = np.rint((np.float32(1.0) - fraction) * np.float32(LINEAR_UNITS))
    result['second_weight'] = np.rint(fraction * np.float32(LINEAR_UNITS))
    return result


def column_taps(geometry: Geometry) -> np.ndarray:
    """Return the taps of the target's columns.

    At the edges OpenCV gives a single column the full weight.
    """
    result = taps(int(geometry.crop_width), geometry.target_width, int(geometry.crop_x))
    single = result['first'] == result['second']
    result['first_weight'][single] = LINEAR_UNITS
    result['second_weight'][single] = 0
    return result


def row_taps(geometry: Geometry) -> np.ndarray:
    """Return the taps of the target's rows.

    At the edges OpenCV blends a row with itself, with the weights of the position.
    """
    return taps(int(geometry.crop_height), geometry.target_height, int(geometry.crop_y))


def spans(interpolation: str, source_size: int, resized_size: int, start: int, count: int) -> Spans:
    """Return the sources of the columns start .. start + count - 1 of an image resized to `resized_size`.

    interpolation: bilinear_antialias or bicubic_antialias
    From Pillow's src/libImaging/Resample.c (precompute_coeffs, normalize_coeffs_8bpc): the filter is as wide as a pixel
    of the result, it is cut at the edges, and the weights of each column add up to one.
    """
    radius, curve = _FILTERS[interpolation]
    scale = source_size / resized_size
    wide = max(scale, 1.0)
    support = radius * wide
    centre = (np.arange(start, start + count) + 0.5) * scale
    first = np.maximum(np.trunc(centre - support + 0.5).astype(np.int64), 0)
    number = np.minimum(np.trunc(centre + support + 0.5).astype(np.int64), source_size) - first
    index = np.arange(math.ceil(support) * 2 + 1)
    weights = curve(np.abs((index + first[:, None] - centre[:, None] + 0.5) * (1.0 / wide)))
    weights[index >= number[:, None]] = 0.0
    weights /= weights.sum(axis=1, keepdims=True)
    whole = np.trunc(weights * (1 << FILTER_BITS) + np.where(weights < 0, -0.5, 0.5)).astype(np.int64)
    return Spans(first, number, whole[:, :int(number.max())])


def column_spans(interpolation: str, geometry: Geometry) -> Spans:
    """Return the sources of the target's columns."""
    resized = geometry.resized
    return spans(interpolation, geometry.image_width, resized.width, resized.x, geometry.target_width)


def row_spans(interpolation: str, geometry: Geometry) -> Spans:
    """Return the sources of the target's rows."""
    resized = geometry.resized
    return spans(interpolation, geometry.image_height, resized.height, resized.y, geometry.target_height)


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1.0 - distance, 0.0)


def _cubic(distance: np.ndarray) -> np.ndarray:
    # Keys' cubic convolution with a = -0.5.
    near = (1.5 * distance - 2.5) * distance * distance + 1.0
    far = ((-0.5 * distance + 2.5) * distance - 4.0) * distance + 2.0
    result: np.ndarray = np.where(distance < 1.0, near, np.where(distance < 2.0, far, 0.0))
    return result


# Radius in pixels of the result, and the filter as a function of the distance.
_FILTERS = {'bilinear_antialias': (1.0, _triangle), 'bicubic_antialias': (2.0, _cubic)}
