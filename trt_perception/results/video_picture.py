# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of annotated videos: an image in the size of the video, and its result in the same size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from ..dependencies import require
from .draw import draw_classifications, draw_detections
from .results import Classifications, Detections, Result


def resized(bgr: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an HxWx3 uint8 image with another (width, height); the same one if it has that size."""
    height, width = bgr.shape[:2]
    if size == (width, height):
        return bgr
    # Results are drawn afterwards, so that the names stay readable.
    return np.asarray(require('cv2').resize(bgr, size, interpolation=require('cv2').INTER_AREA))


def scaled(result: Result, x: float, y: float) -> Result:
    """Return the result for an image that is x times as wide and y times as high."""
    if not isinstance(result, Detections) or (x, y) == (1.0, 1.0):
        return result
    return dataclasses.replace(result, boxes=result.boxes * np.array([x, y, x, y], np.float32))


def drawn(bgr: np.ndarray, result: Result, names: Sequence[str], dimmed: bool = False) -> np.ndarray:
    """Return a copy of an image with a result. dimmed: of an earlier image."""
    if isinstance(result, Detections):
        return draw_detections(bgr, result, names, dimmed=dimmed)
    assert isinstance(result, Classifications)
    return draw_classifications(bgr, result, names, dimmed=dimmed)
