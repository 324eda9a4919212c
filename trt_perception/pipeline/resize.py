# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Resizes 8-bit images on the host: as OpenCV's INTER_LINEAR on x86-64, or as Pillow with antialiasing.

The pixels are the same with every OpenCV, BLAS and processor.
"""

from __future__ import annotations

import functools
from typing import NamedTuple, Protocol

import numpy as np

from ..dependencies import require
from ..model.geometry import Geometry
from .taps import FILTER_BITS, Spans, column_spans, column_taps, row_spans, row_taps


class Resize(Protocol):
    """Resizes (image_height, image_width) or (image_height, image_width, C) uint8 to the target of its geometry."""

    def __call__(self, pixels: np.ndarray, target: np.ndarray | None = None) -> np.ndarray:
        """Return (target_height, target_width) or (target_height, target_width, C) uint8.

        target: an array of this shape, which may be a view into a larger one. It may be written and returned; another
        array may also be returned
        """


# Rows of the result that one matrix product makes.
_ROWS = 8
# OpenBLAS computes smaller products (rows * columns * depth) in the calling thread. Waking its threads takes
# longer, and they would compete with those of ONNX Runtime.
_SMALL_PRODUCT = 1 << 18
# Target width and height, source width and height: enlarged, the same, halved, and other ratios with edges.
_CHECKED_SIZES = ((64, 48, 37, 31), (40, 24, 80, 48), (37, 29, 111, 87), (41, 23, 128, 72), (33, 31, 33, 62))


def make_resize(interpolation: str, geometry: Geometry) -> Resize:
    """Return a function that resizes images of this geometry."""
    if interpolation != 'linear':
        return _separable(
            column_spans(interpolation, geometry), row_spans(interpolation, geometry))
    return functools.partial(_linear, geometry)


def _linear(geometry: Geometry, pixels: np.ndarray, target: np.ndarray | None = None) -> np.ndarray:
    crop = pixels[
        int(geometry.crop_y):int(geometry.crop_y + geometry.crop_height),
        int(geometry.crop_x):int(geometry.crop_x + geometry.crop_width)]
    if crop.shape[:2] == (geometry.target_height, geometry.target_width):
        return crop
    if not opencv_is_exact():
        return exact_linear(pixels, geometry)
    if crop.shape[:2] == (1, 1):
        # cv2 4.5.4 (Ubuntu 22.04) rejects a colour array of a single pixel.
        crop = np.repeat(crop, 2, axis=1)
    cv2 = require('cv2')
    resized: np.ndarray = cv2.resize(
        crop, (geometry.target_width, geometry.target_height), target, interpolation=cv2.INTER_LINEAR)
    return resized


@functools.lru_cache(maxsize=1)
def opencv_is_exact() -> bool:
    """Return whether cv2.resize(INTER_LINEAR) gives the pixels that it gives on x86-64.

    OpenCV's wheels for ARM use other arithmetic (carotene, KleidiCV): up to two levels away, half a level darker or
    brighter on average. Computed once, in about a millisecond.
    """
    cv2 = require('cv2')
    random = np.random.default_rng(0)
    for width, height, source_width, source_height in _CHECKED_SIZES:
        geometry = Geometry(
            source_width, source_height, width, height, 0, 0, source_width, source_height, 0, 0, width, height)
        for shape in ((source_height, source_width), (source_height, source_width, 3)):
            pixels = random.integers(0, 256, shape, dtype=np.uint8)
            found = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
            if not np.array_equal(found, exact_linear(pixels, geometry)):
                return False
    return True


def exact_linear(pixels: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Resize with the integer arithmetic of OpenCV's INTER_LINEAR on x86-64, without its resize.

    From modules/imgproc/src/resize.cpp: HResizeLinear, VResizeLinear with FixedPtCast.
    """
    rows, columns = row_taps(geometry), column_taps(geometry)
    if (geometry.crop_width, geometry.crop_height) == (2 * geometry.target_width, 2 * geometry.target_height):
        # The same values, but much faster: each pixel is the mean of four.
        crop = pixels[int(geometry.crop_y):, int(geometry.crop_x):][
            :2 * geometry.target_height, :2 * geometry.target_width].astype(np.uint16)
        halved: np.ndarray = (
            (crop[::2, ::2] + crop[::2, 1::2] + crop[1::2, ::2] + crop[1::2, 1::2] + 2) >> 2).astype(np.uint8)
        return halved
    cv2 = require('cv2')
    used, inverse = np.unique(np.concatenate([rows['first'], rows['second']]), return_inverse=True)
    # In a transposed image the columns are rows, which NumPy gathers and multiplies much faster.
    turned = cv2.transpose(pixels[used])
    shape = (-1,) + (1,) * (pixels.ndim - 1)
    across = turned[columns['first']] * columns['first_weight'].reshape(shape)
    across += turned[columns['second']] * columns['second_weight'].reshape(shape)
    across >>= 4
    across = cv2.transpose(across)
    first, second = np.split(inverse.reshape(-1), 2)
    top, low = across[first], across[second]
    top *= rows['first_weight'].reshape(shape)
    low *= rows['second_weight'].reshape(shape)
    top >>= 16
    low >>= 16
    top += low
    top += 2
    top >>= 2
    result: np.ndarray = top.astype(np.uint8)
    return result


class _Block(NamedTuple):
    """Rows `start` to `stop` of the result, which are `matrix` times the rows `first` to `last` of the source."""

    start: int
    stop: int
    first: int
    last: int
    matrix: np.ndarray


def _separable(columns: Spans, rows: Spans) -> Resize:
    """Return a resize as Pillow's: across, rounded to 8 bits, then down."""
    cv2 = require('cv2')
    used_columns, used_rows = _used(columns), _used(rows)
    across = _blocks(columns._replace(first=columns.first - used_columns.start))
    down = _blocks(rows._replace(first=rows.first - used_rows.start))

    def resize(pixels: np.ndarray, target: np.ndarray | None = None) -> np.ndarray:
        if pixels.shape[2:] == (4,) and pixels.strides[0] % 4:
            # OpenCV 5.0's wheel for ARM transposes such rows wrongly.
            pixels = np.ascontiguousarray(pixels)
        # In a transposed image the columns are rows: then a product has long contiguous rows, whatever the channels.
        turned = cv2.transpose(pixels[used_rows, used_columns])
        narrow = _products(across, turned, len(columns.first))
        return _products(down, cv2.transpose(narrow), len(rows.first))

    return resize


def _used(table: Spans) -> slice:
    return slice(int(table.first.min()), int((table.first + table.number).max()))


def _blocks(table: Spans) -> list[_Block]:
    blocks = []
    for start in range(0, len(table.first), _ROWS):
        stop = min(start + _ROWS, len(table.first))
        part = Spans(*(values[start:stop] for values in table))
        used = _used(part)
        matrix = np.zeros((stop - start, used.stop - used.start))
        for row, (first, count, weights) in enumerate(zip(part.first, part.number, part.weights)):
            matrix[row, first - used.start:first - used.start + count] = weights[:count]
        blocks.append(_Block(start, stop, used.start, used.stop, matrix / (1 << FILTER_BITS)))
    return blocks


def _products(blocks: list[_Block], pixels: np.ndarray, height: int) -> np.ndarray:
    """Return the blocks' rows of `pixels`, (rows, ...) uint8, as (height, ...) uint8.

    The sums are exact in float64, which has 53 bits: a pixel has 8 bits and a weight 22. So no order of addition
    changes them.
    """
    source = pixels.reshape(len(pixels), -1)
    result = np.empty((height, source.shape[1]), np.uint8)
    for block in blocks:
        step = max(_SMALL_PRODUCT // block.matrix.size, 1)
        for left in range(0, source.shape[1], step):
            part = source[block.first:block.last, left:left + step].astype(np.float64)
            sums = block.matrix @ part
            sums += 0.5
            np.clip(sums, 0.0, 255.0, out=sums)
            # The conversion cuts, so this rounds halves up, as Pillow does.
            result[block.start:block.stop, left:left + step] = sums
    return result.reshape(height, *pixels.shape[1:])
