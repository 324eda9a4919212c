# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera of a sensor_msgs/CameraInfo."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import FrameError
from .image import DepthImage

_ALIGNED = (
    'use a depth image that is aligned to the image of the detections (RealSense: align_depth.enable:=true; others: '
    'depth_image_proc register)')
# Pixels by which the heights may differ after scaling: drivers round.
_ROUNDING = 1.0
# A focal length of less than this part of the image's size would be a view of more than 178 degrees. Some programs
# write 0.8 for 0.8 times the width.
_LEAST_FOCAL_LENGTH = 0.01
# Boxes are clipped to the image, so they end at its edge.
_EDGE = 1.0


@dataclass(frozen=True)
class Pinhole:
    """A camera without distortion.

    width, height: of its image in pixels; fx, fy, cx, cy: in pixels. As in ROS, the centre of the first pixel is 0, 0
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float

    def ray(self, u: float, v: float) -> tuple[float, float]:
        """Return x / z and y / z of a place in the image: u, v in pixels from its left and upper edge.

        x goes to the right, y down, z forward (REP 103, optical frame). The edge is half a pixel before the centre of
        the first pixel.
        """
        return (u - 0.5 - self.cx) / self.fx, (v - 0.5 - self.cy) / self.fy


def pinhole(
    width: int, height: int, k: Sequence[float], p: Sequence[float], binning: tuple[int, int] = (0, 0),
    roi: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> Pinhole:
    """Return the camera of a sensor_msgs/CameraInfo.

    width, height: of the calibrated image; k: (9,) and p: (12,) by rows; p is used unless it is empty, as by
    depth_image_proc. binning: in x and y, 0 as 1; roi: x_offset, y_offset, width, height, 0 for the whole image

    Raises FrameError if the camera is not calibrated.
    """
    fx, cx, fy, cy = (p[0], p[2], p[5], p[6]) if p[0] else (k[0], k[2], k[4], k[5])
    numbers = fx, fy, cx, cy
    if (not all(map(math.isfinite, numbers)) or width < 1 or height < 1
            or fx < _LEAST_FOCAL_LENGTH * width or fy < _LEAST_FOCAL_LENGTH * height):
        raise FrameError(
            f'camera_info has fx {fx:g}, fy {fy:g} for an image of {width}x{height}: expected a calibrated camera; '
            "they are in pixels: check the driver's camera_info_url, or calibrate it (camera_calibration)")
    x, y, roi_width, roi_height = roi
    width, height = roi_width or width, roi_height or height
    across, down = max(1, binning[0]), max(1, binning[1])
    if width < across or height < down:
        raise FrameError(
            f'camera_info has a binning of {across}x{down} for {width}x{height} pixels: expected at least one pixel '
            'after it; set binning_x and binning_y in the driver to 0 if it does not combine pixels')
    # As image_geometry does it.
    return Pinhole(width // across, height // down, fx / across, fy / down, (cx - x) / across, (cy - y) / down)


def scale_to_depth(camera: Pinhole, depth: DepthImage) -> tuple[float, float]:
    """Return the factors in x and y from pixels of the camera's image to pixels of the depth image.

    Raises FrameError if the two cannot show the same view.
    """
    x, y = depth.width / camera.width, depth.height / camera.height
    if abs(x * camera.height - depth.height) > _ROUNDING and abs(y * camera.width - depth.width) > _ROUNDING:
        raise FrameError(
            f'the depth image has {depth.width}x{depth.height} pixels, but camera_info is for '
            f'{camera.width}x{camera.height}: another view; {_ALIGNED}')
    return x, y


def require_same_size(camera: Pinhole, labels: np.ndarray) -> None:
    """Raise FrameError if masks are not those of the camera's image. labels: (H, W)."""
    if labels.shape != (camera.height, camera.width):
        raise FrameError(
            f'the masks have {labels.shape[1]}x{labels.shape[0]} pixels, but camera_info is for '
            f'{camera.width}x{camera.height}: expected masks of the image that the detections are from')


def require_inside(camera: Pinhole, right: float, bottom: float) -> None:
    """Raise FrameError if a box ends outside the camera's image: its detections are of another image.

    right, bottom: the largest edges of the boxes in pixels
    """
    if right > camera.width + _EDGE or bottom > camera.height + _EDGE:
        raise FrameError(
            f'a detection ends at {right:.0f}, {bottom:.0f}, but camera_info is for an image of '
            f'{camera.width}x{camera.height}: expected the camera_info of the image that the detections are from')
