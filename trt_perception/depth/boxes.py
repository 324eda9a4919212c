# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The place and extent in space of a box in the image, from the depths in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .camera import Pinhole
from .image import DepthImage

# Depths that are looked at in one box. More change the median by less than the noise.
_MOST_PIXELS = 4096
# The median of the absolute deviations is this part of the standard deviation of normal noise.
_NORMAL = 1.4826
# A depth belongs to the object within this many standard deviations of the median, and always within this part of it.
_DEVIATIONS = 3.0
_SAME_SURFACE = 0.02
# Standard deviation of the centre of a detected box, in widths and heights of the box.
_PLACED = 1 / 20


@dataclass(frozen=True)
class Core:
    """Which depths of a box count.

    fraction: of the width and height, in the middle of the box; least, most: in metres
    known: the smallest part of these pixels with a depth between them
    """

    fraction: float = 0.5
    least: float = 0.05
    most: float = 20.0
    known: float = 0.1


@dataclass(frozen=True)
class Box3D:
    """A box in the optical frame of the camera: x to the right, y down, z forward, in metres.

    centre: its z is the median depth; size: in z it is the visible part, the depths from 5 % to 95 %
    covariance: (3, 3) of the centre in square metres
    """

    centre: tuple[float, float, float]
    size: tuple[float, float, float]
    covariance: np.ndarray


@dataclass(frozen=True)
class Mask:
    """The pixels of one object: those of an image of labels that have its label.

    labels: (H, W) of an integer type, the size of the camera's image
    """

    labels: np.ndarray
    label: int


def measure(
    box: Sequence[float], depth: DepthImage, camera: Pinhole, scale: tuple[float, float], core: Core,
    mask: Mask | None = None,
) -> Box3D | None:
    """Return the box in space, None if too few depths in it are known.

    box: x_min, y_min, x_max, y_max in pixels of the camera's image; scale: to pixels of the depth image
    mask: if it is given, the depths of its pixels count, not those of the core

    The deviation of z is that of the depths near the median. The deviations of x and y are those of the box, a
    twentieth of its width and height; they depend on that of z too.
    """
    left, top, right, bottom = box
    fraction = core.fraction if mask is None else 1.0
    columns = _middle(left * scale[0], right * scale[0], fraction, depth.width)
    rows = _middle(top * scale[1], bottom * scale[1], fraction, depth.height)
    # Odd: some sensors give every second row only.
    step = math.ceil(math.sqrt(len(rows) * len(columns) / _MOST_PIXELS)) | 1
    rows, columns = rows[::step], columns[::step]
    part = depth.values[np.ix_(rows, columns)]
    if mask is not None:
        # The pixels of the camera's image that have the centres of these.
        across, down = ((columns + 0.5) / scale[0]).astype(np.int64), ((rows + 0.5) / scale[1]).astype(np.int64)
        part = part[mask.labels[np.ix_(down, across)] == mask.label]
    depths = depth.metres(part)
    depths = depths[(depths >= core.least) & (depths <= core.most)]
    if not len(depths) or len(depths) < core.known * part.size:
        return None
    z = float(np.median(depths))
    deviations = np.abs(depths - z)
    deviation = _NORMAL * float(np.median(deviations))
    near = depths[deviations <= max(_DEVIATIONS * deviation, _SAME_SURFACE * z)]
    first, last = np.percentile(near, (5, 95))
    x, y = camera.ray((left + right) / 2, (top + bottom) / 2)
    width, height = (right - left) * z / camera.fx, (bottom - top) * z / camera.fy
    ray = np.array([x, y, 1.0])
    covariance = deviation ** 2 * np.outer(ray, ray)
    covariance[[0, 1], [0, 1]] += (_PLACED * width) ** 2, (_PLACED * height) ** 2
    return Box3D((x * z, y * z, z), (width, height, float(last - first)), covariance)


def _middle(first: float, last: float, fraction: float, size: int) -> np.ndarray:
    """Return the indices of the pixels in the middle of an interval, at least one of those inside the image."""
    margin = (last - first) * (1 - fraction) / 2
    start, stop = math.floor(first + margin + 0.5), math.floor(last - margin + 0.5)
    if stop <= start:
        start = math.floor((first + last) / 2)
        stop = start + 1
    return np.arange(max(0, start), max(0, min(size, stop)))
