# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Limits of an image's size."""

from __future__ import annotations

from ..errors import FrameError

# More than any camera has (a 64 MPix phone sensor has 9248x6936 pixels). A larger size in a message
# or file is damage or an attack, and its conversion would need gigabytes.
MAX_PIXELS = 64 * 1024 * 1024


def check_size(width: int, height: int, what: str) -> None:
    """Raise FrameError unless width and height are positive and their product is at most MAX_PIXELS.

    what: describes the image in the error message, e.g. its encoding
    """
    if width <= 0 or height <= 0:
        raise FrameError(f'{what} image of {width}x{height} pixels: it has no pixels')
    if width * height > MAX_PIXELS:
        raise FrameError(
            f'{what} image of {width}x{height} pixels: {width * height / 2**20:.1f} MPix, '
            f'the limit is {MAX_PIXELS / 2**20:.0f} MPix (2^20 pixels each)')
