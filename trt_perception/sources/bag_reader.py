# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The only reader of rosbag2 recordings (sqlite3 and mcap). It does not need ROS."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import PerceptionError, SourceError, listed, one_line, reason
from ..image.transports import base_of, decoded, republish_command, transport_of
from .bag_faults import CUT_OFF, MissingMessages
from .bag_messages import COMPRESSED_IMAGE, IMAGE, ImageMessage
from .bag_metadata import METADATA, BagTopic
from .bag_paths import find_metadata
from .bag_storage import (
    MCAP,
    ROS1,
    SQLITE,
    ZSTD_MAGIC,
    is_compressed_storage_file,
    is_ros1_bag,
    recovery,
    storage_fault,
)
from .connections import connections_of
from .mcap_damage import Examined, examine
from .mcap_records import message_counts
from .ros1_bag import ros1_images
from .ros1_records import Ros1Damage, has_ros1_index, ros1_counts

IMAGE_TYPES = (IMAGE, COMPRESSED_IMAGE)
# rosbags opens SQLite files by a URI and does not escape these.
_NOT_IN_SQLITE_PATHS = '#?%'


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
            self.folder, self._metadata = find_metadata(path)
            self._files = (
                [path] if self.folder is None or self._metadata is None
                else [self.folder / name for name in self._metadata.files])
            self._check_files()
        except OSError as error:
            raise SourceError(f'{path}: cannot be read: {reason(error)}') from error

    @cached_property
    def topics(self) -> tuple[BagTopic, ...]:
        """All topics, sorted by name."""
        if self._metadata is not None:
            found: Collection[BagTopic] = self._metadata.topics
        elif self.storage == ROS1:
            found = [BagTopic(*topic, count) for topic, count in ros1_counts(self.path).items()]
        elif self._is_cut_off and self.storage == MCAP:
            found = self._readable_topics()
        else:
            try:
                found = self._topics_of_file()
            except SourceError as error:
                # As of the same file in a bag, all that can be read is there for `recorded`.
                found = self._readable_topics() if self._is_damaged(error) else []
                if not found:
                    raise
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
        on_missing: Callable[[MissingMessages], None] | None = None,
    ) -> Iterator[ImageMessage]:
        """Yield the messages of image topics of this bag in the order of recording.

        start_ns, stop_ns: only those that were recorded at `start_ns` or later, and before `stop_ns`
        on_missing: called at the end, if there are fewer messages than the index counts; without it, this is an error

        Raises SourceError if a message cannot be read.
        """
        found = 0
        messages = self._ros1_messages(topics) if self.storage == ROS1 else (
            self._rosbag2_messages(topics, start_ns, stop_ns))
        for message in messages:
            found += 1
            yield message
        missing = self.missing(topics, found) if start_ns is None and stop_ns is None else None
        if missing is None:
            return
        # rosbags ends at some kinds of damage without a word.
        examined = self._examined({(topic.name, topic.type) for topic in topics})
        if examined.damaged is not None:
            missing = MissingMessages(f'{self.path}: {self._fault(examined)}')
        elif examined.messages > found:
            missing = MissingMessages(
                f'{self.path}: the index of a file is damaged: it leads to only {found} of {examined.messages} '
                f'messages of {listed([topic.name for topic in topics])}; {recovery(self._files[0])} writes it again'
                f'{", of each file" if len(self._files) > 1 else ""}')
        if on_missing is None:
            raise missing
        on_missing(missing)

    def missing(self, topics: Collection[BagTopic], found: int) -> MissingMessages | None:
        """Return an error if the index counts more messages of these topics than were found."""
        expected = sum(topic.count for topic in topics)
        if found >= expected:
            return None
        counted = f'{expected} messages of {listed([topic.name for topic in topics])}'
        only = f'only {found}' if found else 'none'
        if self.folder is not None:
            return MissingMessages(
                f'{self.path}: {METADATA} counts {counted}, but the storage files have {only}: copy the bag again if '
                f'the copy was not finished, or run `ros2 bag reindex {self.folder}` to count again')
        again = '`rosbag reindex` of ROS 1 counts' if self.storage == ROS1 else f'{recovery(self.path)} counts'
        return MissingMessages(
            f'{self.path}: the index of the file counts {counted}, but the file has {only}: copy it again if the copy '
            f'was not finished; {again} again')

    def _rosbag2_messages(
        self, topics: Collection[BagTopic], start_ns: int | None, stop_ns: int | None,
    ) -> Iterator[ImageMessage]:
        wanted = {(topic.name, topic.type) for topic in topics}
        with self.opened(wanted) as reader:
            connections = [c for c in connections_of(reader) if (c.topic, c.msgtype) in wanted]
            if connections:  # Without any, rosbags would give the messages of all topics.
                for connection, stamp_ns, cdr in reader.messages(connections, start_ns, stop_ns):
                    yield ImageMessage(connection.topic, connection.msgtype, stamp_ns, cdr)

    def _ros1_messages(self, topics: Collection[BagTopic]) -> Iterator[ImageMessage]:
        def damaged(damage: Ros1Damage) -> None:
            raise SourceError(f'{self.path}: the file {damage}')

        try:
            yield from ros1_images(self.path, topics, damaged)
        except OSError as error:
            raise SourceError(f'{self.path}: cannot be read: {reason(error)}') from error

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
                # SQLite does not open such a file.
                if self._cut_off and fault.startswith(CUT_OFF) and self.storage != SQLITE:
                    self._is_cut_off = True
                    continue
                raise SourceError(f'{self.path}: {self._named(file)} {fault}')

    def _named(self, file: Path) -> str:
        return 'the file' if file.name == self.path.name else f'its file {file.name}'

    def _readable_topics(self) -> list[BagTopic]:
        return [BagTopic(*topic, count) for topic, count in message_counts(self.path).items()]

    def _is_damaged(self, error: SourceError) -> bool:
        """Return whether rosbags refused a file that is to be read as far as possible."""
        return self._cut_off and self.storage == MCAP and error.__cause__ is not None and not isinstance(
            error.__cause__, OSError)

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
    def opened(self, wanted: Collection[tuple[str, str]] | None = None) -> Iterator[Any]:
        """Yield the reader of rosbags; its errors, in the block too, become SourceError.

        wanted: topics and types whose messages are read in the block, None for all
        """
        rosbag2 = require('rosbags.rosbag2')
        try:
            with rosbag2.Reader(self.folder or self.path) as reader:
                yield reader
        except (PerceptionError, GeneratorExit):
            raise
        except MemoryError as error:
            # A damaged length can be any number.
            fault = self._fault(self._examined(wanted))
            if not fault:
                raise
            raise SourceError(f'{self.path}: {fault}') from error
        except OSError as error:
            # A full disk is possible: compressed storage files are unpacked into the folder for temporary files.
            where = f'{error.filename}: ' if error.filename else ''
            raise SourceError(f'{self.path}: cannot be read: {where}{reason(error)}') from error
        except Exception as error:  # rosbags raises errors of many types for damaged files.
            raise SourceError(f'{self.path}: {self._reason(error, wanted)}') from error

    def _reason(self, error: Exception, wanted: Collection[tuple[str, str]] | None) -> str:
        return self._fault(self._examined(wanted)) or f'the bag cannot be read: {self._words_of_rosbags(error)}'

    def _examined(self, wanted: Collection[tuple[str, str]] | None) -> Examined:
        """Return what can be read of MCAP files without rosbags: the readable messages, and the first damage."""
        if self.storage == MCAP:
            with suppress(SourceError, OSError):
                return examine(self._files, lambda *topic: wanted is None or topic in wanted, self.packs_messages)
        return Examined(0)

    def _fault(self, examined: Examined) -> str:
        """Return the damage in the words of `recorded`, and what to do; '' if there is none."""
        if examined.damaged is None:
            return ''
        return f'{self._named(examined.damaged)} {examined.fault}; {recovery(examined.damaged)} may save a part of it'

    def _words_of_rosbags(self, error: Exception) -> str:
        for file in self._files:
            if file.suffix == SQLITE and not _is_sqlite_uri(file):
                return (f'rosbags cannot open a .db3 file if its path contains one of {" ".join(_NOT_IN_SQLITE_PATHS)} '
                        'or is not UTF-8: rename it')
        text = one_line(error, 300).rstrip('.')
        for file in self._files:
            # A file that rosbags unpacked has a path that is new each time, and gone when the user reads it.
            if is_compressed_storage_file(file):
                text = re.sub(rf'\S*/{re.escape(file.stem)}(?=[:\s])', file.name, text)
        if self.storage == MCAP and 'not in timestamp order' in text:
            return (f'its messages are not in the order of time, and the file has no index: {recovery(self._files[0])} '
                    'writes one with an index')
        if len(self._files) > 1:
            return text
        return f'{text}; if it is damaged, {recovery(self._files[0])} may save a part of it'


def _is_sqlite_uri(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return not any(character in _NOT_IN_SQLITE_PATHS for character in str(path))


def _same_name(topic: BagTopic, name: str) -> bool:
    return topic.name.lstrip('/') == name.lstrip('/')
