# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decodes WebP with OpenCV, after the size in its header is checked.

Source: RFC 9649. A WebP has no checksum: damage is known only if libwebp cannot go on.
"""

from __future__ import annotations

import numpy as np

from ..errors import DamagedImageError, FrameError
from .decoded import Decoded
from .opencv import imdecode
from .options import ImageOptions
from .size import check_size

_RIFF_HEADER = 12
_CHUNK_HEADER = 8
_VP8X_ANIMATION = 0x02


def is_webp(content: bytes) -> bool:
    """Return whether the data begins like a WebP."""
    return content[:4] == b'RIFF' and content[8:12] == b'WEBP'


def decode_webp(content: bytes, options: ImageOptions) -> Decoded:
    """Decode a WebP to BGR or BGRA.

    Raises FrameError for a size over the limit, before decoding, and for an animation; DamagedImageError for damage.
    There is nothing to keep of a damaged WebP.
    """
    size = webp_size(content)
    if size is None:
        raise DamagedImageError(f'compressed WebP image: the header is damaged or cut off ({len(content)} bytes)')
    check_size(*size, 'compressed WebP', options.max_pixels)
    what = f'compressed WebP image of {size[0]}x{size[1]} pixels'
    if _is_animated(content):
        raise FrameError(f'{what}: animations are not supported; expected one image')
    announced = 8 + int.from_bytes(content[4:8], 'little')
    if announced > len(content):
        raise DamagedImageError(f'{what}: the data is cut off after {len(content)} of {announced} bytes')
    pixels = imdecode(np.frombuffer(content, np.uint8))
    if pixels is None or pixels.shape[:2] != size[::-1]:
        raise DamagedImageError(f'{what}: the data is damaged, or this OpenCV cannot read WebP')
    return Decoded(pixels)


def webp_size(content: bytes) -> tuple[int, int] | None:
    """Return (width, height) from the first chunk, None if it is damaged."""
    kind = content[_RIFF_HEADER:_RIFF_HEADER + 4]
    body = content[_RIFF_HEADER + _CHUNK_HEADER:][:10]
    if len(body) < 10:
        return None
    if kind == b'VP8X':
        return 1 + int.from_bytes(body[4:7], 'little'), 1 + int.from_bytes(body[7:10], 'little')
    if kind == b'VP8L' and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], 'little')
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b'VP8 ' and body[3:6] == b'\x9d\x01\x2a':
        # The two upper bits of each number are a factor for the display.
        return int.from_bytes(body[6:8], 'little') & 0x3FFF, int.from_bytes(body[8:10], 'little') & 0x3FFF
    return None


def _is_animated(content: bytes) -> bool:
    return content[_RIFF_HEADER:][:4] == b'VP8X' and bool(content[_RIFF_HEADER + _CHUNK_HEADER] & _VP8X_ANIMATION)
