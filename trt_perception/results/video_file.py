# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes annotated videos in a format that browsers play.

VP8 in WebM: every OpenCV with FFmpeg and libvpx (BSD licence) writes it, in the wheels of PyPI (FFmpeg under the LGPL)
and in apt. The other formats were tried on 640x272 frames: VP9 takes five times as long, because OpenCV passes no speed
option to the encoder; the wheels have no encoder for H.264 and AV1, and x264 is under the GPL. MPEG-4 Part 2 is what
remains for an OpenCV without libvpx: players show it, browsers do not.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..utf8_path import is_utf8, not_utf8
from .webm import VideoError

# VP8 takes about 0.1 s of one core for a million pixels. Larger frames are drawn in this size, so that a video of 1080p
# does not take minutes.
MAX_PIXELS = 854 * 480
# VP8 has 14 bits for a side. FFmpeg's encoder writes no frame of 4x4 pixels.
_LEAST_SIDE, _MOST_SIDE = 16, 16_382
PLAYED_BY_BROWSERS = '.webm'
_FORMATS = (('.webm', 'VP80'), ('.mp4', 'mp4v'))
# MPEG-4 counts time in units of at least 1/65535 s; OpenCV derives the unit from the decimals of the rate.
_MAX_FPS = 600.0


def video_size(width: int, height: int) -> tuple[int, int]:
    """Return (width, height) of the video of frames of this size: the same, or smaller with the same shape.

    The shape of very long and of very small frames is another one: each side is within what VP8 can have.
    """
    scale = min(1.0, math.sqrt(MAX_PIXELS / (width * height)))
    if scale < 1.0:
        # Even, because the colour resolution is halved.
        width, height = round(width * scale / 2) * 2, round(height * scale / 2) * 2
    return min(max(_LEAST_SIDE, width), _MOST_SIDE), min(max(_LEAST_SIDE, height), _MOST_SIDE)


class VideoFile:
    """A video that is written frame by frame; a context manager.

    path: the file without its suffix; fps: frames per second
    Once a frame was written, `path` has the suffix of the format that this OpenCV can write, and `size` is
    the width and height of the video.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self.path = path
        self.written = 0
        self.size = (0, 0)
        self._fps = min(round(fps, 3 if fps < 60 else 2), _MAX_FPS)
        self._writer: Any = None

    def write(self, picture: np.ndarray) -> None:
        """Append a HxWx3 uint8 BGR picture, all of one size. Raises VideoError if no file can be written."""
        picture = _even(picture)
        if self._writer is None:
            self._writer = self._open(picture)
        self._writer.write(picture)
        self.written += 1

    def check(self) -> None:
        """Raise VideoError if the file lacks a frame. VideoWriter reports neither a full disk nor a refused frame."""
        held = _count(self.path)
        if held != self.written:
            raise VideoError(
                f'{self.path}: {self.written} frames were written, but {held} can be read back: check the space left')

    def __enter__(self) -> VideoFile:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Complete the file."""
        self.release()

    def release(self) -> None:
        """Complete the file."""
        if self._writer is not None:
            self._writer.release()

    def _open(self, picture: np.ndarray) -> Any:
        cv2 = require('cv2')
        if not is_utf8(self.path):
            raise VideoError(not_utf8(self.path, 'OpenCV', 'rename the folder'))
        height, width = picture.shape[:2]
        self.size = width, height
        base = self.path
        for suffix, codec in _FORMATS:
            self.path = base.with_name(f'{base.name}{suffix}')
            with _quiet():
                writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter_fourcc(*codec), self._fps, (width, height))
            if writer.isOpened():
                return writer
            self.path.unlink(missing_ok=True)
        raise VideoError(
            f'{base}{_FORMATS[0][0]}: OpenCV {cv2.__version__} can write neither VP8 nor MPEG-4 ({width}x{height}): '
            'check that the folder can be written, and that this OpenCV was built with FFmpeg')


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Discard the output of C libraries to stderr: OpenCV remarks there on the tag of each WebM file."""
    try:
        before = os.dup(2)
    except OSError:
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _even(picture: np.ndarray) -> np.ndarray:
    """Repeat the last row or column if the size is odd: the formats halve the colour resolution."""
    height, width = picture.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return picture
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), 'edge')


def _count(video: Path) -> int:
    cv2 = require('cv2')
    # Frames are read: the count of WebM's header is an estimate of its duration.
    capture = cv2.VideoCapture(str(video))
    count = 0
    try:
        while capture.grab():
            count += 1
    finally:
        capture.release()
    return count
