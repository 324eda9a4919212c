# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the video as a rosbag2, which is reused for the same video."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SourceError
from ..file_cache import file_sha256
from ..file_state import FileState, current_state, file_state
from ..progress import ProgressCallback, silent
from ..sources.bag_paths import looks_like_bag
from ..sources.bag_reader import BagReader
from ..sources.bag_writer import partial_bags, write_video_bag
from ..sources.open_source import open_source
from ..sources.source import Source, SourceFrame

TOPIC = '/image'
FRAME_ID = 'camera'
_RECORD = 'made_from.json'
_HEADROOM = 1.05


@dataclass(frozen=True)
class Recording:
    """A bag with one image topic.

    frames: number of frames; fps: frames per second by their stamps; width, height: pixels of each frame
    reused: whether the bag existed already
    notes: remarks for the user
    """

    bag: Path
    frames: int
    fps: float
    width: int
    height: int
    reused: bool
    notes: list[str]


def record(
    video: Path, bag: Path, seconds: float, sha256: str = '', progress: ProgressCallback = silent,
    state: FileState | None = None,
) -> Recording:
    """Write the video's frames as bgr8 images into the rosbag2 `bag`, unless the bag already has them.

    seconds: seconds to use from the start of the video; 0 for all
    sha256: of the video, '' to compute it here
    progress: called with a text, the number of frames written and the number expected or None
    state: of the video just before its sha256 was computed

    Raises SourceError if the video cannot be read, if it changes until the bag is complete, or if the bag cannot be
    written.
    """
    state = state or file_state(video)
    key = {'sha256': sha256 or file_sha256(video), 'seconds': seconds, 'topic': TOPIC, 'layout': 2}
    known = _known(bag, key)
    if known is not None:
        return Recording(bag, reused=True, **known)
    _remove(bag)
    for partial in partial_bags(bag):
        # Left by a killed demo: no other demo can run, because this one has locked the folder.
        shutil.rmtree(partial, ignore_errors=True)
    faults: list[str] = []
    with open_source(video, on_error=lambda error: faults.append(str(error))) as source:
        cut = _Cut(source, seconds, bag, progress)
        frames = write_video_bag(iter(cut), bag, TOPIC, FRAME_ID, progress=cut.report)
    if current_state(video) != state:
        # The bag would be used again for a video that it does not show.
        shutil.rmtree(bag)
        raise SourceError(f'video {video}: it changed while it was read: start again when the file is complete')
    found: dict[str, Any] = {
        'frames': frames, 'fps': cut.fps(frames), 'width': cut.width, 'height': cut.height,
        'notes': [*cut.notes(frames), *faults]}
    (bag / _RECORD).write_text(
        json.dumps({'key': key, 'recording': found, 'bytes': _storage_bytes(bag)}, indent=1) + '\n')
    return Recording(bag, reused=False, **found)


def check_video(video: Path) -> None:
    """Raise SourceError for a path that is clearly not a video, before the work starts."""
    if not video.exists():
        raise SourceError(f'video {video}: there is no such file')
    if looks_like_bag(video):
        BagReader(video)  # Raises the usual error if the bag cannot be played either.
        raise SourceError(f'video {video}: it is a rosbag2; play it with replay.launch.py or trt_perception play')
    if not video.is_file():
        raise SourceError(f'video {video}: it is a folder or a device; expected a video file')
    with open_source(video):
        pass


class _Cut:
    """The frames of the first seconds of a video."""

    def __init__(
        self, source: Source, seconds: float, bag: Path, progress: ProgressCallback,
    ) -> None:
        self._source = source
        self._seconds = seconds
        self._bag = bag
        self._progress = progress
        self._expected = source.len_hint
        self._was_cut = False
        self._last_ns = 0
        self.width = 0
        self.height = 0

    def __iter__(self) -> Iterator[SourceFrame]:
        for item in self._source:
            if item.stamp_ns is None:
                raise SourceError(f'video {item.source}: it is an image; expected a video')
            elapsed = item.stamp_ns / 1e9
            if self._seconds and elapsed >= self._seconds:
                self._was_cut = True
                return
            if item.index == 1 and self._source.len_hint:
                # The time between two frames is known now.
                if self._seconds and elapsed > 0:
                    self._expected = min(self._source.len_hint, round(self._seconds / elapsed))
                self._check_space(item)
            self._last_ns = item.stamp_ns
            self.width, self.height = item.frame.width, item.frame.height
            yield item

    def report(self, text: str, written: float, _: float | None) -> None:
        """Pass the number of frames written on, with the number expected of the cut video."""
        self._progress(text, written, self._expected)

    def fps(self, written: int) -> float:
        """Return frames per second, from the first frame to the last; 1 for a single frame."""
        return (written - 1) * 1e9 / self._last_ns if self._last_ns else 1.0

    def notes(self, written: int) -> list[str]:
        """Return remarks about the frames written."""
        announced = self._source.len_hint
        if self._was_cut:
            of = f' of about {announced}' if announced else ''
            return [f'only the first {self._seconds:g} s of the video are used ({written}{of} frames): '
                    '--seconds 0 takes all']
        return []

    def _check_space(self, item: SourceFrame) -> None:
        needed = (self._expected or 0) * item.frame.width * item.frame.height * 3 * _HEADROOM
        free = shutil.disk_usage(self._bag.parent).free
        if needed > free:
            raise SourceError(
                f'{self._bag}: a bag of {self._expected} uncompressed images of {item.frame.width}x'
                f'{item.frame.height} needs {needed / 1e6:.0f} MB, but {free / 1e6:.0f} MB are free: free some space, '
                'choose another --output, or use less of the video (--seconds)')


def _known(bag: Path, key: dict[str, Any]) -> dict[str, Any] | None:
    try:
        record = json.loads((bag / _RECORD).read_text())
        # A bag that is cut off or has lost its storage file is written again.
        is_whole = record['bytes'] == _storage_bytes(bag)
        return dict(record['recording']) if record['key'] == key and is_whole else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _storage_bytes(bag: Path) -> int:
    return sum(path.stat().st_size for path in bag.glob('*.mcap'))


def _remove(bag: Path) -> None:
    """Remove a bag that the demo made from another video. Raises SourceError for a bag that the demo did not make."""
    if not bag.exists():
        return
    if not (bag / _RECORD).is_file():
        raise SourceError(f'{bag}: it exists and was not made by the demo: remove it or choose another --output')
    shutil.rmtree(bag)
