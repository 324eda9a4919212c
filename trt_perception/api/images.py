# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts an array of pixels to a Frame, with a clear error for any other object."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..errors import FrameError
from ..image.frame import Frame
from ..image.options import ImageOptions
from ..image.size import LARGEST_LIMIT
from .checks import choice

_ENCODINGS = {'bgr': 'bgr8', 'rgb': 'rgb8'}
# The array exists already: only its preparation needs more memory.
_OPTIONS = ImageOptions(max_pixels=LARGEST_LIMIT)


def frame_of(image: Any, color_order: str) -> Frame:
    """Return a Frame with the pixels. Raises FrameError for a wrong image, ParameterError for a wrong color_order."""
    encoding = _ENCODINGS[choice('color_order', color_order, tuple(_ENCODINGS))]
    expected = 'expected an image as a NumPy array, HxWx3 or HxW (grey), uint8'
    if image is None:
        raise FrameError(f'{expected}; found None, which cv2.imread returns for a file that it cannot read')
    if not isinstance(image, np.ndarray):
        if isinstance(image, (str, bytes, os.PathLike)):
            raise FrameError(f'{expected}; found {type(image).__name__}: read the file with cv2.imread')
        name = f'{type(image).__module__}.{type(image).__qualname__}'.removeprefix('builtins.')
        raise FrameError(
            f'{expected}; found {name}: convert it with numpy.asarray, and call with '
            "color_order='rgb' if it is a Pillow image")
    found = f'{expected}; found {image.dtype} {image.shape}'
    if image.dtype != np.uint8:
        raise FrameError(f'{found}: convert the pixels to 0..255 and to uint8')
    if not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise FrameError(f'{found}{_shape_hint(image.shape)}')
    height, width = image.shape[:2]
    # Only a view that is not contiguous is copied, such as a part of an image or image[..., ::-1].
    pixels = np.ascontiguousarray(image)
    if image.ndim == 2:
        return Frame.from_buffer('mono8', width, height, width, False, pixels, _OPTIONS)
    return Frame.from_buffer(encoding, width, height, 3 * width, False, pixels, _OPTIONS)


def _shape_hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 4:
        return ': call the model with one image at a time'
    if len(shape) == 3 and shape[2] == 4:
        return ': leave the alpha channel out with image[..., :3]'
    if len(shape) == 3 and shape[2] == 1:
        return ': leave the last axis out with image[..., 0]'
    if len(shape) == 3 and shape[0] == 3:
        return ': move the channels to the end with numpy.moveaxis(image, 0, 2)'
    return ''
