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

    source: path of the image, video or bag; for a folder, the path of the file in it; for a stream, its URL without
        the password
    index: number of the frame in its source, from 0; for a folder, over all files in it. Unreadable frames, and those
        that a newer frame of a camera replaced, are counted too
    frame: the image
    stamp_ns: in nanoseconds: the header's stamp for a bag; the time since the start for a video or an animation; the
        time of arrival by the clock of this machine for a camera or stream; None for images
    """

    source: str
    index: int
    frame: Frame
    stamp_ns: int | None


class Source:
    """An iterator over the frames of one source, and a context manager that closes it.

    len_hint: expected number of frames, for a progress bar. For a folder it is the number of files; an animation or a
        TIFF with pages has more frames. For videos and bags it is the number in the header, which can be wrong. None if
        it is unknown
    notes: what is not read, for the user: for example files of other types in a folder
    """

    def __init__(
        self, frames: Generator[SourceFrame, None, None], len_hint: int | None, notes: tuple[str, ...] = (),
    ) -> None:
        self._frames = frames
        self.len_hint = len_hint
        self.notes = notes

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
