# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the image topics of a rosbag2, sqlite3 or mcap, without a ROS installation."""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import SourceError

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'


@dataclass(frozen=True)
class ImageTopic:
    """An image topic of a bag: name, type (IMAGE or COMPRESSED_IMAGE), number of messages."""

    name: str
    type: str
    count: int


@dataclass(frozen=True)
class ImageMessage:
    """One recorded message.

    type: IMAGE or COMPRESSED_IMAGE
    stamp_ns: when it was recorded, nanoseconds (not the header's stamp)
    cdr: the serialised message with its encapsulation header, as rclpy's publish() takes it
    """

    topic: str
    type: str
    stamp_ns: int
    cdr: bytes


def is_bag(path: Path) -> bool:
    """Tell whether a path is a rosbag2 folder or one of its storage files."""
    if not path.is_dir():
        return path.suffix in ('.mcap', '.db3')
    metadata = path / 'metadata.yaml'
    if metadata.is_file():
        # Datasets of images have such files too.
        return b'rosbag2_bagfile_information' in metadata.read_bytes()
    return any(path.glob('*.mcap')) or any(path.glob('*.db3'))


def image_topics(path: Path) -> list[ImageTopic]:
    """Return the bag's topics of Image and CompressedImage, sorted by name.

    Raises SourceError if the bag cannot be read.
    """
    with _reader(path) as reader:
        counts: dict[tuple[str, str], int] = {}
        for connection in reader.connections:
            if connection.msgtype in (IMAGE, COMPRESSED_IMAGE):
                key = connection.topic, connection.msgtype
                counts[key] = counts.get(key, 0) + connection.msgcount
    return [ImageTopic(*key, count) for key, count in sorted(counts.items())]


def choose_image_topic(path: Path, topic: str | None = None) -> ImageTopic:
    """Return the image topic of this name (with or without the leading /), or the only one.

    Raises SourceError naming the bag's image topics if there is none, no such one, one without
    messages, or no name was given and there are several.
    """
    topics = image_topics(path)
    if not topics:
        raise SourceError(f'{path}: no image topic in this bag (looked for {IMAGE} and '
                          f'{COMPRESSED_IMAGE})')
    listing = ', '.join(f'{t.name} ({t.type.rsplit("/", 1)[1]}, {t.count})' for t in topics)
    if topic is not None:
        found = [t for t in topics if t.name.lstrip('/') == topic.lstrip('/')]
        if not found:
            raise SourceError(f"{path}: no image topic '{topic}' in this bag; it has {listing}")
    else:
        found = [t for t in topics if t.count] or topics
        if len(found) > 1:
            raise SourceError(
                f'{path}: several image topics, choose one by its name (--topic, or calibration_topic of the node): '
                f'{listing}')
    if not found[0].count:
        raise SourceError(f'{path}: the image topic {found[0].name} has no messages')
    return found[0]


def read_image_messages(path: Path, topic: str | None = None) -> Iterator[ImageMessage]:
    """Yield the messages of one image topic (see choose_image_topic) in the order of recording.

    Raises SourceError if the bag cannot be read.
    """
    chosen = choose_image_topic(path, topic)
    with _reader(path) as reader:
        connections = [
            c for c in reader.connections
            if (c.topic, c.msgtype) == (chosen.name, chosen.type)]
        for connection, stamp_ns, cdr in reader.messages(connections=connections):
            yield ImageMessage(connection.topic, connection.msgtype, stamp_ns, cdr)


def deserialize(message: ImageMessage) -> Any:
    """Return the message with the fields of its type; the image data is an ndarray.

    Raises SourceError if the bytes are not such a message.
    """
    try:
        return typestore().deserialize_cdr(message.cdr, message.type)
    except Exception as error:  # Damaged bytes surface as whatever the decoder trips over.
        raise SourceError(f'not a {message.type}: {error!r}') from error


def with_stamp(cdr: bytes, stamp_ns: int) -> bytes:
    """Return a copy of a serialised message whose header.stamp is `stamp_ns` nanoseconds.

    For players that publish recorded bytes as if they were live. The message's type must begin with
    a std_msgs/Header, as Image and CompressedImage do: four bytes of CDR encapsulation, then
    int32 sec, uint32 nanosec.
    """
    order = '<' if cdr[1] & 1 else '>'  # OMG DDS-RTPS: CDR_BE is {0, 0}, CDR_LE is {0, 1}.
    stamp = struct.pack(f'{order}iI', *divmod(stamp_ns, 1_000_000_000))
    return b''.join((cdr[:4], stamp, memoryview(cdr)[12:]))


@functools.lru_cache(maxsize=1)
def typestore() -> Any:
    """Return the rosbags type store of Jazzy.

    Image and CompressedImage are the same in every ROS 2 distribution, so this store reads all
    bags; a bag's own definitions are not needed, and broken ones of other topics do no harm.
    """
    typesys = require('rosbags.typesys')
    return typesys.get_typestore(typesys.Stores.ROS2_JAZZY)


@contextmanager
def _reader(path: Path) -> Iterator[Any]:
    rosbag2 = require('rosbags.rosbag2')
    if path.is_fifo():
        raise SourceError(f'{path}: a pipe; expected a rosbag2, a folder or an .mcap or .db3 file')
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        raise SourceError(
            f'{path}: metadata.yaml is missing, the recording was not closed: run '
            f'`ros2 bag reindex {path}`, or give the .mcap or .db3 file itself')
    try:
        with rosbag2.Reader(path) as reader:
            yield reader
    except (SourceError, GeneratorExit):
        raise
    except Exception as error:  # Damaged files surface as any of a dozen kinds of errors.
        raise SourceError(
            f'{path}: the bag cannot be read: {error}; if its recording was cut off, '
            '`ros2 bag reindex` or `mcap recover` may save it') from error
