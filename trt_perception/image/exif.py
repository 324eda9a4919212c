# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Turns pixels upright as Exif data says. Source: CIPA DC-008 (Exif 2.32), 4.6.4, tag Orientation."""

from __future__ import annotations

import numpy as np

from .tiff_file import read_directory

_ORIENTATION = 0x0112


def upright(pixels: np.ndarray, exif: bytes) -> np.ndarray:
    """Return the pixels (HxW or HxWxC) as a viewer shows them, contiguous.

    exif: the TIFF header and its directories, b'' without Exif data
    """
    turned = _turned(pixels, orientation(exif))
    return np.ascontiguousarray(turned)


def orientation(exif: bytes) -> int:
    """Return the orientation, 1 to 8; 1 is upright, and the value of data without one."""
    tags = read_directory(exif) or {}
    value = int(tags[_ORIENTATION][0]) if _ORIENTATION in tags else 1
    return value if 1 <= value <= 8 else 1


def _turned(pixels: np.ndarray, value: int) -> np.ndarray:
    """Return a view. The value says where the first row and the first column of the stored pixels are shown."""
    if value >= 5:
        pixels = pixels.swapaxes(0, 1)
    # After the transposition, 5 to 8 need these flips.
    down = value in (3, 4, 7, 8)
    across = value in (2, 3, 6, 7)
    return pixels[::-1 if down else 1, ::-1 if across else 1]
