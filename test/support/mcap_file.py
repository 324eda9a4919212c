# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""MCAP files as other programs write them: with times of publishing, without an index, with compressed chunks."""

from __future__ import annotations

import struct
from binascii import crc32
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MAGIC = b'\x89MCAP0\r\n'
# (topic, type, log time, publish time, serialized message)
Recorded = tuple[str, str, int, int, bytes]


def text(value: str) -> bytes:
    """Return a string as MCAP has it."""
    return struct.pack('<I', len(value.encode())) + value.encode()


def record(opcode: int, content: bytes) -> bytes:
    """Return a record."""
    return struct.pack('<BQ', opcode, len(content)) + content


def image_bytes(fields: dict[str, Any], stamp_ns: int, kind: str = 'sensor_msgs/msg/Image') -> bytes:
    """Return a serialized image; kind may be sensor_msgs/msg/CompressedImage, and fields may have a frame_id."""
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    fields = {'frame_id': 'camera', **fields}
    header = store.types['std_msgs/msg/Header'](
        store.types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 10**9)), fields.pop('frame_id'))
    return bytes(store.serialize_cdr(store.types[kind](header=header, **fields), kind))


def write_mcap(
    path: Path, messages: Sequence[Recorded], compression: str | None = '', per_chunk: int = 2, crc: bool = True,
) -> None:
    """Write a file without an index.

    compression: of the chunks, '', 'zstd' or 'lz4'; None writes no chunks
    """
    topics = list(dict.fromkeys((topic, kind) for topic, kind, *_ in messages))
    definitions = b''
    for number, (topic, kind) in enumerate(topics, 1):
        definitions += record(3, struct.pack('<H', number) + text(kind) + text('ros2msg') + text(''))
        definitions += record(4, struct.pack('<HH', number, number) + text(topic) + text('cdr') + struct.pack('<I', 0))
    records = [
        record(5, struct.pack('<HIQQ', topics.index((topic, kind)) + 1, 0, log_ns, publish_ns) + data)
        for topic, kind, log_ns, publish_ns, data in messages]
    content = MAGIC + record(1, text('ros2') + text('test'))
    if compression is None:
        content += definitions + b''.join(records)
    else:
        for first in range(0, len(records), per_chunk):
            raw = (b'' if first else definitions) + b''.join(records[first:first + per_chunk])
            times = [message[2] for message in messages[first:first + per_chunk]]
            packed = _compressed(raw, compression)
            content += record(6, struct.pack(
                '<QQQI', min(times), max(times), len(raw), crc32(raw) if crc else 0) + text(compression)
                + struct.pack('<Q', len(packed)) + packed)
    content += record(15, struct.pack('<I', 0)) + record(2, struct.pack('<QQI', 0, 0, 0)) + MAGIC
    path.write_bytes(content)


def _compressed(raw: bytes, compression: str) -> bytes:
    if compression == 'zstd':
        from backports import zstd

        return bytes(zstd.compress(raw))
    if compression == 'lz4':
        import lz4.frame

        return bytes(lz4.frame.compress(raw))
    return raw
