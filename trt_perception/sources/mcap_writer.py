# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes MCAP files (mcap.dev/spec) with chunks, an index, CRCs and both times of each message.

rosbags also writes MCAP, but sets the time of publishing to that of recording, and writes the texts of QoS anew.
"""

from __future__ import annotations

import contextlib
import struct
from array import array
from binascii import crc32
from collections.abc import Sequence
from pathlib import Path

from .decompression import zstd_compressed
from .mcap_definitions import (
    CHANNEL,
    CHUNK,
    CHUNK_INDEX,
    DATA_END,
    FOOTER,
    HEAD,
    HEADER,
    MESSAGE,
    MESSAGE_HEAD,
    MESSAGE_INDEX,
    METADATA,
    METADATA_INDEX,
    SCHEMA,
    STATISTICS,
    SUMMARY_OFFSET,
    McapChannel,
    McapSchema,
    channel_content,
    record,
    schema_content,
    text,
    text_map,
)
from .mcap_records import MAGIC

# As in rosbag2: a reader needs the memory of a chunk.
_CHUNK_BYTES = 768 * 1024


class McapWriter:
    """A new MCAP file. Memory: a chunk, and its index: about 150 bytes for each chunk."""

    def __init__(self, path: Path, library: str) -> None:
        """Create the file. library: the program that writes it. Raises OSError."""
        # Closed by finish or abort.
        self._file = path.open('xb')
        self._schemas: dict[McapSchema, int] = {}
        self._channels: dict[McapChannel, int] = {}
        self._counts: list[int] = []
        self._times: tuple[int, int] | None = None
        self._chunk_indexes: list[bytes] = []
        self._chunk_times: tuple[int, int] | None = None
        self._packed = False
        self._start_chunk()
        self._file.write(MAGIC + record(HEADER, text('ros2') + text(library)))

    def channel(self, channel: McapChannel) -> int:
        """Return the number of a channel, which is added if it is new."""
        number = self._channels.get(channel)
        if number is None:
            schema = channel.schema
            # 0: without a schema.
            of_schema = self._schemas.get(schema, 0)
            if schema.name and not of_schema:
                of_schema = self._schemas[schema] = len(self._schemas) + 1
                self._append(record(SCHEMA, schema_content(of_schema, schema)))
            number = self._channels[channel] = len(self._channels) + 1
            self._counts.append(0)
            self._append(record(CHANNEL, channel_content(number, of_schema, channel)))
        return number

    def write(
        self, channel: int, sequence: int, log_ns: int, publish_ns: int, data: bytes, packed: bool = False,
    ) -> None:
        """Append a message.

        packed: in a chunk that is compressed with zstandard
        Raises OSError.
        """
        if packed != self._packed and self._index:
            self._write_chunk()
        self._packed = packed
        self._index.setdefault(channel, array('Q')).extend((log_ns, self._bytes))
        self._append(HEAD.pack(MESSAGE, MESSAGE_HEAD.size + len(data)))
        self._append(MESSAGE_HEAD.pack(channel, sequence, log_ns, publish_ns))
        self._append(data)
        self._counts[channel - 1] += 1
        first, last = self._chunk_times or (log_ns, log_ns)
        self._chunk_times = min(first, log_ns), max(last, log_ns)
        if self._bytes >= _CHUNK_BYTES:
            self._write_chunk()

    def finish(self, metadata: dict[str, tuple[tuple[str, str], ...]]) -> None:
        """Write the index, and close the file. metadata: texts by the name of their record. Raises OSError."""
        if self._bytes:
            self._write_chunk()
        indexes = []
        for name, pairs in metadata.items():
            content = record(METADATA, text(name) + text_map(pairs))
            indexes.append(struct.pack('<QQ', self._file.tell(), len(content)) + text(name))
            self._file.write(content)
        self._file.write(record(DATA_END, struct.pack('<I', 0)))
        first, last = self._times or (0, 0)
        counts = b''.join(struct.pack('<HQ', number, count) for number, count in enumerate(self._counts, 1))
        statistics = struct.pack(
            '<QHIIIIQQI', sum(self._counts), len(self._schemas), len(self._channels), 0, len(indexes),
            len(self._chunk_indexes), first, last, len(counts)) + counts
        start = self._file.tell()
        offsets = []
        for opcode, contents in (
                (SCHEMA, [schema_content(number, schema) for schema, number in self._schemas.items()]),
                (CHANNEL, [channel_content(number, self._schemas.get(channel.schema, 0), channel)
                           for channel, number in self._channels.items()]),
                (STATISTICS, [statistics]), (CHUNK_INDEX, self._chunk_indexes), (METADATA_INDEX, indexes)):
            at = self._file.tell()
            for content in contents:
                self._file.write(record(opcode, content))
            if contents:
                offsets.append(struct.pack('<BQQ', opcode, at, self._file.tell() - at))
        offsets_start = self._file.tell()
        for content in offsets:
            self._file.write(record(SUMMARY_OFFSET, content))
        self._file.write(record(FOOTER, struct.pack('<QQI', start, offsets_start, 0)) + MAGIC)
        self._file.close()

    def abort(self) -> None:
        """Close the file without an end. Raises nothing."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _start_chunk(self) -> None:
        self._parts: list[bytes] = []
        self._bytes = self._crc = 0
        self._packed = False
        # Times and places of the messages of each channel, in turn.
        self._index: dict[int, array[int]] = {}
        self._chunk_times = None

    def _append(self, content: bytes) -> None:
        self._parts.append(content)
        self._bytes += len(content)
        self._crc = crc32(content, self._crc)

    def _write_chunk(self) -> None:
        first, last = self._chunk_times or (0, 0)
        if self._chunk_times:
            begin, end = self._times or (first, last)
            self._times = min(begin, first), max(end, last)
        compression = 'zstd' if self._packed else ''
        parts: Sequence[bytes] = [zstd_compressed(b''.join(self._parts))] if self._packed else self._parts
        size = sum(map(len, parts))
        head = struct.pack('<QQQI', first, last, self._bytes, self._crc) + text(compression) + struct.pack('<Q', size)
        start = self._file.tell()
        self._file.write(HEAD.pack(CHUNK, len(head) + size) + head)
        self._file.writelines(parts)
        end = self._file.tell()
        places = b''
        for channel, entries in self._index.items():
            places += struct.pack('<HQ', channel, self._file.tell())
            content = struct.pack(f'<HI{len(entries)}Q', channel, 8 * len(entries), *entries)
            self._file.write(record(MESSAGE_INDEX, content))
        self._chunk_indexes.append(
            struct.pack('<QQQQI', first, last, start, end - start, len(places)) + places
            + struct.pack('<Q', self._file.tell() - end) + text(compression) + struct.pack('<QQ', size, self._bytes))
        self._start_chunk()
