# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Copies a frame's bytes with several CPU cores."""

from __future__ import annotations

import numpy as np

from ....dependencies import require

# Upper limit of the speedup by several threads: they share the memory.
_MOST_SPEEDUP = 8


def copy_rows(source: np.ndarray, target: np.ndarray) -> None:
    """Copy (rows, bytes) uint8 to a contiguous `target` of the same shape, with OpenCV's threads.

    OpenCV has no copy that uses its threads. THRESH_TOZERO uses them: it keeps values above the threshold and sets the
    rest to zero, so with a threshold of zero the result equals the source. OpenCV's threads wait a moment for the next
    call before they sleep; Python threads would block each other if they did. NumPy's copy uses one core.
    """
    cv2 = require('cv2')
    cv2.threshold(source, 0, 0, cv2.THRESH_TOZERO, dst=target)


def copying_speedup() -> int:
    """Return roughly how many times faster `copy_rows` is than one thread."""
    return min(max(int(require('cv2').getNumThreads()), 1), _MOST_SPEEDUP)
