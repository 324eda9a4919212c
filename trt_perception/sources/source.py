# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames, and the iterator over them that every source returns."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from types import TracebackType

from ..errors import SourceError
from ..image.frame import Frame

# Called with the error of one unreadable frame; the source then continues with the next one.
OnError = Callable[[SourceError], None]


@dataclass(frozen=True)
class SourceFrame:
    """One frame and its origin.

    source: path of the image, video or bag; for a folder, the path of the image in it
    index: number of the frame in its source, or of the image in its folder, from 0; unreadable frames are counted too
    frame: the image
    stamp_ns: in nanoseconds, the header's stamp for a bag, the time since the start for a video; None for images
    """

    source: str
    index: int
    frame: Frame
    stamp_ns: int | None


class Source:
    """An iterator over the frames of one source, and a context manager that closes it.

    len_hint: expected number of frames, for a progress bar. It is exact for images. For videos and bags it is the
        number in the header, which can be wrong. None if it is unknown
    """

    def __init__(self, frames: Generator[SourceFrame, None, None], len_hint: int | None) -> None:
        self._frames = frames
        self.len_hint = len_hint

    def __iter__(self) -> Source:
        return self

    def __next__(self) -> SourceFrame:
        return next(self._frames)

    def close(self) -> None:
        """Close the files. After that there are no more frames."""
        self._frames.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def report(error: SourceError, on_error: OnError | None) -> None:
    """Pass the error of one frame to `on_error`, or raise it if there is no `on_error`."""
    if on_error is None:
        raise error
    on_error(error)
