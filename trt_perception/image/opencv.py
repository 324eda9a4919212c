# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Calls OpenCV's decoders without their lines on the console."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..dependencies import require

_SILENT = 0  # LOG_LEVEL_SILENT
_LOCK = threading.Lock()


def imdecode(data: np.ndarray, colour: bool = False) -> np.ndarray | None:
    """Return the pixels, or None if OpenCV cannot decode the data (uint8 (N,)).

    colour: as HxWx3 uint8 BGR, turned upright as its Exif data says; otherwise as they are stored
    """
    cv2 = require('cv2')
    try:
        with quiet():
            pixels: np.ndarray | None = cv2.imdecode(data, cv2.IMREAD_COLOR if colour else cv2.IMREAD_UNCHANGED)
    except cv2.error:  # A size over OpenCV's own limit, for example.
        return None
    return pixels


@contextmanager
def quiet() -> Iterator[None]:
    """Silence OpenCV's log: errors of this project have the same information, and are throttled."""
    cv2 = require('cv2')
    logging = getattr(cv2.utils, 'logging', cv2)  # OpenCV 4.5.4 has the functions in cv2 itself.
    # The level belongs to the process: two threads must not store each other's silence.
    with _LOCK:
        level = logging.getLogLevel()
        logging.setLogLevel(_SILENT)
        try:
            yield
        finally:
            logging.setLogLevel(level)
