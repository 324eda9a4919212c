# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes frames as a rosbag2 that `ros2 bag play` of Humble and newer plays."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterable
from contextlib import closing, nullcontext
from os import PathLike
from pathlib import Path

import numpy as np

from ..dependencies import require
from ..errors import SourceError, reason
from ..progress import ProgressCallback, silent
from .bag_messages import IMAGE, typestore
from .open_source import open_source
from .source import Source, SourceFrame

# A stamp of 0 means "not set" in ROS, so a new bag begins at 1 s.
DEFAULT_START_NS = 1_000_000_000
_PARTIAL = '.partial'


def write_video_bag(
    frames: str | PathLike[str] | Iterable[SourceFrame],
    bag_path: str | PathLike[str],
    topic: str = 'image',
    frame_id: str = 'camera',
    fps: float | None = None,
    progress: ProgressCallback = silent,
    storage: str = 'mcap',
    start_ns: int = DEFAULT_START_NS,
) -> int:
    """Write frames as bgr8 sensor_msgs/Image messages into a new rosbag2; return their number.

    frames: a video (or another path that `open_source` opens), or frames
    bag_path: the bag's folder; it appears when the bag is complete, so an interrupted write does not leave a bag
    topic: topic of the images; a name without / becomes absolute, because rosbag2 records absolute names
    fps: frames per second; None uses the stamps of the frames
    progress: called after each frame with a text, the number written and the number expected or None
    storage: 'mcap' or 'sqlite3'
    start_ns: time of the first frame, both the header's stamp and the time of recording

    Raises SourceError if there are no frames, if they cannot be read, if fps is None and their stamps do not increase,
    or if the bag exists already or cannot be written.
    """
    target = Path(bag_path)
    if target.exists():
        raise SourceError(f'{target}: it exists already; remove it or choose another name')
    if fps is not None and not 0 < fps < 1e6:
        raise SourceError(f'fps is {fps}: expected a number above 0')
    source = (
        closing(open_source(frames)) if isinstance(frames, (str, PathLike))
        else nullcontext(frames))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder: the last step is a rename, which works only within one file system.
        with source as opened, tempfile.TemporaryDirectory(
                prefix=f'.{target.name}.', suffix=_PARTIAL, dir=target.parent) as partial:
            # rosbags names the storage file after its folder, so the inner folder has the final name.
            bag = Path(partial) / target.name
            written = _write(opened, bag, '/' + topic.lstrip('/'), frame_id, fps, progress,
                             storage, start_ns)
            bag.rename(target)
            return written
    except OSError as error:
        raise SourceError(f'{target}: cannot be written: {reason(error)}') from error


def partial_bags(bag_path: Path) -> list[Path]:
    """Return the folders of unfinished writes of this bag: still running, or left by a killed process."""
    return list(bag_path.parent.glob(f'.{glob.escape(bag_path.name)}.*{_PARTIAL}'))


def _write(
    frames: Iterable[SourceFrame], bag: Path, topic: str, frame_id: str, fps: float | None,
    progress: ProgressCallback, storage: str, start_ns: int,
) -> int:
    rosbag2 = require('rosbags.rosbag2')
    total = frames.len_hint if isinstance(frames, Source) else None
    plugin = rosbag2.StoragePlugin[storage.upper()]
    store = typestore()
    image, header, time = (
        store.types[name] for name in (IMAGE, 'std_msgs/msg/Header', 'builtin_interfaces/msg/Time'))
    first_ns: int | None = None
    last_ns = -1
    written = 0
    # Version 8 is the newest that `ros2 bag` of Humble reads.
    with rosbag2.Writer(bag, version=8, storage_plugin=plugin) as writer:
        connection = writer.add_connection(topic, IMAGE, typestore=store)
        for item in frames:
            if fps is not None:
                elapsed_ns = round(written * 1e9 / fps)
            elif item.stamp_ns is None:
                raise SourceError(f'{item.source}: its frames have no stamps; give fps')
            else:
                first_ns = item.stamp_ns if first_ns is None else first_ns
                elapsed_ns = item.stamp_ns - first_ns
            if elapsed_ns <= last_ns:
                raise SourceError(
                    f'{item.source}: the time of frame {item.index} does not increase; give fps')
            last_ns = elapsed_ns
            stamp_ns = start_ns + elapsed_ns
            pixels = np.ascontiguousarray(item.frame.bgr())
            height, width = pixels.shape[:2]
            message = image(
                header=header(time(*divmod(stamp_ns, 1_000_000_000)), frame_id),
                height=height, width=width, encoding='bgr8', is_bigendian=0, step=3 * width,
                data=pixels.reshape(-1))
            writer.write(connection, stamp_ns, store.serialize_cdr(message, IMAGE))
            written += 1
            progress('writing the bag', written, total)
        if written == 0:
            raise SourceError('there are no frames to write')
    return written
