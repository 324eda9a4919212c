# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Limits of an image's size."""

from __future__ import annotations

from ..errors import FrameError

# The default of max_image_pixels: more than most cameras have (a 64 MPix phone sensor has 9248x6936 pixels). A larger
# size in a message or file is usually damage or an attack, and its conversion would need gigabytes.
MAX_PIXELS = 64 * 1024 * 1024
# The largest max_image_pixels, and the limit of OpenCV's own decoders (dependencies.py): positions in an image of at
# most 8 bytes per pixel fit into 31 bits.
LARGEST_LIMIT = 1 << 28
# A compressed image may need this many bytes for each pixel of the limit: four channels of 8 bits.
_BYTES_PER_PIXEL = 4


def check_size(width: int, height: int, what: str, max_pixels: int = MAX_PIXELS) -> None:
    """Raise FrameError unless width and height are positive and their product is at most max_pixels.

    what: describes the image in the error message, e.g. its encoding
    """
    if width <= 0 or height <= 0:
        raise FrameError(f'{what} image of {width}x{height} pixels: it has no pixels')
    if width * height > max_pixels:
        parameter = ' (max_image_pixels)' if max_pixels < LARGEST_LIMIT else ''
        raise FrameError(
            f'{what} image of {width}x{height} pixels: {width * height} pixels, the limit is {max_pixels}{parameter}')


def check_bytes(size: int, what: str, max_pixels: int) -> None:
    """Raise FrameError if a decoded image of `size` bytes is larger than one of max_pixels pixels with 8 bits can be.

    what: describes the image in the error message
    """
    if size > _BYTES_PER_PIXEL * max_pixels:
        raise FrameError(
            f'{what}: {size} bytes when decoded, the limit is {_BYTES_PER_PIXEL * max_pixels} '
            f'({_BYTES_PER_PIXEL} * max_image_pixels)')
