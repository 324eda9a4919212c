# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames from images, folders, videos, bags, cameras and network streams."""

from __future__ import annotations

import os
import os.path
import stat
from os import PathLike
from pathlib import Path

from ..errors import SourceError, reason
from ..image.options import DEFAULT, ImageOptions
from .bag_paths import looks_like_bag, why_no_bag
from .bag_source import open_bag
from .folder import file_frames, open_folder
from .formats import read_head
from .images import count_pictures, is_image
from .live import LiveOptions, open_live
from .live_names import file_of_url, is_live, is_url, shown
from .source import OnError, Source, SourceFrame
from .video import open_video

__all__ = ['LiveOptions', 'OnError', 'Source', 'SourceFrame', 'open_source']


def open_source(
    path: str | PathLike[str], topic: str | None = None, on_error: OnError | None = None,
    options: ImageOptions = DEFAULT, live: LiveOptions | None = None,
) -> Source:
    """Open an image, a folder of images and videos, a video or a bag (a folder, an .mcap, .db3 or ROS 1 .bag file).

    With `live` also a camera ('0' or '/dev/video0') or a network stream ('rtsp://...').

    topic: image topic of a bag; None chooses the only one
    on_error: called with a SourceError for each image or message that cannot be read; the source then continues with
        the next one. Without on_error, the error is raised. A video ends at the first frame that cannot be decoded;
        this is an error if its header announced many more frames.
    options: how images are read; they are not about videos. By default, a damaged image is an error
    live: how to read a source that has no end; without it such a source is refused

    Raises SourceError, before any frame is read, for a missing path, a folder without images and videos, a file that is
    not an image, a video or a bag, and for a bag that cannot be read or has no image topic to choose.
    """
    name = os.fsdecode(path)
    if not name:
        # Path('') is the working folder.
        raise SourceError("the source is '': expected an image, a folder, a video or a bag")
    if is_live(name):
        if topic is not None:
            raise SourceError(f"{shown(name)}: not a bag, so it has no topic '{topic}': give a bag, or no topic")
        if live is None:
            raise SourceError(
                f'{shown(name)}: a camera or a stream, which has no end; expected an image, a folder, a video or a '
                'bag (only `trt_perception predict` reads live sources)')
        return open_live(name, live, on_error)
    path = Path(file_of_url(name) if is_url(name) else name)
    # Path.exists raises an error for a name that is too long, or in a folder that cannot be searched.
    if not os.path.exists(path):  # noqa: PTH110
        raise SourceError(f'{path}: no such file or folder')
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        what = 'pipe' if stat.S_ISFIFO(mode) else 'device or socket'
        raise SourceError(f'{path}: a {what}; expected an image, a folder, a video or a bag')
    if looks_like_bag(path):
        return open_bag(path, topic, on_error, options)
    if topic is not None:
        raise SourceError(f"{path}: not a bag, so it has no topic '{topic}': give a bag, or no topic")
    if path.is_dir():
        return open_folder(path, on_error, why_no_bag(path), options)
    try:
        image = is_image(path, read_head(path))
    except OSError as error:
        raise SourceError(f'{path}: cannot be read: {reason(error)}') from error
    if image:
        return Source(file_frames(path, 0, on_error, options), count_pictures(path))
    return open_video(path, on_error)
