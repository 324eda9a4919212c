# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Copies of a frame's bytes on the processor, with more than one of its cores."""

from __future__ import annotations

import numpy as np

from ....dependencies import require

# How much faster than one thread several are, at most: what they share is the memory.
_MOST_SPEEDUP = 8


def copy_rows(source: np.ndarray, target: np.ndarray) -> None:
    """Copy (rows, bytes) uint8 to a contiguous `target` of the same shape, with OpenCV's threads.

    OpenCV has no copy that uses its threads, but THRESH_TOZERO keeps what is above the threshold and makes the rest
    zero: with a threshold of zero the result is the source. Its threads wait for the next call for a moment before
    they sleep, which Python's cannot without holding the others up. NumPy's copy uses one core.
    """
    cv2 = require('cv2')
    cv2.threshold(source, 0, 0, cv2.THRESH_TOZERO, dst=target)


def copying_speedup() -> int:
    """Return about how many times faster `copy_rows` is than one thread."""
    return min(max(int(require('cv2').getNumThreads()), 1), _MOST_SPEEDUP)
