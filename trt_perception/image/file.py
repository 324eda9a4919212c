# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decodes the content of an image file: every format that OpenCV reads, upright."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..errors import FrameError
from .decoded import Decoded, drop_damaged
from .decoding import decode_image
from .exif import upright
from .file_sizes import file_size
from .frame import Frame
from .opencv import imdecode
from .options import DEFAULT, ImageOptions
from .size import check_size
from .tiff import decode_tiff, is_supported
from .tiff_file import is_tiff, read_tiff
from .webp import is_webp, webp_size


class NotAnImageError(FrameError):
    """OpenCV reads nothing from this content."""


def frame_of_file(data: np.ndarray, options: ImageOptions = DEFAULT) -> Frame:
    """Return the image with the EXIF orientation applied: bgr8, or mono16, bgr16, bgra16 for 16 bits.

    data: uint8 (N,), the content of the file

    Raises NotAnImageError if OpenCV reads no image from it; FrameError if it is too large; DamagedImageError if it is
    damaged, unless damaged images are kept and there is something to keep.
    """
    content = data.tobytes()
    if is_tiff(content):
        return _tiff(data, content, options)
    # OpenCV applies the orientation of a WebP, if it is new enough to know it.
    decoded = None if is_webp(content) else decode_image(content, options)
    return Frame.from_bgr(_other(data, content, options)) if decoded is None else _frame(decoded, options)


def _frame(decoded: Decoded, options: ImageOptions) -> Frame:
    pixels = upright(decoded.pixels, decoded.exif)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    encoding = {1: 'mono', 3: 'bgr', 4: 'bgra'}[channels] + str(8 * pixels.dtype.itemsize)
    frame = Frame.from_pixels(encoding, pixels)
    if pixels.dtype == np.uint8:
        frame = Frame.from_bgr(frame.bgr())
    return replace(frame, significant_bits=options.significant_bits, damage=decoded.damage)


def _tiff(data: np.ndarray, content: bytes, options: ImageOptions) -> Frame:
    """Decode a TIFF; OpenCV also reads variants that image topics may not have."""
    tiff = read_tiff(content, options.max_pixels)
    if is_supported(tiff) and tiff.bits == 16:
        return _frame(decode_tiff(content, options), options)
    damage = f'compressed TIFF image: {tiff.fault}' if tiff.fault else ''
    drop_damaged(damage, options)
    return replace(Frame.from_bgr(_other(data, content, options)), damage=damage)


def _other(data: np.ndarray, content: bytes, options: ImageOptions) -> np.ndarray:
    """Decode another format. OpenCV has a limit of its own for those whose size is not known here."""
    size = webp_size(content) if is_webp(content) else file_size(content)
    if size is not None:
        check_size(*size, 'decoded', options.max_pixels)
    pixels = imdecode(data, colour=True) if data.size else None
    if pixels is None:
        raise NotAnImageError(f'not an image that OpenCV reads, or damaged ({data.size} bytes)')
    check_size(pixels.shape[1], pixels.shape[0], 'decoded', options.max_pixels)
    return pixels
