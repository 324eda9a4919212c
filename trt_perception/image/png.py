# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decodes PNG: inflates and checks the data here, then lets OpenCV undo the filters and the interlacing.

libpng prints each fault to stderr and returns no image. It gets only data without faults: stored blocks of the checked
bytes. Times: docs/images.md.
"""

from __future__ import annotations

import zlib

import numpy as np

from ..errors import DamagedImageError
from .decoded import Decoded, drop_damaged
from .inflate import inflate
from .opencv import imdecode
from .options import ImageOptions
from .png_file import PngFile, read_png
from .size import check_bytes

_MOST_FILTER = 4


def decode_png(content: bytes, options: ImageOptions) -> Decoded:
    """Decode a PNG to grey, BGR or BGRA with 8 or 16 bits, as OpenCV's IMREAD_UNCHANGED.

    content: begins with png_file.SIGNATURE

    Raises FrameError for a size over the limit, before anything is inflated; DamagedImageError for damage, unless
    damaged images are kept and there is something to keep. The missing part of a damaged image is black.
    """
    png = read_png(content, options.max_pixels)
    what = f'compressed PNG image of {png.width}x{png.height} pixels'
    drop_damaged(f'{what}: {png.fault}' if png.fault else '', options)
    size = sum(row * rows for row, rows in png.passes())
    # Without the bytes of the filters.
    check_bytes(size - sum(rows for _, rows in png.passes()), what, options.max_pixels)
    rows, fault = inflate(b''.join(png.image_data), size)
    if fault and not png.ended:
        fault = f'the data is cut off after {len(content)} bytes: {fault}'
    fault = png.fault or fault
    what_is_wrong = f'{what}: {fault}'
    drop_damaged(what_is_wrong if fault else '', options)
    if len(rows) < size and png.interlaced:
        rows = rows.ljust(size, b'\0')
    # Only the rows that are there are decoded: a header may claim a large image.
    height = png.height if png.interlaced else len(rows) // png.passes()[0][0]
    if not height or not rows:
        raise DamagedImageError(what_is_wrong)
    if not _has_known_filters(rows, png):
        fault = fault or 'the filter of a row is unknown'
        what_is_wrong = f'{what}: {fault}'
        drop_damaged(what_is_wrong, options)
        rows = _with_known_filters(rows, png)
    stream = zlib.compress(rows if png.interlaced else rows[:height * png.passes()[0][0]], 0)
    # The image may be large: at any time two copies exist.
    del rows
    clean = png.with_image_data(stream, height)
    del stream
    pixels = imdecode(np.frombuffer(clean, np.uint8))
    if pixels is None:
        raise DamagedImageError(f'{what}: the data is damaged')
    if height < png.height:
        whole = np.zeros((png.height, *pixels.shape[1:]), pixels.dtype)
        whole[:height] = pixels
        pixels = whole
    return Decoded(pixels, what_is_wrong if fault else '', png.exif)


def _has_known_filters(rows: bytes, png: PngFile) -> bool:
    return all(filters.max() <= _MOST_FILTER for filters in _filters(np.frombuffer(rows, np.uint8), png))


def _with_known_filters(rows: bytes, png: PngFile) -> bytes:
    mended: np.ndarray = np.frombuffer(rows, np.uint8).copy()
    for filters in _filters(mended, png):
        filters[filters > _MOST_FILTER] = 0
    result: bytes = mended.tobytes()
    return result


def _filters(rows: np.ndarray, png: PngFile) -> list[np.ndarray]:
    """Return views of the first byte of each row, one for each pass."""
    views, start = [], 0
    for row, count in png.passes():
        views.append(rows[start:start + row * count:row])
        start += row * count
    return views
