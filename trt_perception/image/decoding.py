# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decodes the data of a CompressedImage. Its size is checked before decoding, and damage is reported."""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

import numpy as np

from ..errors import FrameError
from .codecs import refuse_codec
from .decoded import Decoded
from .encodings import ENCODINGS
from .jpeg import decode_jpeg
from .options import DEFAULT, ImageOptions
from .png import decode_png
from .png_file import SIGNATURE
from .tiff import decode_tiff
from .tiff_file import is_tiff
from .webp import decode_webp, is_webp

_JPEG_START = b'\xff\xd8'
_LONGEST_START = 16


class DecodedMessage(NamedTuple):
    """A decoded CompressedImage.

    encoding: sensor_msgs encoding of the pixels; pixels: HxW or HxWxC, uint8 or native uint16
    damage: what was found damaged, '' if nothing
    """

    encoding: str
    pixels: np.ndarray
    damage: str


def decode_compressed(
    data: np.ndarray, format_hint: str = '', options: ImageOptions = DEFAULT,
) -> DecodedMessage:
    """Decode a CompressedImage's data. See Frame.from_compressed.

    data: uint8 (N,)
    """
    if 'compressedDepth' in format_hint:
        refuse_codec(b'', format_hint)
    decoded = decode_image(data.tobytes(), options)
    if decoded is None:
        _refuse(data[:_LONGEST_START].tobytes(), data.size, format_hint)
    pixels = decoded.pixels
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    bits = 8 * pixels.dtype.itemsize
    if pixels.dtype not in (np.uint8, np.uint16) or channels not in (1, 3, 4):
        raise FrameError(
            f'compressed image: {channels} channels of {pixels.dtype} are not supported')
    return DecodedMessage(_encoding(channels, bits, format_hint), pixels, decoded.damage)


def decode_image(content: bytes, options: ImageOptions) -> Decoded | None:
    """Decode JPEG, PNG, WebP or TIFF; the first bytes decide. Returns None for other data.

    Raises FrameError for a size over the limit, before decoding, and for variants that are not supported;
    DamagedImageError for damage, unless damaged images are kept and there is something to keep.
    """
    try:
        if content.startswith(_JPEG_START):
            return decode_jpeg(content, options)
        if content.startswith(SIGNATURE):
            return decode_png(content, options)
        if is_webp(content):
            return decode_webp(content, options)
        if is_tiff(content):
            return decode_tiff(content, options)
    except MemoryError as error:
        raise FrameError(
            'compressed image: too little memory to decode it; set max_image_pixels lower to refuse such images by '
            'their size') from error
    return None


def _refuse(start: bytes, size: int, format_hint: str) -> NoReturn:
    """Raise FrameError for data of `size` bytes that begins with `start`."""
    hint = f' of format {format_hint!r}' if format_hint else ''
    if not size:
        raise FrameError(f'compressed image{hint}: the data is empty')
    refuse_codec(start, format_hint)
    raise FrameError(
        f'compressed image{hint}: expected JPEG, PNG, WebP or TIFF data, found {size} bytes that '
        f'begin with {start[:4].hex(" ")}')


def _encoding(channels: int, bits: int, format_hint: str) -> str:
    encoding = {1: 'mono', 3: 'bgr', 4: 'bgra'}[channels] + str(bits)
    # image_transport's '<original encoding>; <codec> compressed <stored encoding>'.
    original, _, stored = (part.strip() for part in format_hint.partition(';'))
    if channels == 1:
        # A PNG stores a Bayer mosaic unchanged; a JPEG stores it as grey ('... mono8').
        mosaic = re.fullmatch(r'bayer_[rgb]{4}(8|16)', original)
        if mosaic and original in ENCODINGS and stored.endswith('compressed'):
            return original[:-len(mosaic.group(1))] + str(bits)
    elif re.search(r'compressed rgba?(8|16)$', stored):
        # The sender gave RGB to an encoder that expects BGR: red and blue are swapped in the file.
        return encoding.replace('bgr', 'rgb')
    return encoding
