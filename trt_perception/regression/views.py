# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The part of an image that shows its differences, as a small JPEG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..dependencies import require
from .frames import FrameDifference
from .largest import LargeDifference

_WIDTH = 640
# A small part is shown enlarged.
_QUALITY, _SMALL_QUALITY, _SMALL = 80, 95, 320
# Width to height. The part is larger than the boxes, and at least this part of the image, so that one sees what it is.
_SHAPE = 4 / 3
_AROUND = 1.6
_LEAST = 1 / 3


@dataclass(frozen=True)
class View:
    """A part of an image, in pixels of the image. jpeg: its pixels, b'' if the image is not there"""

    x: int
    y: int
    width: int
    height: int
    jpeg: bytes = b''


def view_of(item: LargeDifference, moved_iou: float) -> View:
    """Return the part of the image that has all boxes that differ; the whole image without such boxes."""
    image, difference = item.image, item.difference
    boxes: list[Sequence[float]] = []
    if isinstance(difference, FrameDifference):
        pairs = [pair for pair in difference.matched if pair.iou < moved_iou]
        found = [*difference.lost, *difference.gained, *(one for pair in pairs for one in (pair.a, pair.b))]
        boxes = [one.box for one in found if one.box is not None]
    return _around(boxes, max(1, image.width), max(1, image.height))


def with_pixels(view: View, bgr: np.ndarray) -> View:
    """Return the view with its part of an image, HxWx3 uint8 BGR."""
    cv2 = require('cv2')
    part = bgr[view.y:view.y + view.height, view.x:view.x + view.width]
    if view.width > _WIDTH:
        size = _WIDTH, max(1, round(view.height * _WIDTH / view.width))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    quality = _QUALITY if view.width > _SMALL else _SMALL_QUALITY
    done, data = cv2.imencode('.jpg', part, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return View(view.x, view.y, view.width, view.height, data.tobytes() if done else b'')


def _around(boxes: Sequence[Sequence[float]], width: int, height: int) -> View:
    if not boxes:
        return View(0, 0, width, height)
    corners = np.array(boxes, np.float64)
    low, high = corners[:, :2].min(axis=0), corners[:, 2:].max(axis=0)
    wide, tall = np.maximum((high - low) * _AROUND, [width * _LEAST, height * _LEAST])
    wide, tall = max(wide, tall * _SHAPE), max(tall, wide / _SHAPE)
    wide, tall = min(width, round(wide)), min(height, round(tall))
    left, top = np.rint((low + high - (wide, tall)) / 2)
    return View(int(np.clip(left, 0, width - wide)), int(np.clip(top, 0, height - tall)), max(1, wide), max(1, tall))
