# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The frames of a comparison: every variant gets the same pixels."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ..dependencies import require
from ..errors import SourceError
from ..image.options import ImageOptions
from ..sources.open_source import open_source
from ..unfinished import temporary_file


def read_frames(
    source: str, topic: str, size: tuple[int, int] | None, count: int, options: ImageOptions,
    warn: Callable[[str], None] = lambda text: None,
) -> Iterator[np.ndarray]:
    """Yield up to `count` frames of a source, evenly spaced over its length, as (height, width, 3) uint8 BGR.

    size: (width, height) to resize to, None to keep each frame's size
    warn: called if images that should be there are not, or cannot be read
    Raises SourceError if the source cannot be opened or has no frame. Unreadable frames are left out.
    """
    errors: list[SourceError] = []
    with open_source(source, topic or None, errors.append, options) as opened:
        step = max(1, (opened.len_hint or 0) // count)
        found = 0
        for frame in itertools.islice(opened, 0, None, step):
            pixels = frame.frame.bgr()
            yield require('cv2').resize(pixels, size) if size else pixels
            found += 1
            if found == count:
                break
    if not found:
        reason = f': {errors[0]}' if errors else ''
        raise SourceError(f'{source}: expected at least one image that can be read, found none{reason}')
    for error in errors[:1]:
        more = f' (and {len(errors) - 1} more)' if len(errors) > 1 else ''
        warn(f'{error}{more}')


def store_frames(frames: Iterator[np.ndarray], folder: Path) -> tuple[list[Path], str]:
    """Write each frame to a file of `folder`; returns (the files, the size of the frames as text)."""
    files: list[Path] = []
    sizes: dict[str, None] = {}
    for pixels in frames:
        files.append(folder / f'{len(files):03}.npy')
        store_frame(files[-1], pixels)
        sizes[f'{pixels.shape[1]}x{pixels.shape[0]}'] = None
    shown = list(sizes)
    return files, shown[0] if len(shown) == 1 else f'{shown[0]} and {len(shown) - 1} other sizes'


def store_frame(path: Path, pixels: np.ndarray) -> None:
    """Write a frame as a new file. Raises OSError."""
    content = io.BytesIO()
    # Into memory: on a full disk, NumPy's own error says neither this nor the file.
    np.save(content, np.ascontiguousarray(pixels))
    with temporary_file(path) as file:
        file.write(content.getbuffer())
