# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the first directory of a TIFF: its size, and whether its data is there.

Source: TIFF 6.0 (Adobe, 1992), sections 2, 8 and 15.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DamagedImageError, FrameError
from .inflate import inflate
from .size import check_bytes, check_size

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOURS, _SAMPLES, _ROWS = 256, 257, 258, 259, 262, 277, 278
_STRIP_OFFSETS, _STRIP_SIZES, _PLANES, _TILE_WIDTH, _TILE_HEIGHT = 273, 279, 284, 322, 323
_TILE_OFFSETS, _TILE_SIZES, _SAMPLE_FORMAT = 324, 325, 339
# BYTE, SHORT and LONG.
_TYPES = {1: 1, 3: 2, 4: 4}
NONE, LZW, DEFLATE, PACKBITS, OLD_DEFLATE = 1, 5, 8, 32773, 32946
_YCBCR = 6
COMPRESSIONS = {NONE: 'none', LZW: 'LZW', DEFLATE: 'deflate', PACKBITS: 'PackBits', OLD_DEFLATE: 'deflate'}
_MOST_ENTRIES = 4096


@dataclass(frozen=True)
class TiffFile:
    """The first image of a TIFF.

    bits: of a sample; samples: samples of a pixel; compression: see COMPRESSIONS
    fault: the missing part of the data, '' if all of it is there
    """

    width: int
    height: int
    bits: int
    samples: int
    compression: int
    is_float: bool
    fault: str


def is_tiff(content: bytes) -> bool:
    """Return whether the data begins like a TIFF."""
    return content[:4] in (b'II*\0', b'MM\0*')


def read_tiff(content: bytes, max_pixels: int) -> TiffFile:
    """Return the first directory of a TIFF.

    content: is_tiff

    Raises FrameError for more than max_pixels pixels, in the image or in a tile; DamagedImageError if the directory is
    damaged.
    """
    tags = read_directory(content)
    if tags is None or _WIDTH not in tags or _HEIGHT not in tags:
        raise DamagedImageError(f'compressed TIFF image: the header is damaged or cut off ({len(content)} bytes)')
    width, height = int(tags[_WIDTH][0]), int(tags[_HEIGHT][0])
    check_size(width, height, 'compressed TIFF', max_pixels)
    tiled = _TILE_WIDTH in tags and _TILE_HEIGHT in tags
    if tiled:
        check_size(int(tags[_TILE_WIDTH][0]), int(tags[_TILE_HEIGHT][0]), 'tile of a compressed TIFF', max_pixels)
    bits, samples = tags.get(_BITS, np.ones(1, int)), int(tags.get(_SAMPLES, np.ones(1, int))[0])
    if samples < 1 or len(set(bits.tolist())) != 1:
        raise FrameError('compressed TIFF image: its channels have different numbers of bits')
    found = TiffFile(
        width, height, int(bits[0]), samples, int(tags.get(_COMPRESSION, np.ones(1, int))[0]),
        int(tags.get(_SAMPLE_FORMAT, np.ones(1, int))[0]) == 3, '')
    check_bytes(
        width * height * samples * found.bits // 8, f'compressed TIFF image of {width}x{height} pixels', max_pixels)
    return TiffFile(**{**vars(found), 'fault': _fault(content, tags, found, tiled)})


def read_directory(content: bytes) -> dict[int, np.ndarray] | None:
    """Return the whole-number tags of the first directory of a TIFF or of Exif data, None if it is damaged."""
    order = {b'II': '<', b'MM': '>'}.get(content[:2])
    if order is None or len(content) < 8:
        return None
    short, long = np.dtype(f'{order}u2'), np.dtype(f'{order}u4')
    start = int(np.frombuffer(content, long, 1, 4)[0])
    if start + 2 > len(content):
        return None
    count = int(np.frombuffer(content, short, 1, start)[0])
    if count > _MOST_ENTRIES or start + 2 + 12 * count > len(content):
        return None
    tags: dict[int, np.ndarray] = {}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = (int(number) for number in np.frombuffer(content, short, 2, entry))
        length = int(np.frombuffer(content, long, 1, entry + 4)[0])
        size = _TYPES.get(kind, 0) * length
        place = entry + 8 if size <= 4 else int(np.frombuffer(content, long, 1, entry + 8)[0])
        if not size or tag in tags:
            continue
        if place + size > len(content):
            return None
        tags[tag] = np.frombuffer(content, f'{order}u{_TYPES[kind]}', length, place).astype(np.int64)
    return tags


def _fault(content: bytes, tags: dict[int, np.ndarray], found: TiffFile, tiled: bool) -> str:
    """Return what is missing of the strips or tiles, '' if nothing is."""
    offsets = tags.get(_TILE_OFFSETS if tiled else _STRIP_OFFSETS)
    sizes = tags.get(_TILE_SIZES if tiled else _STRIP_SIZES)
    if offsets is None or sizes is None or len(offsets) != len(sizes):
        return 'the list of its parts is damaged'
    if tiled:
        across, rows = int(tags[_TILE_WIDTH][0]), int(tags[_TILE_HEIGHT][0])
        needed = -(-found.width // across) * -(-found.height // rows)
    else:
        across = found.width
        rows = min(int(tags.get(_ROWS, np.array([found.height]))[0]) or found.height, found.height)
        needed = -(-found.height // rows)
    planes = int(tags.get(_PLANES, np.ones(1, int))[0]) == 2
    if len(offsets) < needed * (found.samples if planes else 1):
        return f'it has {len(offsets)} of {needed} parts'
    if (sizes <= 0).any() or (offsets + sizes > len(content)).any():
        return f'the data is cut off after {len(content)} bytes'
    row = -(-across * found.bits * (1 if planes else found.samples) // 8)
    # Subsampled colours have shorter rows.
    if found.compression not in (NONE, DEFLATE, OLD_DEFLATE) or int(tags.get(_COLOURS, np.ones(1, int))[0]) == _YCBCR:
        return ''
    for index, (offset, size) in enumerate(zip(offsets.tolist(), sizes.tolist())):
        part = index % needed
        expected = row * (rows if tiled else min(rows, found.height - part * rows))
        if not _has(content[offset:offset + size], expected, found.compression):
            return f'part {index} of {len(offsets)} is damaged'
    return ''


def _has(part: bytes, expected: int, compression: int) -> bool:
    """Return whether this strip or tile has all its bytes."""
    return len(part) >= expected if compression == NONE else not inflate(part, expected)[1]
