# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads image files: all pages of a TIFF, all frames of an animation."""

from __future__ import annotations

import stat
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..dependencies import require
from ..errors import FrameError, SourceError, one_line, reason
from ..image.file import NotAnImageError, frame_of_file
from ..image.frame import Frame
from ..image.options import DEFAULT, ImageOptions
from .animation import NotReadError, read_animation, read_tiff_pages
from .formats import HEAD_BYTES, IMAGE_SUFFIXES, image_format
from .pages import animation_length, is_cut_off, tiff_pages
from .source import OnError, SourceFrame, report
from .video import open_video

# A file of 64 MPix with 16 bits and alpha, not compressed, has half a GiB.
_MOST_BYTES = 1 << 30
# If OpenCV itself does not read them, or not all of their frames, FFmpeg may.
_READ_BY_FFMPEG = ('GIF', 'PNG', 'AVIF', 'JPEG 2000', 'OpenEXR', 'Radiance HDR', 'Sun raster')


def is_image(path: Path, head: bytes) -> bool:
    """Return whether a file that begins with these bytes is read as an image: by its name or its content."""
    return path.suffix.lower() in IMAGE_SUFFIXES or image_format(head) not in ('', 'HEIC', 'JPEG XL')


def count_pictures(path: Path) -> int | None:
    """Return the number of pictures in an image file; None if it is unknown. Raises SourceError if it cannot be read.

    It is the number in the structure of the file, so damaged pictures count.
    """
    data = _content(path)
    kind = _kind(data)
    if kind == 'AVIF' and animation_length(kind, data.data) > 1:
        return None
    return max(len(tiff_pages(data.data)), 1) if kind == 'TIFF' else animation_length(kind, data.data)


def read_image(path: Path, options: ImageOptions = DEFAULT) -> Frame:
    """Read an image file: as bgr8, or as mono16, bgr16 or bgra16 if it has 16 bits (PNG, TIFF).

    Of several pictures, the first one is read.

    The EXIF orientation is applied, as in image viewers and cv2.imread: results are in pixels of the displayed picture.

    Raises SourceError if the file cannot be read, is not an image, is too large or damaged. If options.damaged is KEEP,
    the frame of a damaged file has the decoded part and `damage`.
    """
    return _decode(path, _content(path), options)


def image_frames(
    path: Path, first: int, on_error: OnError | None, options: ImageOptions = DEFAULT,
) -> Generator[SourceFrame, None, None]:
    """Yield all pictures of an image file; `first` is the index of the first one. An animation has stamps.

    Errors are reported to `on_error`, or raised if it is None.
    """
    try:
        data = _content(path)
        kind = _kind(data)
        pages = tiff_pages(data.data) if kind == 'TIFF' else []
        length = animation_length(kind, data.data)
        if length > 1:
            yield from _animation(path, data, kind, first, length, on_error, options)
        elif len(pages) > 1:
            for position, found in read_tiff_pages(path, data, pages, options):
                if isinstance(found, SourceError):
                    report(found, on_error)
                else:
                    yield SourceFrame(str(path), first + position, found, None)
        else:
            yield from _still(path, data, kind, first, on_error, options)
        if (length > 1 or kind == 'GIF') and is_cut_off(kind, data.data):
            raise SourceError(
                f'{path}: the file is cut off after {data.size} bytes, so pictures or parts of them are lost')
    except SourceError as error:
        report(error, on_error)


def _still(
    path: Path, data: np.ndarray, kind: str, first: int, on_error: OnError | None, options: ImageOptions,
) -> Generator[SourceFrame, None, None]:
    try:
        frame = _decode(path, data, options)
    except NotReadError:
        if not (yield from _with_ffmpeg(path, kind, first, on_error)):
            raise
        return
    yield SourceFrame(str(path), first, frame, None)


def _animation(
    path: Path, data: np.ndarray, kind: str, first: int, length: int, on_error: OnError | None, options: ImageOptions,
) -> Generator[SourceFrame, None, None]:
    done = 0
    try:
        size = _decode(path, data, options)
        for frame, stamp_ns in read_animation(path, data, kind, size.width, size.height, options):
            yield SourceFrame(str(path), first + done, frame, stamp_ns)
            done += 1
    except NotReadError:
        if (yield from _with_ffmpeg(path, kind, first, on_error)):
            return
        # Raises the reason if not even the first one can be read.
        yield SourceFrame(str(path), first, _decode(path, data, options), None)
        done = 1
    except FrameError as error:
        raise SourceError(f'{path}: frame {done}: {error}') from error
    # The structure of an AVIF does not tell the length.
    if done < length and not is_cut_off(kind, data.data):
        which = 'the first frame' if done == 1 else f'the first {done} frames'
        of = '' if kind == 'AVIF' else f' (of {length})'
        raise SourceError(
            f'{path}: only {which}{of} of this animated {kind} can be decoded: the file is damaged, or OpenCV '
            f'{require("cv2").__version__} does not read the others')


def _with_ffmpeg(
    path: Path, kind: str, first: int, on_error: OnError | None,
) -> Generator[SourceFrame, None, bool]:
    """Yield the frames of an image file that FFmpeg reads. Returns whether there was one."""
    if kind not in _READ_BY_FFMPEG:
        return False
    done = 0

    def failed(error: SourceError) -> None:
        if done:
            report(error, on_error)

    try:
        with open_video(path, failed) as source:
            for item in source:
                done += 1
                yield replace(item, index=first + item.index)
    except SourceError:
        if done:
            raise
    return bool(done)


def _content(path: Path) -> np.ndarray:
    """Return the bytes of a regular file as uint8 (N,)."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise SourceError(f'{path}: a pipe or a device; expected an image file')
        if status.st_size > _MOST_BYTES:
            raise SourceError(
                f'{path}: {status.st_size / 2**20:.0f} MiB: expected an image file of at most {_MOST_BYTES >> 20} MiB')
        data: np.ndarray = np.fromfile(path, np.uint8)
        return data
    except OSError as error:
        raise SourceError(f'{path}: cannot be read: {reason(error)}') from error


def _kind(data: np.ndarray) -> str:
    return image_format(data[:HEAD_BYTES].tobytes())


def _decode(path: Path, data: np.ndarray, options: ImageOptions) -> Frame:
    """Return the first picture. Raises NotReadError for a format that this OpenCV does not read."""
    try:
        return frame_of_file(data, options)
    except NotAnImageError as error:
        kind = _kind(data)
        if not kind or kind in ('JPEG', 'PNG'):
            raise SourceError(f'{path}: {one_line(error)}') from error
        raise NotReadError(
            f'{path}: damaged, or OpenCV {require("cv2").__version__} does not read this {kind} file: convert it to '
            'JPEG or PNG') from error
    except FrameError as error:
        raise SourceError(f'{path}: {one_line(error)}') from error
