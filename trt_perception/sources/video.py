# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads video files with OpenCV."""

from __future__ import annotations

import math
from collections.abc import Generator
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import FrameError, SourceError, one_line, reason
from ..image.frame import Frame
from ..utf8_path import is_utf8, not_utf8
from .formats import image_format
from .quiet import quiet
from .source import OnError, Source, SourceFrame, report

# Some containers only estimate the number of frames. If less than this fraction is found, the file is damaged.
_COMPLETE = 0.9
# A header with a larger number is damaged.
_MOST_FRAMES = 1e9
# ISO/IEC 23008-12: an image that is stored in tiles has an item of this type in its first box 'meta'.
_TILES = b'infe', b'grid'
_META_BYTES = 1 << 20


def open_video(path: Path, on_error: OnError | None = None) -> Source:
    """Return the frames of a video as bgr8, rotated upright if the file has the orientation of the camera.

    Stamps begin at 0 for the first frame. A video ends at the first frame that cannot be decoded. If its header
    announced many more frames, an error is reported once, after the last frame.

    Raises SourceError if OpenCV cannot open the file. If it finds no frame in it, an error is reported.
    """
    cv2 = require('cv2')
    head = _read_head(path)
    _refuse_tiles(path, head)
    try:
        capture = _open(cv2, str(path))
    except UnicodeEncodeError:
        raise SourceError(f'{path}: OpenCV opens videos only if their path is UTF-8: rename it') from None
    if not capture.isOpened():
        kind = image_format(head)
        if kind:
            raise SourceError(
                f'{path}: damaged, or OpenCV {cv2.__version__} does not read this {kind} file: convert it to JPEG or '
                'PNG')
        raise SourceError(
            f'{path}: not an image, video or bag that can be read (OpenCV {cv2.__version__} does '
            'not open it as a video)')
    count = _number(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    count = count if 0 < count < _MOST_FRAMES else 0
    return Source(read_video(str(path), capture, int(count), on_error), int(count) or None)


def read_video(name: str, capture: Any, count: int, on_error: OnError | None) -> Generator[SourceFrame, None, None]:
    """Yield the frames of an open cv2.VideoCapture, and release it.

    name: source of the frames; count: their number by the header, 0 if it is unknown
    """
    cv2 = require('cv2')
    try:
        clock = _Clock(_number(capture.get(cv2.CAP_PROP_FPS)))
        index = 0
        while True:
            try:
                with quiet():
                    ok, pixels = capture.read()
                frame = Frame.from_bgr(pixels) if ok else None
            except (cv2.error, FrameError) as error:
                report(SourceError(f'{name}: frame {index}: {one_line(error)}'), on_error)
                return
            if frame is None:
                break
            stamp = clock.stamp_ns(index, _number(capture.get(cv2.CAP_PROP_POS_MSEC)))
            yield SourceFrame(name, index, frame, stamp)
            index += 1
        if index == 0:
            report(SourceError(f'{name}: OpenCV {cv2.__version__} opens this file, but can decode no frame of it'),
                   on_error)
        elif index < _COMPLETE * count:
            report(SourceError(f'{name}: only {index} of {count} frames can be decoded'), on_error)
    finally:
        capture.release()


def _number(value: float) -> float:
    """Return a property of a video, 0.0 if a damaged header gives no number."""
    return value if math.isfinite(value) else 0.0


def _open(cv2: Any, name: str) -> Any:
    """Return a cv2.VideoCapture, open or not.

    OpenCV has two more readers. One takes frame_001.x as the first of many files, the other prints bytes of damaged
    files. FFmpeg and GStreamer read all that they read.
    """
    # OpenCV 4.5.4 does not have it.
    has_backend = getattr(cv2.videoio_registry, 'hasBackend', lambda backend: True)
    if not is_utf8(name):
        raise SourceError(not_utf8(name, 'OpenCV'))
    capture = cv2.VideoCapture()
    with quiet():
        for backend in [*filter(has_backend, (cv2.CAP_FFMPEG, cv2.CAP_GSTREAMER))] or [cv2.CAP_ANY]:
            if capture.open(name, backend):
                break
    return capture


def _read_head(path: Path) -> bytes:
    try:
        with path.open('rb') as file:
            head = file.read(12)
            return head + file.read(_META_BYTES) if head[4:8] == b'ftyp' else head
    except OSError as error:
        raise SourceError(f'{path}: cannot be read: {reason(error)}') from error


def _refuse_tiles(path: Path, head: bytes) -> None:
    """Raise SourceError for a HEIC image in tiles, as of phones: FFmpeg would give one tile as if it were the image."""
    start = head.find(b'meta') if image_format(head) == 'HEIC' else -1
    end = start + int.from_bytes(head[max(start - 4, 0):max(start, 0)], 'big')
    found = 0
    while start >= 0 and (found := head.find(_TILES[0], max(found, start) + 1, end)) >= 0:
        # The box has a version and flags, the number of the item (16 or 32 bits), a protection index, and the type.
        if _TILES[1] in (head[found + 12:found + 16], head[found + 14:found + 18]):
            raise SourceError(
                f'{path}: a HEIC image that is stored in tiles, of which OpenCV reads only one: convert it to JPEG or '
                'PNG')


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
