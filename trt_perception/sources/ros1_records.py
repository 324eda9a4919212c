# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the messages of a ROS 1 bag from its beginning to its end, or to the place where it is cut off or damaged.

rosbags keeps the place of each message of all topics in memory, and refuses a bag without an index. The format:
wiki.ros.org/Bags/Format/2.0. A record is the length of its header, the header, the length of its data, the data; all
numbers are little endian. A header has fields: a length, then name=value.

    connection  conn, topic; the data is a header with type
    message     conn, time; the data is the serialized message
    chunk       compression, size; the data is records
    index, chunk info, bag header: not needed to read messages
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import SourceError
from .bag_faults import CUT_OFF, read_up_to
from .decompression import lz4_decompressed

MAGIC = b'#ROSBAG V2.0\n'
_MESSAGE, _BAG, _CHUNK, _CHUNK_INFO, _CONNECTION = 2, 3, 5, 6, 7
# A crafted file could ask for any amount of memory. Headers have some hundred bytes, those of connections have the
# definition of the type.
_MOST_HEADER, _MOST_BYTES = 16_000_000, 2_000_000_000


class Ros1Damage(Exception):
    """A part of a file cannot be read; the text says why, as the rest of a sentence."""


class _EndError(Ros1Damage):
    """The file ends within a record."""


_NO_INDEX = Ros1Damage, struct.error, KeyError, UnicodeDecodeError


@dataclass(frozen=True)
class Ros1Message:
    """A message. type: in the way of ROS 2, such as sensor_msgs/msg/Image; data: serialized as in ROS 1."""

    topic: str
    type: str
    log_ns: int
    data: bytes


def ros1_messages(
    path: Path, wanted: Callable[[str, str], bool], on_damage: Callable[[Ros1Damage], None],
) -> Iterator[Ros1Message]:
    """Yield the messages of some topics in the order of the file, which is that of their arrival.

    wanted: whether the messages of a topic and a type are wanted
    on_damage: called for a damaged chunk, which is left out, and at the place where the file is cut off

    Memory: one chunk. Raises OSError if the file cannot be read; MissingDependencyError.
    """
    with path.open('rb') as file:
        if file.read(len(MAGIC)) != MAGIC:
            on_damage(Ros1Damage('is not a ROS 1 bag of version 2.0'))
            return
        yield from _Scan(wanted, on_damage).file(file, path.stat().st_size)


def ros1_counts(path: Path) -> dict[tuple[str, str], int]:
    """Return the number of messages of each topic and type: those of the index or, without one, that can be read.

    Raises as ros1_messages.
    """
    try:
        return _indexed_counts(path)
    except _NO_INDEX:
        counts: dict[tuple[str, str], int] = {}
        for message in ros1_messages(path, lambda topic, kind: True, lambda damage: None):
            key = message.topic, message.type
            counts[key] = counts.get(key, 0) + 1
        return counts


def has_ros1_index(path: Path) -> bool:
    """Return whether ros1_counts is quick. Raises OSError."""
    try:
        _indexed_counts(path)
    except _NO_INDEX:
        return False
    return True


def ros1_fault(path: Path) -> str:
    """Return why a ROS 1 bag cannot be read as a whole, as the rest of a sentence; '' if no fault is found.

    Raises OSError.
    """
    size = path.stat().st_size
    with path.open('rb') as file:
        head = file.read(len(MAGIC))
        if head.startswith(b'#ROSBAG V') and head != MAGIC:
            return 'is a ROS 1 bag of an old version: `rosbag fix` of ROS 1 converts it'
        if head != MAGIC:
            return 'is not a ROS 1 bag: expected a file that begins with #ROSBAG V2.0'
        try:
            fields = _fields(_block(file, _MOST_HEADER))
            index = struct.unpack('<Q', fields['index_pos'])[0]
        except (Ros1Damage, struct.error, KeyError):
            index = 0
            fields = {}
    if fields.get('encryptor'):
        return 'is encrypted: `rosbag decrypt` of ROS 1 decrypts it'
    if not len(MAGIC) < index <= size:
        return f'{CUT_OFF}; `rosbag reindex` of ROS 1 may save a part of it'
    return ''


def _indexed_counts(path: Path) -> dict[tuple[str, str], int]:
    with path.open('rb') as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise Ros1Damage('is not a ROS 1 bag')
        bag = _fields(_block(file, _MOST_HEADER))
        index, connections, chunks = (
            struct.unpack(form, bag[name])[0]
            for form, name in (('<Q', 'index_pos'), ('<I', 'conn_count'), ('<I', 'chunk_count')))
        file.seek(index)
        topics: dict[int, tuple[str, str]] = {}
        for _ in range(connections):
            number, topic = _connection(_fields(_block(file, _MOST_HEADER)), _block(file, _MOST_HEADER))
            topics[number] = topic
        counts = dict.fromkeys(topics.values(), 0)
        for _ in range(chunks):
            if _fields(_block(file, _MOST_HEADER))['op'] != bytes([_CHUNK_INFO]):
                raise Ros1Damage('has no index where it should be')
            content = _block(file, _MOST_HEADER)
            for number, count in struct.iter_unpack('<II', content):
                counts[topics[number]] += count
    return counts


class _Scan:
    def __init__(self, wanted: Callable[[str, str], bool], on_damage: Callable[[Ros1Damage], None]) -> None:
        self._wanted = wanted
        self._on_damage = on_damage
        self._topics: dict[int, tuple[str, str] | None] = {}

    def file(self, file: BinaryIO, size: int) -> Iterator[Ros1Message]:
        """Yield the messages of a file whose magic was read."""
        at = len(MAGIC)
        while at < size:
            file.seek(at)
            try:
                fields = _fields(_block(file, _MOST_HEADER))
                op = fields['op'][0]
                length = _length(file, _MOST_BYTES)
            except (Ros1Damage, struct.error, KeyError, IndexError, UnicodeDecodeError) as error:
                # Nothing says where the next record begins.
                self._on_damage(Ros1Damage(
                    read_up_to(at) if isinstance(error, _EndError) else
                    f'is damaged at byte {at}: {error}'))
                return
            start = file.tell()
            if start + length > size:
                self._on_damage(Ros1Damage(read_up_to(at)))
                return
            at = start + length
            try:
                if op == _CHUNK:
                    yield from self._chunk(fields, file.read(length))
                elif op in (_MESSAGE, _CONNECTION):
                    # A recorder that was killed did not write the length of its last chunk, but its records.
                    yield from self._record(op, fields, file.read(length))
            except (Ros1Damage, SourceError, struct.error, KeyError, IndexError, UnicodeDecodeError) as error:
                self._on_damage(Ros1Damage(f'is damaged at byte {start}: {error}'))

    def _chunk(self, fields: dict[str, bytes], content: bytes) -> Iterator[Ros1Message]:
        size = struct.unpack('<I', fields['size'])[0]
        if size > _MOST_BYTES:
            raise Ros1Damage(f'a chunk has {size} bytes, more than {_MOST_BYTES}')
        # The length 0 is that of a chunk that was not closed.
        records = memoryview(_decompressed(fields['compression'], content, size) if content else b'')
        if content and len(records) != size:
            raise Ros1Damage(f'a chunk has {len(records)} bytes instead of {size}')
        at = 0
        while at < len(records):
            header, at = _part(records, at)
            data, at = _part(records, at)
            of_record = _fields(header)
            yield from self._record(of_record['op'][0], of_record, data)

    def _record(self, op: int, fields: dict[str, bytes], data: bytes | memoryview) -> Iterator[Ros1Message]:
        if op == _CONNECTION:
            number, topic = _connection(fields, data)
            self._topics[number] = topic if self._wanted(*topic) else None
        elif op == _MESSAGE:
            number = struct.unpack('<I', fields['conn'])[0]
            if number not in self._topics:
                raise Ros1Damage(f'a message is of connection {number}, which is not defined before it')
            of_message = self._topics[number]
            if of_message is not None:
                sec, nanosec = struct.unpack('<II', fields['time'])
                yield Ros1Message(*of_message, sec * 1_000_000_000 + nanosec, bytes(data))


def _connection(fields: dict[str, bytes], data: bytes | memoryview) -> tuple[int, tuple[str, str]]:
    """Return the number, the topic and the type of a connection."""
    if fields['op'] != bytes([_CONNECTION]):
        raise Ros1Damage('has no connection where it should be')
    package, _, name = _fields(data)['type'].decode().rpartition('/')
    return struct.unpack('<I', fields['conn'])[0], (fields['topic'].decode(), f'{package}/msg/{name}')


def _fields(header: bytes | memoryview) -> dict[str, bytes]:
    view = memoryview(header)
    fields: dict[str, bytes] = {}
    at = 0
    while at < len(view):
        field, at = _part(view, at)
        name, equals, value = bytes(field).partition(b'=')
        if not equals:
            raise Ros1Damage('a header has a field without a value')
        fields[name.decode()] = value
    return fields


def _part(content: memoryview, at: int) -> tuple[memoryview, int]:
    """Return what follows its length, and the place after it."""
    end = at + 4 + int(struct.unpack_from('<I', content, at)[0])
    if end > len(content):
        raise Ros1Damage('a record is longer than what it is in')
    return content[at + 4:end], end


def _block(file: BinaryIO, most: int) -> bytes:
    length = _length(file, most)
    content = file.read(length)
    if len(content) != length:
        raise _EndError('it ends within a record')
    return content


def _length(file: BinaryIO, most: int) -> int:
    content = file.read(4)
    if len(content) != 4:
        raise _EndError('it ends within a record')
    length = int(struct.unpack('<I', content)[0])
    if length > most:
        raise Ros1Damage(f'a record has {length} bytes, more than {most}')
    return length


def _decompressed(name: bytes, content: bytes, size: int) -> bytes:
    if name == b'none':
        return content
    if name == b'lz4':
        return lz4_decompressed(content, size + 1)
    if name == b'bz2':
        try:
            return bz2.BZ2Decompressor().decompress(content, size + 1)
        except (OSError, EOFError) as error:
            raise Ros1Damage(f'not bz2 that can be decompressed: {error}') from error
    raise Ros1Damage(f"a chunk is compressed with '{name.decode(errors='replace')}', which is not known")
