# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames from files: images, folders of images, videos and rosbag2 recordings."""

from __future__ import annotations

import os.path
from os import PathLike
from pathlib import Path

from ..errors import SourceError
from ..image.options import DEFAULT, ImageOptions
from .bag_reader import looks_like_bag, why_no_bag
from .bag_source import open_bag
from .images import IMAGE_SUFFIXES, list_images, open_images
from .source import OnError, Source, SourceFrame
from .video import open_video

__all__ = ['OnError', 'Source', 'SourceFrame', 'open_source']


def open_source(
    path: str | PathLike[str], topic: str | None = None, on_error: OnError | None = None,
    options: ImageOptions = DEFAULT,
) -> Source:
    """Open an image, a folder of images, a video or a rosbag2 (a folder, an .mcap or a .db3 file).

    topic: image topic of a bag; None chooses the only one
    on_error: called with a SourceError for each image or message that cannot be read; the source then continues with
        the next one. Without on_error, the error is raised. A video ends at the first frame that cannot be decoded;
        this is an error if its header announced many more frames.
    options: how images are read; they are not about videos. By default, a damaged image is an error

    Raises SourceError, before any frame is read, for a missing path, a folder without images, a file that is not an
    image, a video or a bag, and for a bag that cannot be read or has no image topic to choose.
    """
    path = Path(path)
    # Path.exists raises an error for a name that is too long, or in a folder that cannot be searched.
    if not os.path.exists(path):  # noqa: PTH110
        raise SourceError(f'{path}: no such file or folder')
    if path.is_fifo():
        raise SourceError(f'{path}: a pipe; expected an image, a folder, a video or a rosbag2')
    if looks_like_bag(path):
        return open_bag(path, topic, on_error, options)
    if topic is not None:
        raise SourceError(f"{path}: not a rosbag2, so it has no topic '{topic}'")
    if path.is_dir():
        return open_images(list_images(path, why_no_bag(path)), on_error, options)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return open_images([path], on_error, options)
    return open_video(path, on_error)

