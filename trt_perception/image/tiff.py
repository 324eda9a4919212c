# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decodes TIFF with OpenCV, after its first directory is checked.

Damage is known if a part is missing, and for uncompressed and deflate data. LZW and PackBits have no checksum, and
libtiff goes on after their errors.
"""

from __future__ import annotations

import numpy as np

from ..errors import DamagedImageError, FrameError
from .decoded import Decoded, drop_damaged
from .opencv import imdecode
from .options import ImageOptions
from .tiff_file import COMPRESSIONS, TiffFile, read_tiff


def decode_tiff(content: bytes, options: ImageOptions) -> Decoded:
    """Decode the first image of a TIFF to grey, BGR or BGRA, 8 or 16 bits.

    Raises FrameError for a variant that is not supported or a size over the limit, before decoding; DamagedImageError
    for damage, unless damaged images are kept and OpenCV decodes something.
    """
    tiff = read_tiff(content, options.max_pixels)
    what = f'compressed TIFF image of {tiff.width}x{tiff.height} pixels'
    if not is_supported(tiff):
        raise FrameError(
            f'{what}: {tiff.samples} channels of {tiff.bits} bits with compression {tiff.compression} are not '
            f'supported; expected 1, 3 or 4 channels of 8 or 16 bits, uncompressed or with LZW, deflate or PackBits')
    fault = f'{what}: {tiff.fault}' if tiff.fault else ''
    drop_damaged(fault, options)
    pixels = imdecode(np.frombuffer(content, np.uint8))
    if pixels is None or pixels.shape[:2] not in ((tiff.height, tiff.width), (tiff.width, tiff.height)):
        raise DamagedImageError(fault or f'{what}: the data is damaged, or this OpenCV cannot read TIFF')
    return Decoded(pixels, fault)


def is_supported(tiff: TiffFile) -> bool:
    """Return whether image topics may have this variant: those that image_transport and OpenCV write."""
    return (
        tiff.bits in (8, 16) and tiff.samples in (1, 3, 4) and tiff.compression in COMPRESSIONS
        and not tiff.is_float)
