# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decodes JPEG with simplejpeg, which returns libjpeg-turbo's warnings of each call; with OpenCV if it is missing.

OpenCV gives the same pixels. It prints a warning of libjpeg to stderr and hides it from the caller, so damage is then
known from the structure of the file only.
"""

from __future__ import annotations

import functools
import re

import numpy as np

from ..dependencies import require
from ..errors import DamagedImageError, FrameError, MissingDependencyError, one_line
from .decoded import Decoded, drop_damaged
from .jpeg_file import JpegFile, read_jpeg
from .opencv import imdecode
from .options import ImageOptions

# libjpeg's jerror.h, JWRN_EXTRANEOUS_DATA.
_LEFT_OVER = re.compile(r'(\d+) extraneous bytes before marker 0xd9')
_END_MARKER_BYTES = 2
# The errors of the TurboJPEG API itself begin with the name of a function.
_OF_TURBOJPEG = 'tj'
# libjpeg-turbo reads up to 8 bytes ahead, and the real data may end with a zero byte.
_READ_AHEAD = 10


@functools.cache
def jpeg_decoder() -> str:
    """Return the name of the decoder in use: simplejpeg, or opencv if simplejpeg is not installed."""
    try:
        require('simplejpeg')
    except MissingDependencyError:
        return 'opencv'
    return 'simplejpeg'


def decode_jpeg(content: bytes, options: ImageOptions) -> Decoded:
    """Decode a JPEG to grey (1 component) or BGR (3, or 4: CMYK). The Exif orientation is not applied.

    content: begins with FF D8

    Raises FrameError for a variant that is not supported or a size over the limit, both before decoding;
    DamagedImageError for damage, unless damaged images are kept and there is something to keep.
    """
    jpeg = read_jpeg(content, options.max_pixels)
    what = f'compressed JPEG image of {jpeg.width}x{jpeg.height} pixels'
    fault = f'{what}: {jpeg.fault}' if jpeg.fault else ''
    drop_damaged(fault, options)
    if jpeg_decoder() == 'opencv':
        return _with_opencv(jpeg, what, fault, options)
    # The buffer's size is checked: libjpeg can never decode more pixels than were found in the header.
    pixels = np.empty((jpeg.height, jpeg.width, 1 if jpeg.components == 1 else 3), np.uint8)
    warning = _decode(jpeg, pixels, strict=True)
    if warning.startswith(_OF_TURBOJPEG):
        # Rare subsampling, such as 4:1:0: libjpeg decodes it, the TurboJPEG API does not.
        return _with_opencv(jpeg, what, fault, options)
    if warning:
        if not _is_padding(jpeg.data, warning):
            cut = '' if jpeg.ended else f' or cut off after {len(content)} bytes'
            fault = fault or f'{what}: the data is damaged{cut}: {warning}'
            drop_damaged(fault, options)
        # In spite of the warning. CMYK is not converted to BGR before.
        fatal = _decode(jpeg, pixels, strict=False)
        if fatal:
            raise DamagedImageError(f'{what}: the data is damaged: {fatal}')
    return Decoded(pixels[..., 0] if jpeg.components == 1 else pixels, fault, jpeg.exif)


def _decode(jpeg: JpegFile, pixels: np.ndarray, strict: bool) -> str:
    """Decode into `pixels`. Returns libjpeg's first warning if `strict`, otherwise only a fatal error; '' without."""
    try:
        require('simplejpeg').decode_jpeg(
            jpeg.data, 'GRAY' if jpeg.components == 1 else 'BGR', buffer=pixels, strict=strict)
    except (ValueError, KeyError) as error:
        return one_line(error)
    return ''


def _is_padding(data: bytes, warning: str) -> bool:
    """Return whether the only warning is about zero bytes between the last data and the end marker.

    Cameras pad their buffers so. In a cut-off image, the decoder takes the first zero bytes for image data.
    """
    left_over = _LEFT_OVER.search(warning)
    if left_over is None:
        return False
    image = data[:-_END_MARKER_BYTES]
    zeros = len(image) - len(image.rstrip(b'\0'))
    return int(left_over.group(1)) <= zeros <= int(left_over.group(1)) + _READ_AHEAD


def _with_opencv(jpeg: JpegFile, what: str, fault: str, options: ImageOptions) -> Decoded:
    if not jpeg.ended and not fault:
        fault = (
            f'{what}: the end marker is missing, so the data may be cut off; with the Python package simplejpeg '
            'complete images without it are accepted')
        drop_damaged(fault, options)
    pixels = imdecode(np.frombuffer(jpeg.data, np.uint8))
    if pixels is None:
        raise DamagedImageError(f'{what}: the data is damaged')
    if pixels.shape[:2] != (jpeg.height, jpeg.width):
        raise FrameError(f'{what}: OpenCV decoded {pixels.shape[1]}x{pixels.shape[0]} pixels')
    return Decoded(pixels, fault, jpeg.exif)
