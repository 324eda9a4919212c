# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Cameras and network streams: sources that have no end. Always gives the newest frame."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from ..dependencies import require
from ..errors import FrameError, SourceError
from ..image.frame import Frame
from .capture import open_capture_in_thread
from .live_names import shown
from .newest_frame import NewestFrame
from .source import OnError, Source, SourceFrame, report
from .video import read_video

_POLL_S = 0.2


@dataclass(frozen=True)
class LiveOptions:
    """How to read a camera or a stream.

    seconds: end after this time, None for no limit
    tell: called with one line when the stream is back after an interruption
    """

    seconds: float | None = None
    tell: Callable[[str], None] | None = None


def open_live(name: str, options: LiveOptions, on_error: OnError | None) -> Source:
    """Return the frames of a camera or a stream as bgr8.

    A thread reads all frames, and the newest one is given; the index counts all. A stream that ends or does not answer
    is an error for `on_error`, and is then opened again and again. A URL with a known length, such as a video file on a
    web server, is read as a video.

    Raises SourceError if it cannot be opened now.
    """
    label = shown(name)
    capture = open_capture_in_thread(name)
    count = capture.get(require('cv2').CAP_PROP_FRAME_COUNT)
    if 0 < count < 1e9:
        return Source(read_video(label, capture, int(count), on_error), int(count))
    return Source(_read(name, capture, options, on_error), None)


def _read(
    name: str, capture: Any, options: LiveOptions, on_error: OnError | None,
) -> Generator[SourceFrame, None, None]:
    label = shown(name)
    reader = NewestFrame(name, capture)
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
