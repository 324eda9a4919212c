# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Image files and folders of image files."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import numpy as np

from ..errors import FrameError, SourceError, one_line
from ..image.file import frame_of_file
from ..image.frame import Frame
from ..image.options import DEFAULT, ImageOptions
from .source import OnError, Source, SourceFrame, report

# The OpenCV builds of all distributions read these.
IMAGE_SUFFIXES = frozenset({
    '.jpg', '.jpeg', '.jpe', '.png', '.bmp', '.dib', '.webp', '.tif', '.tiff', '.ppm', '.pgm',
    '.pbm', '.pnm'})


def open_images(paths: list[Path], on_error: OnError | None, options: ImageOptions = DEFAULT) -> Source:
    """Return the images of these files, numbered from 0."""
    return Source(_read_all(paths, on_error, options), len(paths))


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


def read_image(path: Path, options: ImageOptions = DEFAULT) -> Frame:
    """Read an image file: as bgr8, or as mono16, bgr16 or bgra16 if it has 16 bits (PNG, TIFF).

    The EXIF orientation is applied, as in image viewers and cv2.imread: results are in pixels of the displayed picture.

    Raises SourceError if the file cannot be read, is not an image, is too large or damaged. If options.damaged is KEEP,
    the frame of a damaged file has the decoded part and `damage`.
    """
    try:
        data = np.fromfile(path, np.uint8)
    except OSError as error:
        raise SourceError(f'{path}: cannot be read: {error.strerror}') from error
    try:
        return frame_of_file(data, options)
    except FrameError as error:
        raise SourceError(f'{path}: {one_line(error)}') from error


def _read_all(
    paths: list[Path], on_error: OnError | None, options: ImageOptions,
) -> Generator[SourceFrame, None, None]:
    for index, path in enumerate(paths):
        try:
            frame = read_image(path, options)
        except SourceError as error:
            report(error, on_error)
            continue
        yield SourceFrame(str(path), index, frame, None)


def _natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    # Digits compare by value and come before letters; the name itself breaks ties (01 and 1).
    parts = re.findall(r'([0-9]+)|([^0-9]+)', path.name.lower())
    return [(int(digits), '') if digits else (10**18, text) for digits, text in parts], path.name
