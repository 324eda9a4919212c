# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Sizes in the headers of the other formats that OpenCV reads from files. Image topics do not have them."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

_NETPBM = re.compile(rb'P[1-7Ff](?:\s|#[^\n]*\n)+(\d+)(?:\s|#[^\n]*\n)+(\d+)')
_PAM_WIDTH, _PAM_HEIGHT = re.compile(rb'^WIDTH\s+(\d+)', re.M), re.compile(rb'^HEIGHT\s+(\d+)', re.M)
_RADIANCE = re.compile(rb'^[-+]Y (\d+) [-+]X (\d+)', re.M)
# Headers are at the start, and a regular expression must not search the whole file.
_HEADER = 4096


def file_size(content: bytes) -> tuple[int, int] | None:
    """Return (width, height), None for an unknown format or a damaged header."""
    for start, read in _READERS:
        if content.startswith(start):
            try:
                return read(content)
            except struct.error:
                return None
    return _avif(content) if content[4:8] == b'ftyp' else None


def _bmp(content: bytes) -> tuple[int, int]:
    if struct.unpack_from('<I', content, 14)[0] == 12:
        width, height = struct.unpack_from('<HH', content, 18)
    else:
        width, height = struct.unpack_from('<ii', content, 18)
    return abs(width), abs(height)


def _netpbm(content: bytes) -> tuple[int, int] | None:
    header = content[:_HEADER]
    if header.startswith(b'P7'):
        width, height = _PAM_WIDTH.search(header), _PAM_HEIGHT.search(header)
        return (int(width.group(1)), int(height.group(1))) if width and height else None
    found = _NETPBM.match(header)
    return (int(found.group(1)), int(found.group(2))) if found else None


def _radiance(content: bytes) -> tuple[int, int] | None:
    found = _RADIANCE.search(content[:_HEADER])
    return (int(found.group(2)), int(found.group(1))) if found else None


def _gif(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from('<HH', content, 6)
    return width, height


def _sun_raster(content: bytes) -> tuple[int, int]:
    width, height = struct.unpack_from('>II', content, 4)
    return width, height


def _jpeg_2000(content: bytes) -> tuple[int, int] | None:
    # The SIZ marker segment follows the start of the codestream at once: ITU-T T.800, A.5.1.
    at = content.find(b'\xff\x4f\xff\x51')
    if at < 0:
        return None
    right, bottom, left, top = struct.unpack_from('>IIII', content, at + 8)
    return right - left, bottom - top


def _avif(content: bytes) -> tuple[int, int] | None:
    # The largest image spatial extents property: ISO/IEC 23008-12, 6.5.3.
    sizes: list[tuple[int, int]] = []
    at = content.find(b'ispe')
    while at >= 0 and len(sizes) < 256:
        if at + 16 <= len(content):
            sizes.append(struct.unpack_from('>II', content, at + 8))
        at = content.find(b'ispe', at + 4)
    return max(sizes, key=lambda size: size[0] * size[1]) if sizes else None


_READERS: tuple[tuple[bytes, Callable[[bytes], tuple[int, int] | None]], ...] = (
    (b'BM', _bmp), *((b'P' + kind, _netpbm) for kind in (b'1', b'2', b'3', b'4', b'5', b'6', b'7', b'F', b'f')),
    (b'#?', _radiance), (b'GIF8', _gif), (b'\x59\xa6\x6a\x95', _sun_raster),
    (b'\xff\x4f\xff\x51', _jpeg_2000), (b'\0\0\0\x0cjP  ', _jpeg_2000))
