# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The results of a pipeline for one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .masks import Masks


@dataclass(frozen=True)
class Detections:
    """Objects found in one image, sorted by score, highest first.

    boxes: (N, 4) float32, x_min, y_min, x_max, y_max in pixels of the incoming image, clipped to it
    scores: (N,) float32 in 0..1
    class_indices: (N,) int64
    ids: (N,) int64, an id that stays from image to image, from 1 on; 0 for an object without one. None without tracking
    masks: the pixels of each object, None if they were not asked for or the model has none
    """

    boxes: np.ndarray
    scores: np.ndarray
    class_indices: np.ndarray
    ids: np.ndarray | None = None
    masks: Masks | None = None

    def chosen(self, indices: np.ndarray) -> Detections:
        """Return some of the objects, in the order of the indices."""
        return Detections(
            self.boxes[indices], self.scores[indices], self.class_indices[indices],
            None if self.ids is None else self.ids[indices], None if self.masks is None else self.masks.chosen(indices))

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.scores)

    @staticmethod
    def empty() -> Detections:
        """Return a result with nothing found."""
        return Detections(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))


@dataclass(frozen=True)
class Classifications:
    """The top-k classes of one image, sorted by score, highest first.

    class_indices: (K,) int64
    scores: (K,) float32, probabilities in 0..1
    """

    class_indices: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.scores)


Result = Detections | Classifications
