# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Calls OpenCV's decoders without their lines on the console."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from ..dependencies import require

_SILENT = 0  # LOG_LEVEL_SILENT


def imdecode(data: np.ndarray, colour: bool = False) -> np.ndarray | None:
    """Return the pixels, or None if OpenCV cannot decode the data (uint8 (N,)).

    colour: as HxWx3 uint8 BGR, turned upright as its Exif data says; otherwise as they are stored
    """
    cv2 = require('cv2')
    try:
        with quiet:
            pixels: np.ndarray | None = cv2.imdecode(data, cv2.IMREAD_COLOR if colour else cv2.IMREAD_UNCHANGED)
    except cv2.error:  # A size over OpenCV's own limit, for example.
        return None
    return pixels


class _Quiet:
    """Silences OpenCV's log while at least one thread decodes. The level of the log belongs to the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._level = 0

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._level = _logging().getLogLevel()
                _logging().setLogLevel(_SILENT)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                _logging().setLogLevel(self._level)


def _logging() -> Any:
    cv2 = require('cv2')
    return getattr(cv2.utils, 'logging', cv2)  # OpenCV 4.5.4 has the functions in cv2 itself.


# Errors of this project have the same information as the log, and are throttled.
quiet = _Quiet()
