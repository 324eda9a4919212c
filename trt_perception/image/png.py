# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decodes PNG: inflates and checks the data here, then lets OpenCV undo the filters and the interlacing.

libpng prints each fault to stderr and returns no image. It gets only data without faults: stored blocks of the checked
bytes. At 1280x720 this takes 18 ms instead of 14 ms for imdecode.
"""

from __future__ import annotations

import zlib

import numpy as np

from ..errors import DamagedImageError
from .decoded import Decoded, drop_damaged
from .opencv import imdecode
from .options import ImageOptions
from .png_file import PngFile, read_png

_MOST_FILTER = 4
# How much is lost after a fault of the zlib stream.
_STEP = 1024


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
    rows, fault = _inflate(png, size)
    if fault and not png.ended:
        fault = f'the data is cut off after {len(content)} bytes: {fault}'
    fault = png.fault or fault
    if not rows:
        raise DamagedImageError(f'{what}: {fault}')
    if len(rows) < size:
        rows = rows.ljust(size, b'\0')
    if not _has_known_filters(rows, png):
        fault, rows = fault or 'the filter of a row is unknown', _with_known_filters(rows, png)
    fault = f'{what}: {fault}' if fault else ''
    drop_damaged(fault, options)
    stream = zlib.compress(rows, 0)
    # The image may be large: at any time two copies exist.
    del rows
    clean = png.with_image_data(stream)
    del stream
    pixels = imdecode(np.frombuffer(clean, np.uint8))
    if pixels is None:
        raise DamagedImageError(f'{what}: the data is damaged')
    return Decoded(pixels, fault, png.exif)


def _inflate(png: PngFile, size: int) -> tuple[bytes, str]:
    """Return at most `size` bytes of rows, and the fault of the stream, '' without one."""
    stream = b''.join(png.image_data)
    inflate = zlib.decompressobj()
    try:
        rows = inflate.decompress(stream, size)
        rest = inflate.decompress(inflate.unconsumed_tail, 1) if len(rows) == size else b''
    except zlib.error:
        return _inflate_in_steps(stream, size)
    if len(rows) < size:
        return rows, f'{len(rows)} of {size} bytes of pixels'
    # More data than the image needs is not damage. Its checksum is unknown then.
    if not inflate.eof and not rest:
        return rows, 'without its checksum'
    return rows, ''


def _inflate_in_steps(stream: bytes, size: int) -> tuple[bytes, str]:
    """Return what can be inflated before the fault."""
    inflate = zlib.decompressobj()
    rows: list[bytes] = []
    found = 0
    try:
        for start in range(0, len(stream), _STEP):
            if found >= size:
                break
            rows.append(inflate.decompress(stream[start:start + _STEP], size - found))
            found += len(rows[-1])
            while inflate.unconsumed_tail and found < size:
                rows.append(inflate.decompress(inflate.unconsumed_tail, size - found))
                found += len(rows[-1])
    except zlib.error as error:
        return b''.join(rows), str(error)
    return b''.join(rows), 'the checksum of the data is wrong'


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
