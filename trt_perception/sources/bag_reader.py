# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The only reader of rosbag2 recordings (sqlite3 and mcap). It does not need ROS."""

from __future__ import annotations

import os.path
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import PerceptionError, SourceError, listed, one_line
from ..image.transports import base_of, decoded, republish_command, transport_of
from .bag_messages import COMPRESSED_IMAGE, IMAGE, ImageMessage
from .bag_metadata import METADATA, BagMetadata, BagTopic, head_of_metadata, read_metadata
from .bag_storage import (
    MCAP,
    ROS1,
    SQLITE,
    ZSTD_MAGIC,
    is_compressed_storage_file,
    is_ros1_bag,
    is_storage_file,
    recovery,
    storage_fault,
)
from .mcap_records import message_counts
from .ros1_bag import ros1_images
from .ros1_records import Ros1Damage, has_ros1_index, ros1_counts

IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE)
_EXPECTED = 'its folder, or an .mcap or .db3 file'
# Of store.py in annotate/.
_RESULTS = 'annotation.json'
# rosbags opens SQLite files by a URI and does not escape these.
_NOT_IN_SQLITE_PATHS = '#?%'


def looks_like_bag(path: Path) -> bool:
    """Return whether a path looks like a bag, by file names and the first bytes of metadata.yaml.

    True also for a ROS 1 bag, and for a bag that BagReader refuses: a damaged one, a compressed storage file. A folder
    is a bag if its metadata.yaml is from rosbag2. If metadata.yaml is missing or damaged, it is a bag if it has storage
    files.

    Raises SourceError if a folder cannot be read.
    """
    try:
        if not path.is_dir():
            return (is_storage_file(path) or is_compressed_storage_file(path) or is_ros1_bag(path)
                    or path.name == METADATA)
        head = head_of_metadata(path)
        return head == 'rosbag2' or (head != 'other' and _has_storage_files(path))
    except OSError as error:
        raise SourceError(f'{path}: cannot be read: {error.strerror}') from error


class BagReader:
    """A rosbag2: a folder with metadata.yaml, or a single .mcap or .db3 file. Also a ROS 1 bag, of which the image
    topics can be read as if they were of ROS 2.

    If the given file is the only file in the metadata.yaml of its folder, it is read as that bag: its topics do not
    need rosbags, and its messages may be compressed. Any other file is read without metadata.

    path: as it was given
    folder: the folder whose metadata.yaml describes this bag; None for a file that is read without metadata

    Opening is cheap: it reads metadata.yaml, and the first and last bytes of each storage file. The topics of a bag
    with metadata need only PyYAML; the topics of a single file, and all messages, need rosbags.

    All methods raise SourceError for a bag that cannot be used, and MissingDependencyError for a missing package. No
    other code reads bags, so all commands give the same message for the same file.
    """

    def __init__(self, path: Path, cut_off: bool = False) -> None:
        """Open a bag.

        cut_off: open it also if a file is cut off, for `recorded` (bag_recording.py)
        """
        self.path = path
        self._cut_off = cut_off
        self._is_cut_off = False
        try:
            self.folder, self._metadata = _find_metadata(path)
            self._files = (
                [path] if self.folder is None or self._metadata is None
                else [self.folder / name for name in self._metadata.files])
            self._check_files()
        except OSError as error:
            raise SourceError(f'{path}: cannot be read: {error.strerror}') from error

    @cached_property
    def topics(self) -> tuple[BagTopic, ...]:
        """All topics, sorted by name."""
        if self._metadata is not None:
            found: Collection[BagTopic] = self._metadata.topics
        elif self.storage == ROS1:
            found = [BagTopic(*topic, count) for topic, count in ros1_counts(self.path).items()]
        elif self._is_cut_off and self.storage == MCAP:
            found = [BagTopic(*topic, count) for topic, count in message_counts(self.path).items()]
        else:
            found = self._topics_of_file()
        return tuple(sorted(found, key=lambda topic: (topic.name, topic.type)))

    @property
    def image_topics(self) -> tuple[BagTopic, ...]:
        """The topics of Image and CompressedImage, sorted by name."""
        return tuple(topic for topic in self.topics if topic.type in IMAGE_TYPES)

    def choose_image_topic(self, name: str | None = None) -> BagTopic:
        """Return the image topic with this name (with or without the leading /), or the only one that has messages.

        Raises SourceError, with a list of the bag's image topics, if there is no such topic, if it has no messages, or
        if there are several and no name is given.
        """
        topics = self.image_topics
        if not topics:
            raise SourceError(
                f'{self.path}: no image topic in this bag (looked for {" and ".join(IMAGE_TYPES)}){self._undecoded()}')
        listing = ', '.join(f'{topic.name} ({topic.type.rsplit("/", 1)[1]}, {topic.count})' for topic in topics)
        if name is not None:
            topics = tuple(topic for topic in topics if _same_name(topic, name))
            if not topics:
                others = [topic for topic in self.topics if _same_name(topic, name)]
                base = base_of(name).strip('/')
                same = [topic for topic in self.image_topics if base_of(topic.name).strip('/') == base]
                what = (f' ({others[0].name} is a {others[0].type})' if others else
                        f" (did you mean '{same[0].name}'?)" if same else '')
                raise SourceError(f"{self.path}: no image topic '{name}' in this bag{what}; it has {listing}")
        filled = [topic for topic in topics if topic.count]
        if len(filled) > 1 and name is None:
            raise SourceError(
                f'{self.path}: several image topics, choose one by its name (--topic, calibration_topic of the node, '
                f'image_topic of replay.launch.py): {listing}')
        if not filled:
            raise SourceError(
                f'{self.path}: the image topic {topics[0].name} has no messages' if len(topics) == 1 else
                f'{self.path}: the image topics of this bag have no messages: {listing}')
        return filled[0]

    def messages(
        self, *topics: BagTopic, start_ns: int | None = None, stop_ns: int | None = None,
    ) -> Iterator[ImageMessage]:
        """Yield the messages of image topics of this bag in the order of recording.

        start_ns, stop_ns: only those that were recorded at `start_ns` or later, and before `stop_ns`

        Raises SourceError if a message cannot be read, or if there are none although metadata.yaml counts some.
        """
        if self.storage == ROS1:
            yield from self._ros1_messages(topics)
            return
        found = 0
        wanted = {(topic.name, topic.type) for topic in topics}
        with self.opened() as reader:
            connections = [c for c in reader.connections if (c.topic, c.msgtype) in wanted]
            if connections:  # Without any, rosbags would give the messages of all topics.
                for connection, stamp_ns, cdr in reader.messages(connections, start_ns, stop_ns):
                    found += 1
                    yield ImageMessage(connection.topic, connection.msgtype, stamp_ns, cdr)
        expected = sum(topic.count for topic in topics)
        if expected and not found and start_ns is None and stop_ns is None:
            names = listed([topic.name for topic in topics])
            raise SourceError(
                f'{self.path}: {METADATA} counts {expected} messages of {names}, but the storage files have none: run '
                f'`ros2 bag reindex {self.folder}` to count again')

    def _ros1_messages(self, topics: Collection[BagTopic]) -> Iterator[ImageMessage]:
        def damaged(damage: Ros1Damage) -> None:
            raise SourceError(f'{self.path}: the file {damage}')

        try:
            yield from ros1_images(self.path, topics, damaged)
        except OSError as error:
            raise SourceError(f'{self.path}: cannot be read: {error.strerror or error}') from error

    @property
    def storage_files(self) -> tuple[Path, ...]:
        """The storage files, in the order of recording."""
        return tuple(self._files)

    @property
    def storage(self) -> str:
        """The kind of the storage files: .mcap, .db3 or .bag."""
        file = self._files[0]
        if is_ros1_bag(file):
            return ROS1
        return file.with_suffix('').suffix if is_compressed_storage_file(file) else file.suffix

    @property
    def is_counted(self) -> bool:
        """Whether the number of messages is known without reading the whole bag, and is likely to be right."""
        return not self._is_cut_off and (self.storage != ROS1 or has_ros1_index(self.path))

    @property
    def packs_messages(self) -> bool:
        """Whether each message is compressed with zstandard."""
        return self._metadata is not None and self._metadata.compression == 'message'

    @property
    def is_compressed(self) -> bool:
        """Whether the files or the messages are compressed; chunks of MCAP do not count."""
        return self._metadata is not None and bool(self._metadata.compression)

    def _undecoded(self) -> str:
        """Return what to do with an image topic that cannot be read, '' if there is none."""
        for topic in self.topics:
            transport = transport_of(topic.name, topic.type)
            if transport is not None:
                return (
                    f'; {topic.name} has {transport.content} in {topic.type}, which cannot be read: play the bag, '
                    f'republish this topic with {republish_command(transport, topic.name)}, and record '
                    f'{decoded(topic.name)}')
        return ''

    def _check_files(self) -> None:
        for file in self._files:
            fault = storage_fault(file)
            if fault:
                if self._cut_off and fault.startswith('is cut off'):
                    self._is_cut_off = True
                    continue
                what = 'the file' if file.name == self.path.name else f'its file {file.name}'
                raise SourceError(f'{self.path}: {what} {fault}')

    def _topics_of_file(self) -> list[BagTopic]:
        with self.opened() as reader:
            counts: dict[tuple[str, str], int] = {}
            for connection in reader.connections:
                key = connection.topic, connection.msgtype
                counts[key] = counts.get(key, 0) + connection.msgcount
            images = [c for c in reader.connections if c.msgtype in IMAGE_TYPES and c.msgcount]
            if images:
                _, _, cdr = next(reader.messages(connections=images), (None, 0, b''))
                if bytes(cdr[:len(ZSTD_MAGIC)]) == ZSTD_MAGIC:
                    raise SourceError(
                        f'{self.path}: each message is compressed (compression_mode: message), and such a file needs '
                        f'the {METADATA} of its bag: give the folder that has both')
        return [BagTopic(*key, count) for key, count in counts.items()]

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """Yield the reader of rosbags; its errors, in the block too, become SourceError."""
        rosbag2 = require('rosbags.rosbag2')
        try:
            with rosbag2.Reader(self.folder or self.path) as reader:
                yield reader
        except (PerceptionError, GeneratorExit, MemoryError):
            raise
        except OSError as error:
            # A full disk is possible: compressed storage files are unpacked into the folder for temporary files.
            where = f'{error.filename}: ' if error.filename else ''
            raise SourceError(f'{self.path}: cannot be read: {where}{error.strerror or error}') from error
        except Exception as error:  # rosbags raises errors of many types for damaged files.
            raise SourceError(f'{self.path}: the bag cannot be read: {self._reason(error)}') from error

    def _reason(self, error: Exception) -> str:
        for file in self._files:
            if file.suffix == SQLITE and not _is_sqlite_uri(file):
                return (f'rosbags cannot open a .db3 file if its path contains one of {" ".join(_NOT_IN_SQLITE_PATHS)} '
                        'or is not UTF-8: rename it')
        text = one_line(error, 300).rstrip('.')
        if len(self._files) > 1:
            return text
        return f'{text}; if it is damaged, {recovery(self._files[0])} may save a part of it'


def _find_metadata(path: Path) -> tuple[Path | None, BagMetadata | None]:
    """Return the folder with the metadata of a bag, and the metadata; (None, None) for a file without metadata.

    Raises SourceError if the path is not a bag, or its metadata.yaml is damaged.
    """
    # Path.exists raises an error for a name that is too long, or in a folder that cannot be searched.
    if not os.path.exists(path):  # noqa: PTH110
        raise SourceError(f'{path}: no such file or folder')
    if path.is_fifo():
        raise SourceError(f'{path}: a pipe; expected a rosbag2, {_EXPECTED}')
    if path.is_dir():
        if not looks_like_bag(path):
            raise SourceError(f'{path}: {why_no_bag(path)}')
        if head_of_metadata(path) == 'missing':
            raise SourceError(
                f'{path}: {METADATA} is missing because the recording was not closed: run `ros2 bag reindex {path}`, '
                'or give the .mcap or .db3 file itself')
        return path, read_metadata(path)
    metadata = _metadata_of_file(path)
    if metadata is not None:
        return path.parent, metadata
    if is_ros1_bag(path):
        return None, None
    if is_compressed_storage_file(path):
        raise SourceError(
            f'{path}: a compressed storage file without the {METADATA} of its bag: unpack it with `zstd -d {path}`')
    if path.name == METADATA:
        raise SourceError(f'{path}: not a rosbag2: give the folder of this file, {path.parent}')
    if not is_storage_file(path):
        raise SourceError(f'{path}: not a rosbag2: expected {_EXPECTED}')
    return None, None


def why_no_bag(folder: Path) -> str:
    """Return the reason why a folder is not a rosbag2, without the path.

    Raises OSError if it cannot be read.
    """
    if head_of_metadata(folder) == 'missing':
        return f'not a rosbag2: this folder has neither {METADATA} nor an .mcap or .db3 file{_bags_below(folder)}'
    hint = '; give the .mcap or .db3 file itself' if _has_storage_files(folder) else ''
    return f'not a rosbag2: {METADATA} in this folder is not from rosbag2{hint}'


def _bags_below(folder: Path) -> str:
    """Return what to do with a folder of bags, or of results; '' for another folder."""
    try:
        if (folder / _RESULTS).is_file():
            return '; it has results of trt_perception annotate: give the recording'
        below = [path for path in sorted(folder.iterdir()) if path.is_dir() and head_of_metadata(path) == 'rosbag2']
    except OSError:
        return ''
    return f'; it has bags in subfolders, give these: {listed(below, 3)}' if below else ''


def folder_of_storage_file(path: Path) -> Path | None:
    """Return the folder of the bag that a storage file belongs to; None for another file, or without such a folder."""
    try:
        if is_storage_file(path) or is_compressed_storage_file(path):
            return path.parent if head_of_metadata(path.parent) == 'rosbag2' else None
    except OSError:
        pass
    return None


def _metadata_of_file(path: Path) -> BagMetadata | None:
    """Return the metadata of the bag if this file is its only storage file; None otherwise or if it is unreadable."""
    if not (is_storage_file(path) or is_compressed_storage_file(path)):
        return None
    try:
        if head_of_metadata(path.parent) != 'rosbag2':
            return None
        metadata = read_metadata(path.parent)
    except (SourceError, OSError):
        return None  # The file is read without metadata.
    return metadata if metadata.files == (path.name,) else None


def _is_sqlite_uri(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return not any(character in _NOT_IN_SQLITE_PATHS for character in str(path))


def _has_storage_files(folder: Path) -> bool:
    return any(is_storage_file(path) or is_compressed_storage_file(path) for path in folder.iterdir())


def _same_name(topic: BagTopic, name: str) -> bool:
    return topic.name.lstrip('/') == name.lstrip('/')
