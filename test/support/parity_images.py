# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The images of test/data/preprocessing."""

import numpy as np

SIDE = 32
# Shorter side of an image divided by the shorter side to which it is resized.
RATIOS = (0.5, 0.75, 1.0, 1.3, 1.75, 2.0, 2.8125, 3.6, 4.5, 6.0)


def image(index, width, height):
    """Return an RGB picture (height, width, 3) with edges, gradients and noise, the same everywhere."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    noise = (x * 7919 + y * 104729 + index * 31 + x * y * 13) % 61
    red = (x * 255 // max(width - 1, 1) + noise) % 256
    green = np.where((x // 5 + y // 3) % 2 == 0, 230, 20) - noise // 4
    blue = np.clip(y * 255 // max(height - 1, 1) + noise - 30, 0, 255)
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def sizes():
    """Return width and height of each image: wide, high and square ones in turn."""
    shorter = [round(SIDE * ratio / 0.875) for ratio in RATIOS]
    return [
        (side * 4 // 3 + index, side) if index % 3 == 0 else (side, side + 5) if index % 3 == 1 else (side, side)
        for index, side in enumerate(shorter)]
