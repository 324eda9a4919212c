# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads all pictures of a file that has several: pages of a TIFF, frames of an animated GIF, PNG, WebP or AVIF."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import FrameError, SourceError, one_line
from ..image.frame import Frame
from ..image.options import DEFAULT, ImageOptions
from ..image.size import check_size
from .pages import TiffPage
from .quiet import quiet

# Frames are decoded in groups of about this size. Each group is decoded from the beginning of the file.
_GROUP_BYTES = 256 << 20
_MOST_IN_GROUP = 1000


class NotReadError(SourceError):
    """This OpenCV cannot read the frames of this animation. Another reader may."""


def read_animation(
    path: Path, data: np.ndarray, kind: str, width: int, height: int, options: ImageOptions = DEFAULT,
) -> Iterator[tuple[Frame, int]]:
    """Yield (frame, nanoseconds since the first frame) of an animated GIF, PNG, WebP or AVIF.

    data: content of the file, uint8 (N,); width, height: of its first frame, in pixels
    Raises NotReadError before the first frame.
    """
    cv2 = require('cv2')
    group = max(1, min(_MOST_IN_GROUP, _GROUP_BYTES // (4 * width * height)))
    start, elapsed_ms = 0, 0
    while True:
        frames, durations = _decode(cv2, path, data, start, group)
        if not frames and start == 0:
            raise NotReadError(f'{path}: OpenCV {cv2.__version__} does not read the frames of this animated {kind}')
        for pixels, duration in zip(frames, durations):
            yield _frame(pixels, options), elapsed_ms * 1_000_000
            elapsed_ms += max(int(duration), 0)
        start += len(frames)
        if len(frames) < group:
            return


def read_tiff_pages(
    path: Path, data: np.ndarray, pages: list[TiffPage], options: ImageOptions = DEFAULT,
) -> Iterator[tuple[int, Frame | SourceError]]:
    """Yield (position in `pages`, frame or the reason why there is none) of each page of a TIFF."""
    cv2 = require('cv2')
    for position, page in enumerate(pages):
        try:
            if page.width and page.height:
                check_size(page.width, page.height, f'page {position} is an', options.max_pixels)
            pixels = _decode_page(cv2, path, data, page.number)
            if pixels is None:
                raise FrameError(f'page {position} is damaged, or OpenCV {cv2.__version__} does not read it')
            yield position, _frame(pixels, options)
        except (FrameError, cv2.error) as error:
            yield position, SourceError(f'{path}: {one_line(error)}')


def _decode_page(cv2: Any, path: Path, data: np.ndarray, number: int) -> np.ndarray | None:
    try:
        with quiet():
            if number == 0:
                first: np.ndarray | None = cv2.imdecode(data, cv2.IMREAD_COLOR)
                return first
            # By name, because imdecodemulti does not exist before OpenCV 4.7 and ignores its range in some versions.
            _, found = cv2.imreadmulti(str(path), start=number, count=1, flags=cv2.IMREAD_COLOR)
    except UnicodeEncodeError:
        raise FrameError('OpenCV reads the pages of a TIFF only if its path is UTF-8: rename it') from None
    return found[0] if len(found) == 1 else None


def _decode(cv2: Any, path: Path, data: np.ndarray, start: int, count: int) -> tuple[list[np.ndarray], list[int]]:
    """Return frames from `start` on, and their durations in milliseconds; fewer than `count` at the end."""
    try:
        with quiet():
            if hasattr(cv2, 'imdecodeanimation'):
                # One row: 4.12 refuses one column for some formats.
                ok, animation = cv2.imdecodeanimation(data.reshape(1, -1), start, count)
            elif hasattr(cv2, 'imreadanimation'):
                ok, animation = cv2.imreadanimation(str(path), start, count)
            else:
                return [], []
    except (cv2.error, UnicodeEncodeError):
        return [], []
    return (list(animation.frames), list(animation.durations)) if ok else ([], [])


def _frame(pixels: np.ndarray, options: ImageOptions) -> Frame:
    """Return the frame as bgr8: grey becomes colour, alpha is dropped, 16 bits become 8."""
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise FrameError(f'a picture with pixels of {pixels.dtype} is not supported')
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    bgr = np.repeat(pixels[..., :1], 3, axis=2) if pixels.shape[2] < 3 else pixels[..., :3]
    check_size(bgr.shape[1], bgr.shape[0], 'decoded', options.max_pixels)
    return Frame.from_bgr(np.ascontiguousarray(bgr))
