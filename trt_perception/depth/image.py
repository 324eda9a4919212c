# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Depth images as ROS has them: REP 118, 16UC1 in millimetres or 32FC1 in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import FrameError, printable

# Encoding -> type of a pixel without byte order, metres for the value 1. Some drivers call 16UC1 mono16.
_ENCODINGS = {'16UC1': ('u2', 0.001), 'mono16': ('u2', 0.001), '32FC1': ('f4', 1.0)}
_LABELS = {'mono8': 'u1', '8UC1': 'u1', 'mono16': 'u2', '16UC1': 'u2'}
_ROS_NAMES = '16UC1 (millimetres) or 32FC1 (metres)'


@dataclass(frozen=True)
class DepthImage:
    """A depth image.

    values: (H, W) uint16 or float32, in the byte order of the message; unit: metres for the value 1
    """

    values: np.ndarray
    unit: float

    @property
    def width(self) -> int:
        """Width in pixels."""
        return int(self.values.shape[1])

    @property
    def height(self) -> int:
        """Height in pixels."""
        return int(self.values.shape[0])

    def metres(self, part: np.ndarray) -> np.ndarray:
        """Return the known depths of a part of `values`, (N,) float64 in metres.

        Unknown ones are left out: 0 in both encodings, NaN, infinity and negative numbers in 32FC1.
        """
        # A comparison with NaN is false.
        known = part[(part > 0) & (part < np.inf)] if part.dtype.kind == 'f' else part[part != 0]
        return np.asarray(known, np.float64) * self.unit


def depth_image(
    encoding: str, is_bigendian: int, width: int, height: int, step: int, data: bytes | memoryview,
) -> DepthImage:
    """Return a view of the fields of a sensor_msgs/Image.

    Raises FrameError for an encoding without depth, or if the fields do not fit together.
    """
    if encoding not in _ENCODINGS:
        raise FrameError(
            f"the depth image has the encoding '{printable(encoding)}': expected {_ROS_NAMES}; is this the "
            'topic of the depth camera?')
    kind, unit = _ENCODINGS[encoding]
    return DepthImage(_view('the depth image', encoding, kind, is_bigendian, width, height, step, data), unit)


def label_image(
    encoding: str, is_bigendian: int, width: int, height: int, step: int, data: bytes | memoryview,
) -> np.ndarray:
    """Return a view of the fields of a sensor_msgs/Image whose pixels are numbers, (H, W) uint8 or uint16.

    Raises FrameError for an encoding other than mono8, 8UC1, mono16 and 16UC1, or if the fields do not fit together.
    """
    if encoding not in _LABELS:
        raise FrameError(
            f"the masks have the encoding '{printable(encoding)}': expected 16UC1, as mask_instances of "
            'perception_node')
    return _view('the image of masks', encoding, _LABELS[encoding], is_bigendian, width, height, step, data)


def _view(
    what: str, encoding: str, kind: str, is_bigendian: int, width: int, height: int, step: int,
    data: bytes | memoryview,
) -> np.ndarray:
    pixel = np.dtype(kind).newbyteorder('>' if is_bigendian else '<')
    if width < 1 or height < 1 or step < width * pixel.itemsize or step % pixel.itemsize:
        raise FrameError(
            f'{what} has {width}x{height} pixels of {encoding} and a step of {step} bytes: expected at least '
            f'{max(width, 1) * pixel.itemsize}, a multiple of {pixel.itemsize}')
    # The last row may lack its padding.
    needed = step * (height - 1) + width * pixel.itemsize
    if len(data) < needed:
        raise FrameError(f'{what} has {len(data)} bytes: expected {needed} for {width}x{height} {encoding}')
    view: np.ndarray = np.ndarray((height, width), pixel, data, strides=(step, pixel.itemsize))
    return view
