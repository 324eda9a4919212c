# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The part of a camera's image that the network sees, and its results in the coordinates of the whole image.

All coordinates of a Region and of the results are pixels of the image as the camera publishes it: continuous edges, as
in model/geometry.py. Only the network sees the part that is cut out and turned.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .masks import Masks
from .results import Detections, Result

ROTATIONS = (0, 90, 180, 270)
_CORNER = re.compile(r'(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)')
_FEWEST_CORNERS = 3
Polygon = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Region:
    """What the network sees of an image, and which of its results count.

    x, y, width, height: the box that is cut out; width or height 0: up to the edge of the image
    rotate: clockwise turn of what is cut out, in degrees: 0, 90, 180 or 270
    ignored: polygons; a detection whose centre is in one of them is dropped
    """

    x: int = 0
    y: int = 0
    width: int = 0
    height: int = 0
    rotate: int = 0
    ignored: tuple[Polygon, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the network sees the image as it is."""
        return not (self.x or self.y or self.width or self.height or self.rotate)

    def within(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the box x_min, y_min, x_max, y_max in an image of this size; it is empty if it lies outside."""
        right = min(width, self.x + self.width) if self.width else width
        bottom = min(height, self.y + self.height) if self.height else height
        return self.x, self.y, right, bottom

    def restored(self, result: Result, width: int, height: int) -> Result:
        """Return a result of the network in the coordinates of the image, without the ignored detections.

        width, height: of the image
        """
        if not isinstance(result, Detections):
            return result
        if not self.is_whole:
            masks = None if result.masks is None else self._masks_on_image(result.masks, width, height)
            result = replace(result, boxes=self._on_image(result.boxes, width, height), masks=masks)
        return self._without_ignored(result)

    def within_sight(self, predicted: Detections, width: int, height: int) -> Detections:
        """Return predicted boxes as the network would find them: clipped to what it sees, without the ignored ones.

        predicted: in the coordinates of the image; width, height: of the image
        """
        left, top, right, bottom = self.within(width, height)
        clipped = np.clip(predicted.boxes, [left, top, left, top], [right, bottom, right, bottom])
        visible = np.flatnonzero((clipped[:, 2:] > clipped[:, :2]).all(axis=1))
        boxes = clipped.astype(np.float32)
        return self._without_ignored(replace(predicted, boxes=boxes).chosen(visible))

    def _without_ignored(self, result: Detections) -> Detections:
        if not self.ignored or not len(result):
            return result
        centres = (result.boxes[:, :2] + result.boxes[:, 2:]) / 2
        kept = ~np.any([inside(polygon, centres) for polygon in self.ignored], axis=0)
        return result.chosen(np.flatnonzero(kept))

    def _masks_on_image(self, masks: Masks, width: int, height: int) -> Masks:
        sizes = np.array([part.shape[::-1] for part in masks.parts], np.int64).reshape(-1, 2)
        boxes = self._on_image(np.hstack([masks.corners, masks.corners + sizes]), width, height)
        # rot90 turns against the clock: back to the image.
        parts = tuple(np.rot90(part, self.rotate // 90) for part in masks.parts)
        return Masks(parts, np.rint(boxes[:, :2]).astype(np.int64), width, height)

    def _on_image(self, boxes: np.ndarray, image_width: int, image_height: int) -> np.ndarray:
        left, top, right, bottom = self.within(image_width, image_height)
        width, height = right - left, bottom - top
        first_x, first_y, last_x, last_y = boxes.T
        if self.rotate == 90:
            turned = (first_y, height - last_x, last_y, height - first_x)
        elif self.rotate == 180:
            turned = (width - last_x, height - last_y, width - first_x, height - first_y)
        elif self.rotate == 270:
            turned = (width - last_y, first_x, width - first_y, last_x)
        else:
            turned = (first_x, first_y, last_x, last_y)
        moved: np.ndarray = np.stack(turned, axis=1) + np.array([left, top, left, top], np.float32)
        return moved.astype(np.float32)


def inside(polygon: Polygon, points: np.ndarray) -> np.ndarray:
    """Return (N,) bool: which of the (N, 2) points are in the polygon.

    A point is inside if a ray from it crosses an odd number of edges.
    """
    x, y = points[:, 0, np.newaxis], points[:, 1, np.newaxis]
    corners = np.asarray(polygon, np.float64)
    (ax, ay), (bx, by) = corners.T, np.roll(corners, -1, axis=0).T
    crosses = (ay > y) != (by > y)
    # Edges along the ray do not cross it; the division by zero is theirs.
    with np.errstate(divide='ignore', invalid='ignore'):
        right_of = x < (bx - ax) * (y - ay) / (by - ay) + ax
    odd: np.ndarray = np.count_nonzero(crosses & right_of, axis=1) % 2 == 1
    return odd


def parse_area(text: str) -> tuple[str, Polygon] | None:
    """Read an area such as '0,0 640,0 640,80', or '/front/image_raw: 0,0 640,0 640,80'.

    Returns the topic, '' without one, and the polygon; None if the text is not an area.
    """
    topic, colon, rest = text.rpartition(':')
    words = rest.split()
    matches = [_CORNER.fullmatch(word) for word in words]
    corners = tuple((float(match[1]), float(match[2])) for match in matches if match is not None)
    if len(corners) != len(words) or len(corners) < _FEWEST_CORNERS or (colon and not topic.strip()):
        return None
    return topic.strip(), corners


def encloses_one_area(polygon: Polygon) -> bool:
    """Whether the corners are given in their order around an area: no two edges cross, and they are not on one line.

    Corners and edges may touch others: many programs repeat the first corner at the end.
    """
    starts = np.asarray(polygon, np.float64)
    ends = np.roll(starts, -1, axis=0)
    for first, last in zip(starts, ends):
        across = _sides(first, last, starts) * _sides(first, last, ends) < 0
        if (across & (_sides(starts, ends, first) * _sides(starts, ends, last) < 0)).any():
            return False
    return bool(np.sum(starts[:, 0] * ends[:, 1] - ends[:, 0] * starts[:, 1]))


def _sides(starts: np.ndarray, ends: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return on which side of the lines from starts to ends the points are: -1, 0 or 1."""
    (x, y), (point_x, point_y) = (ends - starts).T, (points - starts).T
    sides: np.ndarray = np.sign(x * point_y - y * point_x)
    return sides


def areas_for(texts: Sequence[str], names: Sequence[str]) -> tuple[Polygon, ...]:
    """Return the polygons of the texts without a topic, and of those with one of these names."""
    areas = [area for text in texts if (area := parse_area(text)) is not None]
    return tuple(polygon for topic, polygon in areas if topic in ('', *names))
