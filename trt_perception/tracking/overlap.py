# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes as corners and as centres, and how much they overlap."""

from __future__ import annotations

import numpy as np


def centres(boxes: np.ndarray) -> np.ndarray:
    """Return (N, 4) float64, centre x, centre y, width, height, of corners x_min, y_min, x_max, y_max."""
    first, last = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    return np.concatenate([(first + last) / 2, last - first], axis=1)


def corners(boxes: np.ndarray) -> np.ndarray:
    """Return (N, 4) float64, the corners of centre x, centre y, width, height."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def iou(first: np.ndarray, second: np.ndarray, margins: np.ndarray | None = None) -> np.ndarray:
    """Return the IoU of each box with each other box, (N, M) float64.

    first, second: (N, 4) and (M, 4) corners; margins: (N, 2) in x and y, by which both boxes grow on each side
    """
    growth = np.zeros((1, 2)) if margins is None else 2 * margins
    shared = areas = others = np.ones(1)
    for axis in range(2):
        low, high, grown = first[:, axis, None], first[:, axis + 2, None], growth[:, axis, None]
        sides = np.minimum(high, second[:, axis + 2]) - np.maximum(low, second[:, axis]) + grown
        shared = shared * np.maximum(sides, 0.0)
        areas = areas * (high - low + grown)
        others = others * (second[:, axis + 2] - second[:, axis] + grown)
    total = areas + others - shared
    return np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
