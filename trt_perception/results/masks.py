# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The instance masks of one image: which pixels belong to each detected object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Masks:
    """One mask for each detection, in the same order. Only the part inside of its box is stored.

    parts: for each detection (h, w) bool, True on the object; (0, 0) without pixels
    corners: (N, 2) int64, x and y of the first pixel of each part
    width, height: of the image in pixels

    >>> found.masks[0]          # (height, width) bool
    >>> image[found.masks[0]]   # the pixels of the first object
    """

    parts: tuple[np.ndarray, ...]
    corners: np.ndarray
    width: int
    height: int

    def __len__(self) -> int:
        """Return the number of detections."""
        return len(self.parts)

    def __getitem__(self, index: int) -> np.ndarray:
        """Return the mask of a detection, (height, width) bool. IndexError if there is no such detection."""
        part = self.parts[index]
        x, y = self.corners[index]
        mask = np.zeros((self.height, self.width), bool)
        mask[y:y + part.shape[0], x:x + part.shape[1]] = part
        return mask

    def chosen(self, indices: np.ndarray) -> Masks:
        """Return the masks of some detections, in the order of the indices."""
        return Masks(tuple(self.parts[index] for index in indices), self.corners[indices], self.width, self.height)

    def with_empty(self, count: int) -> Masks:
        """Return the masks and, after them, `count` without pixels."""
        parts = self.parts + (np.zeros((0, 0), bool),) * count
        return Masks(
            parts, np.concatenate([self.corners, np.zeros((count, 2), self.corners.dtype)]), self.width, self.height)

    def label_image(self, values: Sequence[int] | np.ndarray, background: int, dtype: type) -> np.ndarray:
        """Return (height, width) of an integer type, with a value for each pixel. Earlier detections cover later ones.

        values: one for each detection; background: value of the pixels without an object
        """
        image: np.ndarray = np.full((self.height, self.width), background, dtype)
        for index in reversed(range(len(self.parts))):
            part = self.parts[index]
            x, y = self.corners[index]
            image[y:y + part.shape[0], x:x + part.shape[1]][part] = values[index]
        return image
