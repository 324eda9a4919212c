# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decodes JPEG and PNG data; refuses damaged or too large data before decoding."""

from __future__ import annotations

import re

import numpy as np

from ..dependencies import require
from ..errors import FrameError
from .codecs import refuse_codec
from .encodings import ENCODINGS
from .size import check_size

_PNG_MAGIC = b'\x89PNG\r\n\x1a\n'
_PNG_END = b'IEND\xaeB`\x82'
_JPEG_MAGIC = b'\xff\xd8\xff'
_JPEG_END = b'\xff\xd9'
# SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC): ITU-T T.81, table B.1.
_JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_SCAN_MARKER = 0xDA


def decode_compressed(data: np.ndarray, format_hint: str = '') -> tuple[str, np.ndarray]:
    """Decode a CompressedImage's data to (encoding, pixels). See Frame.from_compressed.

    data: uint8 (N,)
    Returns pixels HxW or HxWxC, uint8 or native uint16, in the named sensor_msgs encoding.
    """
    if 'compressedDepth' in format_hint:
        refuse_codec(b'', format_hint)
    check_header(data, format_hint)
    cv2 = require('cv2')
    try:
        # UNCHANGED keeps depth, alpha and the stored orientation.
        pixels: np.ndarray | None = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise FrameError(f'compressed image: the data is damaged: {error}') from error
    if pixels is None:
        raise FrameError(f'compressed image: the data ({data.size} bytes) is damaged')
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    bits = 8 * pixels.dtype.itemsize
    if pixels.dtype not in (np.uint8, np.uint16) or channels not in (1, 3, 4):
        raise FrameError(
            f'compressed image: {channels} channels of {pixels.dtype} are not supported')
    encoding = {1: 'mono', 3: 'bgr', 4: 'bgra'}[channels] + str(bits)

    # image_transport's '<original encoding>; <codec> compressed <stored encoding>'.
    original, _, stored = (part.strip() for part in format_hint.partition(';'))
    if channels == 1:
        # A PNG stores a Bayer mosaic unchanged; a JPEG stores it as grey ('... mono8').
        mosaic = re.fullmatch(r'bayer_[rgb]{4}(8|16)', original)
        if mosaic and original in ENCODINGS and stored.endswith('compressed'):
            encoding = original[:-len(mosaic.group(1))] + str(bits)
    elif re.search(r'compressed rgba?(8|16)$', stored):
        # The sender gave RGB to an encoder that expects BGR: red and blue are swapped in the file.
        encoding = encoding.replace('bgr', 'rgb')
    return encoding, pixels


def is_jpeg_or_png(data: np.ndarray) -> bool:
    """Return whether data (uint8 (N,)) begins like a JPEG or a PNG."""
    return data[:8].tobytes().startswith((_PNG_MAGIC, _JPEG_MAGIC))


def check_header(data: np.ndarray, format_hint: str = '') -> None:
    """Raise FrameError unless data (uint8 (N,)) is a complete JPEG or PNG of an allowed size.

    OpenCV fills the missing part of a truncated JPEG with grey, and allocates memory for any size
    in a header; this check finds both.
    """
    hint = f' of format {format_hint!r}' if format_hint else ''
    if data.size == 0:
        raise FrameError(f'compressed image{hint}: the data is empty')
    content = data.tobytes()
    if content.startswith(_PNG_MAGIC):
        kind, size, end = 'PNG', png_size(content), content.rfind(_PNG_END)
    elif content.startswith(_JPEG_MAGIC):
        kind = 'JPEG'
        size, scan = jpeg_size(content)
        end = content.rfind(_JPEG_END, scan)
    else:
        refuse_codec(content[:16], format_hint)
        raise FrameError(
            f'compressed image{hint}: expected JPEG or PNG data, found {data.size} bytes that '
            f'begin with {content[:4].hex(" ")}')
    if size is None:
        raise FrameError(
            f'compressed {kind} image: the header is damaged or cut off ({data.size} bytes)')
    check_size(*size, f'compressed {kind}')
    if end < 0:
        raise FrameError(
            f'compressed {kind} image of {size[0]}x{size[1]} pixels: the data is cut off after '
            f'{data.size} bytes (the end marker is missing)')


def png_size(content: bytes) -> tuple[int, int] | None:
    """Return (width, height) from a PNG's header chunk, or None without one."""
    if len(content) < 24 or content[12:16] != b'IHDR':
        return None
    return int.from_bytes(content[16:20], 'big'), int.from_bytes(content[20:24], 'big')


def jpeg_size(content: bytes) -> tuple[tuple[int, int] | None, int]:
    """Return ((width, height), offset of the first scan) of a JPEG; (None, 0) if damaged.

    The standard allows a height of 0, with the real one after the scan: such an image counts as empty.
    """
    size = None
    position = 2
    while position + 4 <= len(content):
        if content[position] != 0xFF:
            break
        marker = content[position + 1]
        if marker == 0xFF:  # Fill byte.
            position += 1
            continue
        length = int.from_bytes(content[position + 2:position + 4], 'big')
        if marker == _JPEG_SCAN_MARKER:
            return size, position
        if marker in _JPEG_FRAME_MARKERS and position + 9 <= len(content):
            height = int.from_bytes(content[position + 5:position + 7], 'big')
            size = int.from_bytes(content[position + 7:position + 9], 'big'), height
        position += 2 + length
    return None, 0
