# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The map from an image to the network's input and its exact inverse.

Coordinates are continuous pixel edges: an image of width w spans 0..w, and the centre of its first pixel is 0.5. A
resize is then a plain multiplication, also for OpenCV's INTER_LINEAR, which samples at (x + 0.5) / scale - 0.5 in
pixel centres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..errors import ModelError

RESIZE_MODES = ('letterbox', 'center_crop', 'stretch')


class Resized(NamedTuple):
    """The whole image after a resize, and where the target begins in it; in pixels of the resized image."""

    width: int
    height: int
    x: int
    y: int


@dataclass(frozen=True)
class Geometry:
    """One image size mapped onto one network input size.

    Network x = (image x - crop_x) * (target_width / crop_width) + target_x, and the same for y.

    image_*: size of the incoming image in pixels
    network_*: size of the network's input in pixels
    crop_*: the part of the image that is used, in image pixels; whole numbers unless `cut_after` is set
    target_*: the place of the crop in the network's input, in whole network pixels; the rest is padding
    cut_after: the resized image from which the target is cut; None if the image is cropped before it is resized
    """

    image_width: int
    image_height: int
    network_width: int
    network_height: int
    crop_x: float
    crop_y: float
    crop_width: float
    crop_height: float
    target_x: int
    target_y: int
    target_width: int
    target_height: int

    cut_after: Resized | None = None

    @property
    def resized(self) -> Resized:
        """The resized image from which the target is cut. The whole image must be used, or cut after the resize."""
        return self.cut_after or Resized(self.target_width, self.target_height, 0, 0)

    @property
    def scale_x(self) -> float:
        """Network pixels per image pixel, horizontally."""
        return self.target_width / self.crop_width

    @property
    def scale_y(self) -> float:
        """Network pixels per image pixel, vertically."""
        return self.target_height / self.crop_height

    def to_network(self, boxes: np.ndarray) -> np.ndarray:
        """Map (N, 4) x_min, y_min, x_max, y_max from image to network pixels."""
        mapped: np.ndarray = (np.asarray(boxes, np.float64) - self._crop) * self._scale + self._target
        return mapped

    def to_image(self, boxes: np.ndarray) -> np.ndarray:
        """Map (N, 4) x_min, y_min, x_max, y_max from network to image pixels, not clipped."""
        mapped: np.ndarray = (np.asarray(boxes, np.float64) - self._target) / self._scale + self._crop
        return mapped

    def clip(self, boxes: np.ndarray) -> np.ndarray:
        """Clip (N, 4) boxes in image pixels to the image."""
        clipped: np.ndarray = np.minimum(np.maximum(boxes, 0.0), self._limits)
        return clipped

    def box_in_image(self, box: Sequence[float]) -> tuple[float, float, float, float]:
        """Map one box as `to_image` and `clip` do, with the same arithmetic. For a few boxes this is faster."""
        x_min, y_min, x_max, y_max = box
        scale_x, scale_y, width, height = self.scale_x, self.scale_y, float(self.image_width), float(self.image_height)
        return (
            min(max((x_min - self.target_x) / scale_x + self.crop_x, 0.0), width),
            min(max((y_min - self.target_y) / scale_y + self.crop_y, 0.0), height),
            min(max((x_max - self.target_x) / scale_x + self.crop_x, 0.0), width),
            min(max((y_max - self.target_y) / scale_y + self.crop_y, 0.0), height))

    # For x_min, y_min, x_max, y_max; cached, because every frame needs them.

    @cached_property
    def _scale(self) -> np.ndarray:
        return np.array([self.scale_x, self.scale_y] * 2)

    @cached_property
    def _crop(self) -> np.ndarray:
        return np.array([self.crop_x, self.crop_y] * 2, np.float64)

    @cached_property
    def _target(self) -> np.ndarray:
        return np.array([self.target_x, self.target_y] * 2, np.float64)

    @cached_property
    def _limits(self) -> np.ndarray:
        return np.array([self.image_width, self.image_height] * 2, np.float64)


def letterbox(image_width: int, image_height: int, width: int, height: int) -> Geometry:
    """Keep the aspect ratio, centre the image and pad the rest, like YOLOv5's `letterbox(auto=False)`."""
    ratio = min(width / image_width, height / image_height)
    # At least one pixel: otherwise a 10000x3 image would vanish.
    target_width = min(width, max(1, round(image_width * ratio)))
    target_height = min(height, max(1, round(image_height * ratio)))
    # If the padding is odd, the extra pixel is on the right or at the bottom, as with YOLOv5's round(d - 0.1).
    return Geometry(
        image_width, image_height, width, height, 0, 0, image_width, image_height,
        (width - target_width) // 2, (height - target_height) // 2, target_width, target_height)


def center_crop(
    image_width: int, image_height: int, width: int, height: int, fraction: float,
) -> Geometry:
    """Use the central part of the image, with the network's aspect ratio.

    fraction: the part of the shorter side to keep; 0.875 is ImageNet's "resize to 256, crop 224"
    """
    ratio = min(image_width / width, image_height / height) * fraction
    crop_width = min(image_width, max(1, round(width * ratio)))
    crop_height = min(image_height, max(1, round(height * ratio)))
    return Geometry(
        image_width, image_height, width, height,
        (image_width - crop_width) // 2, (image_height - crop_height) // 2,
        crop_width, crop_height, 0, 0, width, height)


def resize_and_crop(
    image_width: int, image_height: int, width: int, height: int, fraction: float,
) -> Geometry:
    """Resize the image, then use the central part, like torchvision's Resize and CenterCrop.

    fraction: network size / size of the resized shorter side; 0.875 is "resize to 256, crop 224"
    From torchvision's transforms/functional.py: the longer side is cut to a whole number, and half of an odd rest is
    rounded to an even number.
    """
    across, down = max(width, round(width / fraction)), max(height, round(height / fraction))
    if across / image_width >= down / image_height:
        down = max(height, int(across * image_height / image_width))
    else:
        across = max(width, int(down * image_width / image_height))
    x, y = round((across - width) / 2.0), round((down - height) / 2.0)
    return Geometry(
        image_width, image_height, width, height,
        x * image_width / across, y * image_height / down, width * image_width / across, height * image_height / down,
        0, 0, width, height, Resized(across, down, x, y))


def stretch(image_width: int, image_height: int, width: int, height: int) -> Geometry:
    """Resize without keeping the aspect ratio."""
    return Geometry(
        image_width, image_height, width, height, 0, 0, image_width, image_height,
        0, 0, width, height)


def make_geometry(
    mode: str, image_width: int, image_height: int, width: int, height: int,
    crop_fraction: float = 0.875, interpolation: str = 'linear',
) -> Geometry:
    """Return the geometry of `mode` (letterbox, center_crop, stretch). Raises ModelError for another mode.

    interpolation: with 'linear', center_crop crops before the resize, otherwise after it
    """
    if mode == 'letterbox':
        return letterbox(image_width, image_height, width, height)
    if mode == 'center_crop' and interpolation != 'linear':
        return resize_and_crop(image_width, image_height, width, height, crop_fraction)
    if mode == 'center_crop':
        return center_crop(image_width, image_height, width, height, crop_fraction)
    if mode == 'stretch':
        return stretch(image_width, image_height, width, height)
    raise ModelError(f"resize_mode is '{mode}': expected one of {', '.join(RESIZE_MODES)}")
