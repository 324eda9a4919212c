# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Converts a camera's frame to the network's input tensor, on the host with OpenCV and NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dependencies import require
from ..image.frame import Frame
from ..model.geometry import Geometry, make_geometry
from ..model.spec import ModelSpec
from .resize import Resize, make_resize

# The grey of YOLO's letterbox padding, in training and in inference.
PADDING = 114


class Preprocessor:
    """Resizes, pads, reorders colours and normalises into a buffer that is allocated once.

    x = (pixel * scale - mean) / std for each channel, in the model's colour order. A quantised input gets the integers
    that stand for x. Not thread-safe: the next call overwrites the returned tensor.

    tensor: the buffer, of the input's shape and type; None for one of its own
    """

    def __init__(self, spec: ModelSpec, tensor: np.ndarray | None = None) -> None:
        self._cv2: Any = require('cv2')
        self._spec = spec
        height, width, channels = spec.height, spec.width, spec.channels
        self._canvas = np.full((height, width, channels), PADDING, np.uint8)
        self._pixels = self._canvas[np.newaxis]
        self._tensor = np.empty(spec.input_shape, spec.input_dtype) if tensor is None else tensor
        self._float = self._tensor if spec.input_dtype == np.float32 else np.empty(spec.input_shape, np.float32)
        self._gain, self._bias = normalisation(spec)
        self._codes = codes_of_pixels(spec)
        self._geometry: Geometry | None = None
        self._resize: Resize
        # The part of the canvas with the image.
        self._target = self._canvas

    def __call__(self, frame: Frame) -> tuple[np.ndarray, Geometry]:
        """Return the input tensor, [1, C, H, W] or [1, H, W, C], and the geometry of this frame."""
        geometry = self._draw(frame, self._spec.preprocessing.color_order)
        return self._normalised(), geometry

    def bgr_pixels(self, frame: Frame) -> tuple[np.ndarray, Geometry]:
        """Return the resized and padded pixels, [1, H, W, C] uint8 in the order BGR, and the geometry of this frame.

        For a network that normalises. Always the same array; a grey model has one channel.
        """
        return self._pixels, self._draw(frame, 'bgr')

    def _draw(self, frame: Frame, wanted: str) -> Geometry:
        """Write the frame into the canvas, in the colour order `wanted`."""
        pixels, order = frame.view()
        geometry = self._geometry_of(frame.width, frame.height)
        drawn = self._resized(pixels, order, wanted)
        if drawn is not self._target:
            self._target[...] = drawn
        return geometry

    def _geometry_of(self, width: int, height: int) -> Geometry:
        geometry = self._geometry
        if geometry is None or (geometry.image_width, geometry.image_height) != (width, height):
            geometry = geometry_of(self._spec, width, height)
            self._resize = make_resize(self._spec.preprocessing.interpolation, geometry)
            self._geometry = geometry
            # Otherwise pixels of the previous size would remain in the padding of the new one.
            self._canvas[:] = PADDING
            self._target = self._canvas[
                geometry.target_y:geometry.target_y + geometry.target_height,
                geometry.target_x:geometry.target_x + geometry.target_width]
        return geometry

    def _resized(self, pixels: np.ndarray, order: str, wanted: str) -> np.ndarray:
        """Return the used part at its target size, (h, w, C) uint8 in the colour order `wanted`.

        This may be `_target` itself, written.
        """
        cv2 = self._cv2
        converted: np.ndarray
        if order == wanted and self._spec.channels == 3:
            return self._resize(pixels, self._target)
        # If the image is larger than the input, fewer pixels are converted after resizing than before.
        small = self._resize(pixels)
        if self._spec.channels == 1:
            grey = small if order == 'mono' else cv2.cvtColor(small, getattr(cv2, f'COLOR_{order.upper()}2GRAY'))
            converted = grey[..., np.newaxis]
        elif order == 'mono':
            converted = cv2.cvtColor(small, cv2.COLOR_GRAY2BGR)
        else:
            converted = cv2.cvtColor(small, getattr(cv2, f'COLOR_{order.upper()}2{wanted.upper()}'))
        return converted

    def _normalised(self) -> np.ndarray:
        if self._tensor.dtype.kind in 'iu':
            pixels = self._canvas
            if self._codes is not None:
                # The table has one column for each channel; OpenCV drops the dimension of a single one.
                pixels = self._cv2.LUT(self._canvas, self._codes).reshape(pixels.shape)
            self._tensor[0] = pixels.transpose(2, 0, 1) if self._spec.layout == 'nchw' else pixels
            return self._tensor
        # The products are twice as fast after a split into channels: then the bytes of a channel are contiguous.
        for channel, pixels in enumerate(self._cv2.split(self._canvas)):
            plane = self._float[0, channel] if self._spec.layout == 'nchw' else self._float[0, :, :, channel]
            np.multiply(pixels, self._gain[channel], out=plane)
            if self._bias[channel]:
                plane += self._bias[channel]
        if self._tensor is not self._float:
            self._tensor[...] = self._float
        return self._tensor


def geometry_of(spec: ModelSpec, width: int, height: int) -> Geometry:
    """Return how an image of this size is mapped onto the model's input."""
    options = spec.preprocessing
    return make_geometry(
        options.resize_mode, width, height, spec.width, spec.height, options.crop_fraction, options.interpolation)


def grey_frame(spec: ModelSpec) -> Frame:
    """Return a grey image of the network's input size, in the colour of the padding."""
    return Frame.from_bgr(np.full((spec.height, spec.width, 3), PADDING, np.uint8))


def codes_of_pixels(spec: ModelSpec) -> np.ndarray | None:
    """Return (256, 1, C), the integer of a quantised input for each value of a pixel; None if pixels stay as they are.

    They stay for an input that is not quantised, and for one whose integers are the pixels, such as uint8 with the
    scale 1/255 in a network that takes pixels in 0..1.
    """
    quantisation = spec.input_quantisation
    if quantisation is None:
        return None
    gain, bias = normalisation(spec)
    pixels = np.arange(256)[:, np.newaxis]
    codes = quantisation.stored(pixels.astype(np.float32) * gain + bias)
    if codes.dtype == np.uint8 and (codes == pixels).all():
        return None
    return np.ascontiguousarray(codes[:, np.newaxis])


def normalisation(spec: ModelSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return gain and bias (C,) float32 of x = pixel * gain + bias, in the model's colour order."""
    options = spec.preprocessing
    std = np.asarray(options.std, np.float64)[:spec.channels]
    mean = np.asarray(options.mean, np.float64)[:spec.channels]
    return (options.scale / std).astype(np.float32), (-mean / std).astype(np.float32)
