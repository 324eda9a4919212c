# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Image files and folders of image files."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import numpy as np

from ..dependencies import require
from ..errors import FrameError, SourceError, one_line
from ..image.decoding import check_header, is_jpeg_or_png
from ..image.frame import Frame
from ..image.size import check_size
from .source import OnError, Source, SourceFrame, report

# The OpenCV builds of all distributions read these.
IMAGE_SUFFIXES = frozenset({
    '.jpg', '.jpeg', '.jpe', '.png', '.bmp', '.dib', '.webp', '.tif', '.tiff', '.ppm', '.pgm',
    '.pbm', '.pnm'})


def open_images(paths: list[Path], on_error: OnError | None) -> Source:
    """Return the images of these files, numbered from 0."""
    return Source(_read_all(paths, on_error), len(paths))


def list_images(folder: Path, otherwise: str = '') -> list[Path]:
    """Return the images in a folder in natural order: frame2 before frame10.

    Subfolders, hidden files and files of other types are skipped.

    otherwise: text added to the error for a folder without images, such as the reason why it is not a bag either

    Raises SourceError if there are no images or the folder cannot be read.
    """
    try:
        entries = list(folder.iterdir())
        found = [
            path for path in entries if path.suffix.lower() in IMAGE_SUFFIXES
            and not path.name.startswith('.') and path.is_file()]
    except OSError as error:
        raise SourceError(f'{folder}: cannot be read: {error.strerror}') from error
    if not found:
        hint = '; its subfolders are not searched' if any(p.is_dir() for p in entries) else ''
        raise SourceError(
            f'{folder}: no images in this folder ({len(entries)} entries; looked for '
            f'{", ".join(sorted(IMAGE_SUFFIXES))}{hint}){"; " if otherwise else ""}{otherwise}')
    return sorted(found, key=_natural_key)


def read_image(path: Path) -> Frame:
    """Read an image file as bgr8: 16 bits become 8, alpha is dropped.

    The EXIF orientation is applied, as in image viewers and cv2.imread: results are in pixels of the displayed picture.

    Raises SourceError if the file cannot be read, is not an image, is damaged, or is too large.
    """
    cv2 = require('cv2')
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f'{path}: cannot be read: {error.strerror}') from error
    try:
        if is_jpeg_or_png(data):
            check_header(data)
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
        if pixels is None:
            raise FrameError(f'not an image that OpenCV reads, or damaged ({data.size} bytes)')
        check_size(pixels.shape[1], pixels.shape[0], 'decoded')
        return Frame.from_bgr(pixels)
    except (FrameError, cv2.error) as error:
        raise SourceError(f'{path}: {one_line(error)}') from error


def _read_all(paths: list[Path], on_error: OnError | None) -> Generator[SourceFrame, None, None]:
    for index, path in enumerate(paths):
        try:
            frame = read_image(path)
        except SourceError as error:
            report(error, on_error)
            continue
        yield SourceFrame(str(path), index, frame, None)


def _natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    # Digits compare by value and come before letters; the name itself breaks ties (01 and 1).
    parts = re.findall(r'([0-9]+)|([^0-9]+)', path.name.lower())
    return [(int(digits), '') if digits else (10**18, text) for digits, text in parts], path.name
