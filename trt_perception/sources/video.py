# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads video files with OpenCV."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import SourceError
from ..image.frame import Frame
from .source import OnError, Source, SourceFrame, report

# Some containers only estimate the number of frames. If less than this fraction is found, the file is damaged.
_COMPLETE = 0.9


def open_video(path: Path, on_error: OnError | None = None) -> Source:
    """Return the frames of a video as bgr8, rotated upright if the file has the orientation of the camera.

    Stamps begin at 0 for the first frame. A video ends at the first frame that cannot be decoded. If its header
    announced many more frames, an error is reported once, after the last frame.

    Raises SourceError if OpenCV cannot open the file or finds no frame in it.
    """
    cv2 = require('cv2')
    with _quiet(cv2):
        capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise SourceError(
            f'{path}: not an image, video or bag that can be read (OpenCV {cv2.__version__} does '
            'not open it as a video)')
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    return Source(_read(path, capture, count, on_error), count if count > 0 else None)


def _read(
    path: Path, capture: Any, count: int, on_error: OnError | None,
) -> Generator[SourceFrame, None, None]:
    cv2 = require('cv2')
    try:
        clock = _Clock(capture.get(cv2.CAP_PROP_FPS))
        index = 0
        while True:
            ok, pixels = capture.read()
            if not ok:
                break
            stamp = clock.stamp_ns(index, capture.get(cv2.CAP_PROP_POS_MSEC))
            yield SourceFrame(str(path), index, Frame.from_bgr(pixels), stamp)
            index += 1
        if index == 0:
            raise SourceError(f'{path}: the video has no frame that OpenCV can decode')
        if index < _COMPLETE * count:
            report(SourceError(f'{path}: only {index} of {count} frames can be decoded'), on_error)
    finally:
        capture.release()


@contextmanager
def _quiet(cv2: Any) -> Iterator[None]:
    """Silence OpenCV and FFmpeg: the SourceError has the same information."""
    # Read when FFmpeg is first used. 8: fatal errors only; by default FFmpeg prints a line for each unusual packet.
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '8')
    logging = getattr(cv2.utils, 'logging', cv2)  # OpenCV 4.5.4 has the functions in cv2 itself.
    level = logging.getLogLevel()
    logging.setLogLevel(0)  # LOG_LEVEL_SILENT
    try:
        yield
    finally:
        logging.setLogLevel(level)


class _Clock:
    """Computes stamps of frames from the container's time stamps, or from the frame rate if these do not increase.

    After a read, CAP_PROP_POS_MSEC is the time of that frame in newer versions of OpenCV, and of the next frame in
    older ones. Differences to the first frame are the same in both. Some backends leave it at 0.
    """

    def __init__(self, fps: float) -> None:
        self._period_ns = 1e9 / fps if 0 < fps < 1e6 else 1e9 / 30
        self._first_ms = 0.0
        self._last_ns = -1

    def stamp_ns(self, index: int, position_ms: float) -> int:
        if index == 0:
            self._first_ms = position_ms
            stamp = 0
        else:
            stamp = round((position_ms - self._first_ms) * 1e6)
            if stamp <= self._last_ns:
                stamp = self._last_ns + round(self._period_ns)
        self._last_ns = stamp
        return stamp
