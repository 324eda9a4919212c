# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads a folder: every image and video in it, in natural order. The files that it skips are named."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from ..errors import SourceError, listed, printable, reason
from ..image.options import DEFAULT, ImageOptions
from .formats import image_format, is_media_name, is_video, read_head
from .images import image_frames, is_image
from .source import OnError, Source, SourceFrame, report
from .video import open_video

# Skipped files and subfolders: name at most this many of each.
_NAMED = 5


def open_folder(
    folder: Path, on_error: OnError | None, otherwise: str = '', options: ImageOptions = DEFAULT,
) -> Source:
    """Return the frames of all images and videos in a folder, numbered from 0 over the whole folder.

    otherwise: text added to the error for a folder without images, such as the reason why it is not a bag either

    Raises SourceError if there are no images and videos, or the folder cannot be read.
    """
    paths, skipped = list_folder(folder)
    if not paths:
        raise SourceError(
            f'{folder}: no images in this folder, and no videos ({", and ".join(skipped) or "it is empty"})'
            f'{"; " if otherwise else ""}{otherwise}')
    notes = (f'{folder}: skipped {", and ".join(skipped)}',) if skipped else ()
    # Each video has many frames, so then the number of files says little.
    videos = any(is_media_name(path) and _is_video(path) for path in paths)
    return Source(_read(paths, on_error, options), None if videos else len(paths), notes)


def list_folder(folder: Path) -> tuple[list[Path], list[str]]:
    """Return (the images and videos of a folder, texts that name what is skipped).

    A file is an image or a video by its name, or by its first bytes. The order is natural: frame2 before frame10.
    Hidden files are skipped in silence. Subfolders are not searched.

    Raises SourceError if the folder cannot be read.
    """
    media: list[Path] = []
    others: list[str] = []
    folders: list[str] = []
    try:
        for path in sorted(folder.iterdir(), key=_natural_key):
            if path.name.startswith('.'):
                continue
            if path.is_dir():
                folders.append(path.name)
            elif path.is_file() and (is_media_name(path) or _has_media_content(path)):
                media.append(path)
            elif is_media_name(path) and not path.exists():
                # A link to a missing image, which is an error when it is read.
                media.append(path)
            else:
                others.append(path.name)
    except OSError as error:
        raise SourceError(f'{folder}: cannot be read: {reason(error)}') from error
    return media, [
        *([f'{_number(others, "file")} of other types ({listed(others, _NAMED)})'] if others else []),
        *([f'{_number(folders, "subfolder")} ({listed(folders, _NAMED)}): subfolders are not searched']
          if folders else [])]


def file_frames(
    path: Path, first: int, on_error: OnError | None, options: ImageOptions = DEFAULT,
) -> Generator[SourceFrame, None, None]:
    """Yield all frames of an image or a video file; `first` is the index of the first one.

    Errors are reported to `on_error`, or raised if it is None.
    """
    try:
        if _is_image(path):
            yield from image_frames(path, first, on_error, options)
            return
        with open_video(path, on_error) as video:
            for item in video:
                yield replace(item, index=first + item.index)
    except SourceError as error:
        report(error, on_error)


def _read(
    paths: list[Path], on_error: OnError | None, options: ImageOptions,
) -> Generator[SourceFrame, None, None]:
    index = 0
    for path in paths:
        last = index
        for item in file_frames(path, index, on_error, options):
            last = item.index
            yield item
        # A file without a readable frame has a number too, so the numbers do not depend on which files are damaged.
        index = last + 1


def _is_image(path: Path) -> bool:
    try:
        return is_image(path, read_head(path))
    except OSError as error:
        raise SourceError(f'{path}: cannot be read: {reason(error)}') from error


def _is_video(path: Path) -> bool:
    """Return whether a media file is a video. One that cannot be read is reported when its turn comes."""
    try:
        return not is_image(path, read_head(path))
    except OSError:
        return False


def _has_media_content(path: Path) -> bool:
    try:
        head = read_head(path)
    except OSError:
        return False
    return bool(image_format(head)) or is_video(head)


def _number(names: list[str], what: str) -> str:
    return f'{len(names)} {what}{"" if len(names) == 1 else "s"}'


def _names(names: list[str]) -> str:
    return ', '.join(printable(name) for name in names[:_NAMED]) + (', ...' if len(names) > _NAMED else '')


def _natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    # Digits compare by value and come before letters; the name itself breaks ties (01 and 1).
    parts = re.findall(r'([0-9]+)|([^0-9]+)', path.name.lower())
    return [(int(digits), '') if digits else (10**18, text) for digits, text in parts], path.name
