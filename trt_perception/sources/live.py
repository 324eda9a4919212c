# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Cameras and network streams: sources that have no end. Always gives the newest frame."""

from __future__ import annotations

import os
import re
import stat
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ..dependencies import require
from ..errors import FrameError, SourceError, one_line
from ..image.frame import Frame
from .formats import IMAGE_SUFFIXES
from .quiet import quiet
from .source import OnError, Source, SourceFrame, report
from .video import read_video

# OpenCV's FFmpeg waits this long for a connection, and for a frame. Its own default is 30 s.
_TIMEOUT_MS = 10_000
# Seconds between two attempts to connect again: doubled after each one, up to the limit.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 10.0
# While a camera is away, it is reported again after this time.
_WORD_S = 60.0
_POLL_S = 0.2
# How long a read may go on after the end of the program was requested.
_CLOSE_S = 1.0
_URL = re.compile(r'[a-z][a-z0-9+.-]*://', re.IGNORECASE)
_SECRET = re.compile(r'(?i)((?:pass|pwd|token|secret|key|auth|sig|cred)[^=&#;]*=)[^&#;]*')


@dataclass(frozen=True)
class LiveOptions:
    """How to read a camera or a stream.

    seconds: end after this time, None for no limit
    tell: called with one line when the stream is back after an interruption
    """

    seconds: float | None = None
    tell: Callable[[str], None] | None = None


def is_live(name: str) -> bool:
    """Return whether this is the number of a camera, a camera's device, or a URL. An existing file or folder is not."""
    if _URL.match(name):
        return not name.lower().startswith('file://')
    if not name.isascii() or not name.isdecimal():
        return _is_camera(name)
    # A folder may have a number as its name.
    return not os.path.lexists(name)


def shown(name: str) -> str:
    """Return the name of a live source as it may be shown: without passwords and keys of a URL."""
    if not _URL.match(name):
        return f'camera {name}' if name.isdecimal() else name
    scheme, _, rest = name.partition('://')
    # A password may contain every character, so the last @ before the path counts.
    address = re.split('[/?#]', rest, maxsplit=1)[0] if '@' not in rest else rest[:rest.rfind('@') + 1]
    user, at, host = address.rpartition('@')
    if at:
        masked = f'{user.partition(":")[0]}:***@' if ':' in user else f'{user}@'
        rest = masked + rest[len(address) - len(host):]
    masked = _SECRET.sub(r'\1***', rest)
    return f'{scheme}://{masked}'


def open_live(name: str, options: LiveOptions, on_error: OnError | None) -> Source:
    """Return the frames of a camera or a stream as bgr8.

    A thread reads all frames, and the newest one is given; the index counts all. A stream that ends or does not answer
    is an error for `on_error`, and is then opened again and again. A URL with a known length, such as a video file on a
    web server, is read as a video.

    Raises SourceError if it cannot be opened now.
    """
    label = shown(name)
    capture = _open(name, label)
    count = capture.get(require('cv2').CAP_PROP_FRAME_COUNT)
    if 0 < count < 1e9:
        return Source(read_video(label, capture, int(count), on_error), int(count))
    return Source(_read(_Reader(name, label, capture), label, options, on_error), None)


def _is_camera(name: str) -> bool:
    """Return whether a path is the device of a camera."""
    if not name.startswith('/dev/'):
        return False
    try:
        is_device = stat.S_ISCHR(os.stat(name).st_mode)  # noqa: PTH116 - with a Path, tests could not name a device
    except OSError:
        is_device = False
    return bool(re.match(r'/dev/(video\d|v4l/)', name)) or (is_device and '/video' in os.path.realpath(name))


def _open(name: str, label: str) -> Any:
    """Return an open cv2.VideoCapture. Raises SourceError."""
    cv2 = require('cv2')
    with quiet(cv2):
        if name.isdecimal():
            capture = cv2.VideoCapture(int(name)) if int(name) < 2**31 else cv2.VideoCapture()
        elif not _URL.match(name):
            capture = cv2.VideoCapture(name, cv2.CAP_V4L2)
        elif cv2.CAP_FFMPEG in cv2.videoio_registry.getStreamBackends():
            capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG, [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS])
        else:
            capture = cv2.VideoCapture(name)
    if not capture.isOpened():
        raise SourceError(f'{label}: OpenCV {cv2.__version__} cannot open it: {_remedy(name)}')
    return capture


def _remedy(name: str) -> str:
    if _URL.match(name):
        try:
            host = urlsplit(name).hostname
        except ValueError:
            host = None
        return (f'check that {host or "the host"} is reachable, and the path, user and password of the URL; in a '
                'password, characters such as @ and : must be written as %40 and %3A')
    device = Path(f'/dev/video{name}' if name.isdecimal() else name)
    if device.exists() and not os.access(device, os.R_OK | os.W_OK):
        return f'you have no permission to read {device} (sudo usermod -aG video $USER, then log in again)'
    found = ', '.join(sorted(map(str, Path('/dev').glob('video*')))) or 'none'
    return f'expected a camera that no other program uses; found these devices: {found}'


class _Reader:
    """Reads a capture in a thread, so that the newest frame is always there, and opens it again when it ends."""

    def __init__(self, name: str, label: str, capture: Any) -> None:
        self._name = name
        self._label = label
        self._capture = capture
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._newest: tuple[int, int, Any] | None = None
        self._words: list[tuple[bool, str]] = []
        self._ended = False
        self._thread = threading.Thread(target=self._run, name='camera', daemon=True)
        self._thread.start()

    def next(self, seconds: float) -> tuple[tuple[int, int, Any] | None, list[tuple[bool, str]], bool]:
        """Wait for news. Return (number, time of arrival in ns, pixels) or None, words, whether this is the end.

        A word is (whether frames were lost, text).
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._words or self._ended, seconds)
            newest, self._newest = self._newest, None
            words, self._words = self._words, []
            return newest, words, self._ended and newest is None

    def close(self) -> None:
        """End the thread. If a read does not return, it is left behind; it ends with the process."""
        self._stop.set()
        self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        count = 0
        is_picture = PurePosixPath(unquote(_url_path(self._name))).suffix.lower() in IMAGE_SUFFIXES
        try:
            while not self._stop.is_set():
                count = self._read(self._capture, count)
                self._capture.release()
                if is_picture and count:
                    return
                if not self._stop.is_set() and not self._again(count):
                    return
        except Exception as error:
            # For example cv2.error, or no memory for a frame.
            self._tell(True, f'{self._label}: {type(error).__name__}: {one_line(error)}')
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()

    def _read(self, capture: Any, count: int) -> int:
        while not self._stop.is_set():
            ok, pixels = capture.read()
            if not ok:
                break
            with self._changed:
                self._newest = count, time.time_ns(), pixels
                self._changed.notify()
            count += 1
        return count

    def _again(self, count: int) -> bool:
        """Open the capture again. Returns False if that makes no sense, or the end was requested."""
        if count == 0:
            self._tell(True, f'{self._label}: it is open, but sends no frame that OpenCV can decode')
            return False
        lost = time.monotonic()
        self._tell(True, f'{self._label}: the stream ended after {count} frames: connecting again (Ctrl-C ends it)')
        pause, spoken = _FIRST_PAUSE_S, lost
        while not self._stop.wait(pause):
            try:
                self._capture = _open(self._name, self._label)
            except SourceError as error:
                if time.monotonic() - spoken > _WORD_S:
                    spoken = time.monotonic()
                    self._tell(False, f'not back for {spoken - lost:.0f} s: {error}')
            else:
                self._tell(False, f'{self._label}: back after {time.monotonic() - lost:.1f} s')
                return True
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        return False

    def _tell(self, lost: bool, text: str) -> None:
        with self._changed:
            self._words.append((lost, text))
            self._changed.notify()


def _url_path(name: str) -> str:
    """Return the path of a URL, '' for another name or a URL that cannot be parsed."""
    try:
        return urlsplit(name).path if _URL.match(name) else ''
    except ValueError:
        return ''


def _read(
    reader: _Reader, label: str, options: LiveOptions, on_error: OnError | None,
) -> Generator[SourceFrame, None, None]:
    deadline = None if options.seconds is None else time.monotonic() + options.seconds
    try:
        while deadline is None or time.monotonic() < deadline:
            newest, words, ended = reader.next(_POLL_S)
            for lost, text in words:
                if lost:
                    report(SourceError(text), on_error)
                elif options.tell is not None:
                    options.tell(text)
            if newest is not None:
                number, stamp_ns, pixels = newest
                try:
                    frame = Frame.from_bgr(pixels)
                except FrameError as error:
                    report(SourceError(f'{label}: frame {number}: {error}'), on_error)
                    continue
                yield SourceFrame(label, number, frame, stamp_ns)
            if ended:
                return
    finally:
        reader.close()
