# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the messages of an MCAP file from its beginning to its end, or to the place where it is cut off or damaged.

The index at the end of the file is not used, so files without one are read too. rosbags does not give the time of
publishing, and refuses such files. The format: mcap.dev/spec. Layouts of the records, little endian:

    any      u8 opcode, u64 length of the content, content
    schema   u16 id, string name, string encoding, bytes data
    channel  u16 id, u16 schema, string topic, string encoding, map metadata
    message  u16 channel, u32 sequence, u64 log time, u64 publish time, data
    chunk    u64 start, u64 end, u64 uncompressed size, u32 CRC-32, string compression, u64 size, records

A string is its length as u32, then UTF-8.
"""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import SourceError
from .decompression import lz4_decompressed, zstd_decompressed

MAGIC = b'\x89MCAP0\r\n'
_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 3, 4, 5, 6, 15
_HEAD = struct.Struct('<BQ')
_MESSAGE_HEAD = struct.Struct('<HIQQ')
_CHUNK_HEAD = struct.Struct('<QQQI')
# A crafted file could ask for any amount of memory. rosbag2's chunks have less than 1 MB, and a chunk has at least one
# message: the largest images that this package reads have some hundred MB.
_MOST_BYTES = 2_000_000_000


class McapDamage(Exception):
    """The rest of a file, or a part of it, cannot be read; the text says why, as the rest of a sentence."""


@dataclass(frozen=True)
class McapMessage:
    """A message.

    topic, type: of its channel, such as /image and sensor_msgs/msg/Image
    log_ns, publish_ns: time of recording and of publishing, in nanoseconds
    publish_at: where the eight bytes of publish_ns are in the file; None if they are in a compressed chunk
    """

    topic: str
    type: str
    log_ns: int
    publish_ns: int
    data: bytes
    publish_at: int | None


def mcap_messages(
    path: Path, wanted: Callable[[str, str], bool], on_damage: Callable[[McapDamage], None], data: bool = True,
) -> Iterator[McapMessage]:
    """Yield the messages of some topics in the order of the file.

    wanted: whether the messages of a topic and a type are wanted
    on_damage: called for a damaged chunk, which is left out, and at the place where the file is cut off
    data: False leaves the bytes of messages out that are not in a compressed chunk

    Memory: one chunk. Raises OSError if the file cannot be read; MissingDependencyError.
    """
    with path.open('rb') as file:
        if file.read(len(MAGIC)) != MAGIC:
            on_damage(McapDamage('is not an MCAP file'))
            return
        yield from _Scan(file, path.stat().st_size, wanted, on_damage, data).records()


def message_counts(path: Path) -> dict[tuple[str, str], int]:
    """Return how many messages of each topic and type can be read. Raises as mcap_messages."""
    counts: dict[tuple[str, str], int] = {}
    for message in mcap_messages(path, lambda topic, kind: True, lambda damage: None, data=False):
        key = message.topic, message.type
        counts[key] = counts.get(key, 0) + 1
    return counts


class _Scan:
    def __init__(
        self, file: BinaryIO, size: int, wanted: Callable[[str, str], bool],
        on_damage: Callable[[McapDamage], None], data: bool,
    ) -> None:
        self._file = file
        self._size = size
        self._wanted = wanted
        self._on_damage = on_damage
        self._data = data
        self._schemas: dict[int, str] = {}
        self._topics: dict[int, tuple[str, str] | None] = {}

    def records(self) -> Iterator[McapMessage]:
        at = len(MAGIC)
        while True:
            self._file.seek(at)
            head = self._file.read(_HEAD.size)
            if len(head) < _HEAD.size:
                self._on_damage(McapDamage(f'is cut off after {self._size} bytes'))
                return
            opcode, length = _HEAD.unpack(head)
            if opcode == _DATA_END:
                return
            start = at + _HEAD.size
            at = start + length
            if at > self._size:
                self._on_damage(McapDamage(f'is cut off: a record ends at byte {at}, but the file at {self._size}'))
                return
            try:
                if opcode == _CHUNK:
                    yield from self._chunk(start, length)
                elif opcode == _MESSAGE:
                    yield from self._message(start, length)
                elif opcode in (_SCHEMA, _CHANNEL):
                    self._definition(opcode, self._read(length))
            except (McapDamage, SourceError) as damage:
                self._on_damage(McapDamage(f'is damaged at byte {start}: {damage}'))

    def _message(self, start: int, length: int) -> Iterator[McapMessage]:
        """Yield the message at a place of the file, if it is wanted."""
        content = memoryview(self._file.read(min(length, _MESSAGE_HEAD.size)))
        channel = _MESSAGE_HEAD.unpack(content)[0] if len(content) == _MESSAGE_HEAD.size else -1
        if channel not in self._topics or self._topics[channel] is not None:
            rest = self._read(length - len(content)) if self._data else b''
            yield from self._parsed(memoryview(bytes(content) + rest), start)

    def _chunk(self, start: int, length: int) -> Iterator[McapMessage]:
        content = memoryview(self._read(length))
        try:
            _, _, size, crc = _CHUNK_HEAD.unpack_from(content)
            name, at = _string(content, _CHUNK_HEAD.size)
            stored = struct.unpack_from('<Q', content, at)[0]
        except (struct.error, UnicodeDecodeError) as error:
            raise McapDamage(f'a chunk begins wrongly: {error}') from error
        at += 8
        raw = content[at:at + stored]
        where = start + at if name == '' else None
        records = raw if name == '' else memoryview(_decompressed(name, bytes(raw), size))
        if len(raw) != stored or len(records) != size:
            raise McapDamage(f'a chunk has {len(records)} bytes instead of {size}')
        if crc and crc32(records) != crc:
            raise McapDamage('the CRC of a chunk is wrong')
        at = 0
        while at + _HEAD.size <= size:
            opcode, length = _HEAD.unpack_from(records, at)
            at += _HEAD.size
            if at + length > size:
                raise McapDamage('a record is longer than its chunk')
            record = records[at:at + length]
            if opcode == _MESSAGE:
                yield from self._parsed(record, None if where is None else where + at)
            elif opcode in (_SCHEMA, _CHANNEL):
                self._definition(opcode, record)
            at += length

    def _parsed(self, record: memoryview, start: int | None) -> Iterator[McapMessage]:
        if len(record) < _MESSAGE_HEAD.size:
            raise McapDamage(f'a message has {len(record)} bytes')
        channel, _, log_ns, publish_ns = _MESSAGE_HEAD.unpack_from(record)
        if channel not in self._topics:
            raise McapDamage(f'a message is of channel {channel}, which is not defined before it')
        topic = self._topics[channel]
        if topic is not None:
            yield McapMessage(
                *topic, log_ns, publish_ns, bytes(record[_MESSAGE_HEAD.size:]),
                None if start is None else start + struct.calcsize('<HIQ'))

    def _definition(self, opcode: int, content: bytes | memoryview) -> None:
        view = memoryview(content)
        try:
            number = struct.unpack_from('<H', view)[0]
            if opcode == _SCHEMA:
                self._schemas[number] = _string(view, 2)[0]
                return
            schema = struct.unpack_from('<H', view, 2)[0]
            topic = _string(view, 4)[0]
        except (struct.error, UnicodeDecodeError) as error:
            raise McapDamage(f'a definition cannot be read: {error}') from error
        kind = self._schemas.get(schema, '')
        self._topics[number] = (topic, kind) if self._wanted(topic, kind) else None

    def _read(self, length: int) -> bytes:
        if length > _MOST_BYTES:
            raise McapDamage(f'a record has {length} bytes, more than {_MOST_BYTES}')
        content = self._file.read(length)
        if len(content) != length:
            raise McapDamage('the file became shorter')
        return content


def _string(content: memoryview, at: int) -> tuple[str, int]:
    """Return a string and the place after it."""
    end = at + 4 + int(struct.unpack_from('<I', content, at)[0])
    if end > len(content):
        raise McapDamage('a text is longer than its record')
    return bytes(content[at + 4:end]).decode(), end


def _decompressed(name: str, content: bytes, size: int) -> bytes:
    if size > _MOST_BYTES:
        raise McapDamage(f'a chunk has {size} bytes, more than {_MOST_BYTES}')
    # One byte more than expected would be seen as a wrong length.
    if name == 'zstd':
        return zstd_decompressed(content, size + 1)
    if name == 'lz4':
        return lz4_decompressed(content, size + 1)
    raise McapDamage(f"a chunk is compressed with '{name}', which is not known")
