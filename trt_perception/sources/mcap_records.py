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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from ..errors import SourceError
from .bag_faults import read_up_to
from .decompression import lz4_decompressed, zstd_decompressed
from .mcap_definitions import (
    CHANNEL,
    CHUNK,
    DATA_END,
    HEAD,
    MESSAGE,
    MESSAGE_HEAD,
    NO_SCHEMA,
    SCHEMA,
    McapChannel,
    McapDamage,
    McapSchema,
    read_channel,
    read_schema,
    read_text,
)

MAGIC = b'\x89MCAP0\r\n'
# No record has this opcode.
_NO_RECORD = 0
_CHUNK_HEAD = struct.Struct('<QQQI')
# A crafted file could ask for any amount of memory. rosbag2's chunks have less than 1 MB, and a chunk has at least one
# message: the largest images that this package reads have some hundred MB.
MOST_BYTES = 2_000_000_000


@dataclass(frozen=True)
class McapMessage:
    """A message.

    sequence: number that the recorder gave it, usually 0
    log_ns, publish_ns: time of recording and of publishing, in nanoseconds
    packed: whether it was in a compressed chunk
    record_at: the first byte of its record, or of its chunk; in_record: how many wanted messages of the chunk are
        before it
    """

    channel: McapChannel
    sequence: int
    log_ns: int
    publish_ns: int
    data: bytes
    packed: bool
    record_at: int
    in_record: int

    @property
    def topic(self) -> str:
        """The topic, such as /image."""
        return self.channel.topic

    @property
    def type(self) -> str:
        """The type, such as sensor_msgs/msg/Image."""
        return self.channel.schema.name


def mcap_messages(
    path: Path, wanted: Callable[[str, str], bool], on_damage: Callable[[McapDamage], None], data: bool = True,
) -> Iterator[McapMessage]:
    """Yield the messages of some topics in the order of the file.

    wanted: whether the messages of a topic and a type are wanted
    on_damage: called for a damaged chunk, which is left out, and at the place where the file is cut off
    data: False leaves the bytes of messages out that are not in a compressed chunk

    Memory: one chunk. Raises OSError if the file cannot be read; MissingDependencyError.
    """
    yield from McapScan(path, wanted, on_damage, data).messages()


@dataclass(frozen=True)
class McapPlace:
    """Where reading can begin in the middle of a file.

    at: the first byte of a record that is not in a chunk
    schemas, channels: the definitions before it, by number; None for a channel that is not wanted
    """

    at: int
    schemas: Mapping[int, McapSchema]
    channels: Mapping[int, McapChannel | None]


def message_counts(path: Path) -> dict[tuple[str, str], int]:
    """Return how many messages of each topic and type can be read. Raises as mcap_messages."""
    counts: dict[tuple[str, str], int] = {}
    for message in mcap_messages(path, lambda topic, kind: True, lambda damage: None, data=False):
        key = message.topic, message.type
        counts[key] = counts.get(key, 0) + 1
    return counts


class McapScan:
    """Reads the messages of a file, or of a part of it; see mcap_messages."""

    _file: BinaryIO

    def __init__(
        self, path: Path, wanted: Callable[[str, str], bool], on_damage: Callable[[McapDamage], None],
        data: bool = True,
    ) -> None:
        self._path = path
        self._size = 0
        self._wanted = wanted
        self._on_damage = on_damage
        self._data = data
        self._schemas: dict[int, McapSchema] = {}
        self._channels: dict[int, McapChannel | None] = {}
        self._record_at = self._in_record = 0

    def place(self) -> McapPlace:
        """Return the record of the message that was yielded last: the message itself, or its chunk."""
        return McapPlace(self._record_at, dict(self._schemas), dict(self._channels))

    def messages(self, start: McapPlace | None = None, stop: int | None = None) -> Iterator[McapMessage]:
        """Yield the messages from one place on.

        start: None for all; stop: the byte of the last record of which messages are wanted, None for all that follow
        """
        with self._path.open('rb') as self._file:
            head = self._file.read(len(MAGIC))
            if head != MAGIC:
                self._on_damage(McapDamage(read_up_to(0) if MAGIC.startswith(head) else 'is not an MCAP file'))
                return
            self._size = self._path.stat().st_size
            at = len(MAGIC)
            if start is not None:
                at = start.at
                self._schemas.update(start.schemas)
                self._channels.update(start.channels)
            yield from self._records(at, stop)

    def _records(self, at: int, stop: int | None) -> Iterator[McapMessage]:
        while stop is None or at <= stop:
            self._record_at, self._in_record = at, 0
            self._file.seek(at)
            head = self._file.read(HEAD.size)
            if len(head) < HEAD.size:
                self._on_damage(McapDamage(read_up_to(at)))
                return
            opcode, length = HEAD.unpack(head)
            if opcode == _NO_RECORD:
                # As a power failure leaves it. Nothing says where the next record begins.
                self._on_damage(McapDamage(f'is damaged at byte {at}: it has a zero where a record should begin'))
                return
            if opcode == DATA_END:
                return
            start = at + HEAD.size
            if start + length > self._size:
                self._on_damage(McapDamage(read_up_to(at)))
                return
            at = start + length
            try:
                if opcode == CHUNK:
                    yield from self._chunk(length)
                elif opcode == MESSAGE:
                    yield from self._message(length)
                elif opcode in (SCHEMA, CHANNEL):
                    self._definition(opcode, self._read(length))
            except (McapDamage, SourceError) as damage:
                self._on_damage(McapDamage(f'is damaged at byte {start}: {damage}'))

    def _message(self, length: int) -> Iterator[McapMessage]:
        """Yield the message at a place of the file, if it is wanted."""
        content = memoryview(self._file.read(min(length, MESSAGE_HEAD.size)))
        channel = MESSAGE_HEAD.unpack(content)[0] if len(content) == MESSAGE_HEAD.size else -1
        if channel not in self._channels or self._channels[channel] is not None:
            rest = self._read(length - len(content)) if self._data else b''
            yield from self._parsed(memoryview(bytes(content) + rest), False)

    def _chunk(self, length: int) -> Iterator[McapMessage]:
        content = memoryview(self._read(length))
        try:
            _, _, size, crc = _CHUNK_HEAD.unpack_from(content)
            name, at = read_text(content, _CHUNK_HEAD.size)
            stored = struct.unpack_from('<Q', content, at)[0]
        except (struct.error, UnicodeDecodeError) as error:
            raise McapDamage(f'a chunk begins wrongly: {error}') from error
        at += 8
        raw = content[at:at + stored]
        records = raw if name == '' else memoryview(_decompressed(name, bytes(raw), size))
        if len(raw) != stored or len(records) != size:
            raise McapDamage(f'a chunk has {len(records)} bytes instead of {size}')
        if crc and crc32(records) != crc:
            raise McapDamage('the CRC of a chunk is wrong')
        at = 0
        while at + HEAD.size <= size:
            opcode, length = HEAD.unpack_from(records, at)
            if opcode == _NO_RECORD:
                raise McapDamage('a chunk has a zero where a record should begin')
            at += HEAD.size
            if at + length > size:
                raise McapDamage('a record is longer than its chunk')
            record = records[at:at + length]
            if opcode == MESSAGE:
                yield from self._parsed(record, name != '')
            elif opcode in (SCHEMA, CHANNEL):
                self._definition(opcode, record)
            at += length

    def _parsed(self, record: memoryview, packed: bool) -> Iterator[McapMessage]:
        if len(record) < MESSAGE_HEAD.size:
            raise McapDamage(f'a message has {len(record)} bytes')
        number, sequence, log_ns, publish_ns = MESSAGE_HEAD.unpack_from(record)
        if number not in self._channels:
            raise McapDamage(f'a message is of channel {number}, which is not defined before it')
        channel = self._channels[number]
        if channel is not None:
            yield McapMessage(
                channel, sequence, log_ns, publish_ns, bytes(record[MESSAGE_HEAD.size:]), packed, self._record_at,
                self._in_record)
            self._in_record += 1

    def _definition(self, opcode: int, content: bytes | memoryview) -> None:
        try:
            if opcode == SCHEMA:
                number, schema = read_schema(memoryview(content))
                self._schemas[number] = schema
                return
            number, of_schema, channel = read_channel(memoryview(content))
        except (struct.error, UnicodeDecodeError) as error:
            raise McapDamage(f'a definition cannot be read: {error}') from error
        channel = replace(channel, schema=self._schemas.get(of_schema, NO_SCHEMA))
        self._channels[number] = channel if self._wanted(channel.topic, channel.schema.name) else None

    def _read(self, length: int) -> bytes:
        if length > MOST_BYTES:
            raise McapDamage(f'a record has {length} bytes, more than {MOST_BYTES}')
        content = self._file.read(length)
        if len(content) != length:
            raise McapDamage('the file became shorter')
        return content


def _decompressed(name: str, content: bytes, size: int) -> bytes:
    if size > MOST_BYTES:
        raise McapDamage(f'a chunk has {size} bytes, more than {MOST_BYTES}')
    # One byte more than expected would be seen as a wrong length.
    if name == 'zstd':
        return zstd_decompressed(content, size + 1)
    if name == 'lz4':
        return lz4_decompressed(content, size + 1)
    raise McapDamage(f"a chunk is compressed with '{name}', which is not known")
