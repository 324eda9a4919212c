# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts the pictures in an image file: the pages of a TIFF, the frames of an animation. Reads only the structure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# More pictures than this in one file are damage.
_MOST = 1_000_000
# Tags of TIFF 6.0.
_SUBFILE_TYPE, _WIDTH, _HEIGHT = 254, 256, 257
_REDUCED = 1
_GIF_IMAGE = 0x2C
_GIF_BLOCKS = (_GIF_IMAGE, 0x21)
_UNSIGNED = {1: 'B', 3: 'H', 4: 'I', 16: 'Q'}


@dataclass(frozen=True)
class TiffPage:
    """One page. number: position among all images of the file, from 0; width, height: pixels, 0 if unknown."""

    number: int
    width: int
    height: int


def animation_length(kind: str, data: bytes | memoryview) -> int:
    """Return the number of frames of a GIF, PNG or WebP file, at least 1; 1 for another kind.

    For a file that is cut off, frames whose beginning is there are counted.

    kind: as `image_format` returns it. AVIF: 2 for a sequence, whose length only a decoder knows.
    """
    data = memoryview(data)
    if kind in _COUNTERS:
        return max(_COUNTERS[kind](data), 1)
    return 2 if kind == 'AVIF' and bytes(data[8:12]) == b'avis' else 1


def tiff_pages(data: bytes | memoryview) -> list[TiffPage]:
    """Return the pages of a TIFF or BigTIFF, without thumbnails and other reduced copies of a page.

    A damaged file gives the pages before the damage.
    """
    data = memoryview(data)
    order = '<' if bytes(data[:2]) == b'II' else '>'
    pages: list[TiffPage] = []
    try:
        big = struct.unpack_from(f'{order}H', data, 2)[0] == 43
        number_format, entry_bytes, offset_format = ('Q', 20, 'Q') if big else ('H', 12, 'I')
        offset = struct.unpack_from(f'{order}{offset_format}', data, 8 if big else 4)[0]
        seen: set[int] = set()
        while offset and offset not in seen and len(seen) < _MOST:
            seen.add(offset)
            count = struct.unpack_from(f'{order}{number_format}', data, offset)[0]
            first = offset + struct.calcsize(f'={number_format}')
            tags = {_SUBFILE_TYPE: 0, _WIDTH: 0, _HEIGHT: 0}
            for entry in range(min(count, 4096)):
                at = first + entry * entry_bytes
                tag, kind = struct.unpack_from(f'{order}HH', data, at)
                if tag in tags and kind in _UNSIGNED:
                    tags[tag] = struct.unpack_from(f'{order}{_UNSIGNED[kind]}', data, at + (12 if big else 8))[0]
            if not tags[_SUBFILE_TYPE] & _REDUCED:
                pages.append(TiffPage(len(seen) - 1, tags[_WIDTH], tags[_HEIGHT]))
            offset = struct.unpack_from(f'{order}{offset_format}', data, first + count * entry_bytes)[0]
    except struct.error:
        pass
    return pages


def is_cut_off(kind: str, data: bytes | memoryview) -> bool:
    """Return whether a GIF, PNG or WebP file ends within a block of its structure; False for another kind."""
    data = memoryview(data)
    if kind == 'GIF':
        return _gif_blocks(data)[1]
    if kind == 'WebP':
        return len(data) < 8 + int.from_bytes(data[4:8], 'little')
    at = 8
    while kind == 'PNG' and bytes(data[at + 4:at + 8]) != b'IEND':
        if at + 12 > len(data):
            return True
        at += 12 + int.from_bytes(data[at:at + 4], 'big')
    return False


def _gif_blocks(data: memoryview) -> tuple[int, bool]:
    """Return (number of image descriptors, whether the last block is cut off). GIF89a, appendix A."""
    frames = 0
    try:
        at = 13 + _color_table_bytes(data[10])
        while at < len(data) and data[at] in _GIF_BLOCKS:
            if data[at] == _GIF_IMAGE:
                frames += 1
                at += 11 + _color_table_bytes(data[at + 9])
            else:
                at += 2
            while data[at]:
                at += 1 + data[at]
            at += 1
    except IndexError:
        return frames, True
    return frames, False


def _color_table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _png_frames(data: memoryview) -> int:
    """Return the number in the chunk acTL, which comes before the pixels (PNG, third edition, 11.3.6)."""
    at = 8
    while at + 12 <= len(data) and (kind := bytes(data[at + 4:at + 8])) not in (b'IDAT', b'IEND'):
        if kind == b'acTL':
            return min(int.from_bytes(data[at + 8:at + 12], 'big'), _MOST)
        at += 12 + int.from_bytes(data[at:at + 4], 'big')
    return 1


def _webp_frames(data: memoryview) -> int:
    """Count the chunks ANMF (RFC 9649)."""
    at, frames = 12, 0
    while at + 8 <= len(data):
        frames += bytes(data[at:at + 4]) == b'ANMF'
        length = int.from_bytes(data[at + 4:at + 8], 'little')
        at += 8 + length + length % 2
    return frames


_COUNTERS: Mapping[str, Callable[[memoryview], int]] = {
    'GIF': lambda data: _gif_blocks(data)[0], 'PNG': _png_frames, 'WebP': _webp_frames}
