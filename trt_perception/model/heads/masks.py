# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Instance masks from prototypes, as segmentation models of YOLOv5 and Ultralytics have them.

The network gives M prototypes, pictures of a fraction of its input's size, and M coefficients for each candidate. Their
weighted sum is positive on the object (YOLACT, https://arxiv.org/abs/1904.02689, section 3.1; its sigmoid is above 0.5
there). It is sampled at the centre of each pixel of the image inside of the box, linearly between the centres of the
prototypes' pixels. So no edge is rounded to a prototype's pixel. Prototypes in the padding of a letterbox are not used:
at the border of the image, the last ones inside count.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ...results.masks import Masks
from ..geometry import Geometry

# Numbers in a block: 128 KiB.
_BLOCK = 32768
_EMPTY = np.zeros((0, 0), bool)


def instance_masks(
    coefficients: np.ndarray, prototypes: np.ndarray, boxes: np.ndarray, geometry: Geometry,
) -> Masks | None:
    """Return the masks of detections, None if a value is not finite.

    coefficients: (N, M) float; prototypes: (M, h, w) float, over the whole input of the network
    boxes: (N, 4) x_min, y_min, x_max, y_max in image pixels, clipped to the image. A pixel whose centre is outside of
        its box does not belong to the object
    """
    parts, corners = [], np.zeros((len(boxes), 2), np.int64)
    across_image = _Axis(
        geometry.crop_x, geometry.scale_x, geometry.target_x, geometry.target_width,
        prototypes.shape[2] / geometry.network_width, prototypes.shape[2])
    down_image = _Axis(
        geometry.crop_y, geometry.scale_y, geometry.target_y, geometry.target_height,
        prototypes.shape[1] / geometry.network_height, prototypes.shape[1])
    for index, box in enumerate(np.asarray(boxes, np.float64).tolist()):
        left, top, right, bottom = (math.ceil(edge - 0.5) for edge in box)
        if right <= left or bottom <= top:
            parts.append(_EMPTY)
            continue
        corners[index] = left, top
        first_x, across = across_image.samples(left, right)
        first_y, down = down_image.samples(top, bottom)
        used = prototypes[
            :, first_y:first_y + down[0][-1] + 2, first_x:first_x + across[0][-1] + 2].astype(np.float32, copy=False)
        values = (coefficients[index].astype(np.float32) @ used.reshape(len(used), -1)).reshape(used.shape[1:])
        if not np.isfinite(values).all():
            return None
        parts.append(_positive(np.ascontiguousarray(_between(values.T, *across).T), *down))
    return Masks(tuple(parts), corners, geometry.image_width, geometry.image_height)


class _Axis(NamedTuple):
    """How one dimension of the image is mapped to that of the prototypes.

    crop, scale, target, length: of the Geometry
    ratio: pixels of the prototypes in one of the network; size: number of pixels of the prototypes
    """

    crop: float
    scale: float
    target: int
    length: int
    ratio: float
    size: int

    def samples(self, begin: int, end: int) -> tuple[int, tuple[np.ndarray, np.ndarray]]:
        """Return where the centres of the image's pixels begin..end-1 lie.

        Returns the first pixel of the prototypes that is used, and for each pixel of the image the index from there on
        and the fraction (float32) of the way to the next one.
        """
        centres = (np.arange(begin, end) + 0.5 - self.crop) * self.scale + self.target
        # The first and the last prototype's pixel whose centre is in the image. A tolerance for 1/4 * 4.
        lowest = math.ceil(self.target * self.ratio - 0.5 - 1e-6)
        highest = max(lowest, math.floor((self.target + self.length) * self.ratio - 0.5 + 1e-6))
        places = np.clip(centres * self.ratio - 0.5, min(lowest, self.size - 1), min(highest, self.size - 1))
        indices = np.minimum(places.astype(np.int64), max(0, self.size - 2))
        first = int(indices[0])
        return first, (indices - first, (places - indices).astype(np.float32))


def _positive(rows: np.ndarray, indices: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Return where `_between` is positive. Done in blocks that stay in the processor's cache."""
    positive = np.empty((len(indices), rows.shape[1]), bool)
    block = max(1, _BLOCK // rows.shape[1])
    for start in range(0, len(indices), block):
        part = slice(start, start + block)
        np.greater(_between(rows, indices[part], fractions[part]), 0, out=positive[part])
    return positive


def _between(rows: np.ndarray, indices: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Return rows between those of (h, w): each at its index, moved by the fraction towards the next one."""
    if len(rows) == 1:
        # A prototype of one row has no next one.
        single: np.ndarray = rows[indices]
        return single
    below = rows[indices]
    values: np.ndarray = rows[indices + 1]
    values -= below
    values *= fractions[:, np.newaxis]
    values += below
    return values
