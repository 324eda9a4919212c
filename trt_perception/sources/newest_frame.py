# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The newest frame of a camera or a network stream."""

from __future__ import annotations

import math
import threading
import time
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from ..errors import SourceError, one_line
from .capture import THREAD, open_capture
from .formats import IMAGE_SUFFIXES
from .live_names import shown, url_path

# Seconds between two attempts to connect again: doubled after each one, up to the limit.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 10.0
# After a connection of this length, the next pause is short again.
_STEADY_S = 30.0
# Interruptions are reported at most once in this time.
_WORD_S = 60.0
# How long a read may go on after the end of the program was requested.
_CLOSE_S = 1.0


class NewestFrame:
    """Reads a camera or stream in a thread and keeps the newest frame. If the stream ends, it is opened again."""

    def __init__(self, name: str, capture: Any) -> None:
        """Start the thread. capture: an open cv2.VideoCapture of `name`."""
        self._name = name
        self._label = shown(name)
        self._capture = capture
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._newest: tuple[int, int, Any] | None = None
        self._words: list[tuple[bool, str]] = []
        self._ended = False
        self._opened = time.monotonic()
        self._pause = _FIRST_PAUSE_S
        self._spoken, self._unsaid = -math.inf, 0
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
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
        is_picture = PurePosixPath(unquote(url_path(self._name))).suffix.lower() in IMAGE_SUFFIXES
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
        if lost - self._opened > _STEADY_S:
            self._pause = _FIRST_PAUSE_S
        spoken = self._say_rarely(
            True, f'{self._label}: the stream ended after {count} frames: connecting again (Ctrl-C ends it)')
        while not self._stop.wait(self._pause):
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_S)
            try:
                self._capture = open_capture(self._name)
            except SourceError as error:
                self._say_rarely(False, f'no frame for {time.monotonic() - lost:.0f} s: {error}')
            else:
                self._opened = time.monotonic()
                if spoken:
                    self._tell(False, f'{self._label}: connected again after {self._opened - lost:.1f} s')
                return True
        return False

    def _say_rarely(self, lost: bool, text: str) -> bool:
        """Tell it if nothing was told for a while. Returns whether it was told."""
        now = time.monotonic()
        if now - self._spoken < _WORD_S:
            self._unsaid += lost
            return False
        unsaid = f' ({self._unsaid} more interruptions before)' if self._unsaid else ''
        self._tell(lost, f'{text}{unsaid}')
        self._spoken, self._unsaid = now, 0
        return True

    def _tell(self, lost: bool, text: str) -> None:
        with self._changed:
            self._words.append((lost, text))
            self._changed.notify()
