# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the images of each topic with their results as a video that browsers play."""

from __future__ import annotations

import contextlib
import errno
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..errors import SourceError
from ..model.spec import ModelSpec
from ..results.video_file import PLAYED_BY_BROWSERS, VideoFile, video_size
from ..results.video_picture import drawn, resized, scaled
from ..results.webm import VideoError, copy_with_times
from ..sources.quiet import quiet
from ..utf8_path import is_utf8
from .item import Annotated
from .topic_files import topic_file_names

# A longer time between two images, or one that is not positive, is a clock that was set: then the time between two
# images before it is taken.
_LONGEST_MS = 60_000
_USUAL_MS = 33
_FASTEST_HZ, _SLOWEST_HZ = 120.0, 1.0


class VideoOutput:
    """The folder video/ with a video for each image topic: /front/image_raw is front_image_raw.webm.

    Every image is a frame, which is shown until the stamp of the next one. The tag TRT_PERCEPTION has the provenance as
    JSON. A video that is not WebM, because this OpenCV cannot write VP8, has a constant rate, that of the first two
    images, and no tag.
    """

    def __init__(self, folder: Path, spec: ModelSpec, topics: Sequence[str], provenance: Mapping[str, Any]) -> None:
        """Create the folder. Raises OSError, SourceError for a path that OpenCV cannot write.

        topics: of the images
        """
        self._names = topic_file_names(topics)
        if not all(is_utf8(name) for name in (str(folder), *self._names.values())):
            raise SourceError(
                f'{provenance["bag"]}: the path of its videos is not UTF-8, but OpenCV needs UTF-8: rename the bag or '
                '--output, or leave video out of --formats')
        folder.mkdir()
        self._folder = folder
        self._spec = spec
        self._tags = {'TRT_PERCEPTION': json.dumps(provenance, sort_keys=True)}
        self._videos: dict[str, _TopicVideo] = {}

    def write(self, item: Annotated) -> None:
        """Append the image of a result to the video of its topic. Raises OSError."""
        topic = item.image.topic
        video = self._videos.get(topic)
        if video is None:
            video = self._videos[topic] = _TopicVideo(self._folder, self._names[topic])
        with _as_os_error():
            video.write(item, self._spec)

    def finish(self) -> None:
        """Complete the videos. Raises OSError, also if a frame is missing, as with a full disk."""
        for video in self._videos.values():
            with _as_os_error():
                video.finish(self._tags)

    def abort(self) -> None:
        """Close the files, whatever is in them."""
        for video in self._videos.values():
            video.abort()


@contextlib.contextmanager
def _as_os_error() -> Iterator[None]:
    """Turn a VideoError into the error that the other outputs raise for a full disk; OpenCV prints none of its own."""
    try:
        with quiet():
            yield
    except VideoError as error:
        raise OSError(errno.ENOSPC, str(error)) from error


class _TopicVideo:
    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self._path = folder / name
        self._file: VideoFile | None = None
        self._first: np.ndarray | None = None
        self._size = (0, 0)
        self._last_ns = 0
        self._step_ms = _USUAL_MS
        self._times_ms = array('q')

    def write(self, item: Annotated, spec: ModelSpec) -> None:
        image = item.image
        if not self._times_ms:
            self._size = video_size(image.frame.width, image.frame.height)
            self._times_ms.append(0)
        else:
            step = round((image.stamp_ns - self._last_ns) / 1e6)
            self._step_ms = step if 0 < step <= _LONGEST_MS else self._step_ms
            self._times_ms.append(self._times_ms[-1] + self._step_ms)
        self._last_ns = image.stamp_ns
        width, height = self._size
        picture = drawn(
            resized(image.frame.bgr(), self._size),
            scaled(item.result, width / image.frame.width, height / image.frame.height), spec.names)
        if self._file is not None:
            self._file.write(picture)
        elif self._first is None:
            # The second image says what the rate is.
            self._first = picture
        else:
            self._open().write(picture)

    def finish(self, tags: Mapping[str, str]) -> None:
        file = self._open() if self._file is None else self._file
        file.release()
        if file.path.suffix != PLAYED_BY_BROWSERS:
            file.check()
            file.path.rename(file.path.with_name(f'{self.name}{file.path.suffix}'))
            return
        copy_with_times(
            file.path, self._path.with_name(f'{self.name}{PLAYED_BY_BROWSERS}'), self._times_ms, self._step_ms,
            file.size, f'trt_perception {__version__}', tags)
        file.path.unlink()

    def abort(self) -> None:
        if self._file is not None:
            with contextlib.suppress(Exception):
                self._file.release()

    def _open(self) -> VideoFile:
        """Open the file with the first picture."""
        assert self._first is not None
        rate = min(max(1000 / self._step_ms, _SLOWEST_HZ), _FASTEST_HZ)
        self._file = VideoFile(self._path.with_name(f'{self.name}.unfinished'), rate)
        self._file.write(self._first)
        self._first = None
        return self._file
