# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The result of a decoder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import DamagedImageError
from .options import KEEP, ImageOptions


class Decoded(NamedTuple):
    """Pixels of one image.

    pixels: HxW (grey), HxWx3 (BGR) or HxWx4 (BGRA), uint8 or native uint16
    damage: what the decoder found damaged, '' if nothing; the missing part of the pixels is grey or black
    exif: the TIFF header and directories of the Exif data, b'' without any
    """

    pixels: np.ndarray
    damage: str = ''
    exif: bytes = b''


def drop_damaged(damage: str, options: ImageOptions) -> None:
    """Raise DamagedImageError if there is damage and damaged images are not kept."""
    if damage and options.damaged != KEEP:
        raise DamagedImageError(damage)
