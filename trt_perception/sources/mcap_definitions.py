# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Schemas and channels of MCAP as records (mcap.dev/spec); mcap_records.py shows their layouts."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX = range(1, 9)
STATISTICS, METADATA, METADATA_INDEX, SUMMARY_OFFSET, DATA_END = range(11, 16)
HEAD = struct.Struct('<BQ')
MESSAGE_HEAD = struct.Struct('<HIQQ')


class McapDamage(Exception):
    """The rest of a file, or a part of it, cannot be read; the text says why, as the rest of a sentence."""


@dataclass(frozen=True)
class McapSchema:
    """The definition of a type.

    name: such as sensor_msgs/msg/Image; encoding: of the data, such as ros2msg; '' without data
    """

    name: str
    encoding: str
    data: bytes


@dataclass(frozen=True)
class McapChannel:
    """What the messages of a channel have in common.

    encoding: of the messages, such as cdr; metadata: pairs of texts, such as offered_qos_profiles of rosbag2
    """

    topic: str
    schema: McapSchema
    encoding: str
    metadata: tuple[tuple[str, str], ...] = ()


# Of a channel without one.
NO_SCHEMA = McapSchema('', '', b'')


def read_schema(content: memoryview) -> tuple[int, McapSchema]:
    """Return the number and the content of a schema record. Raises McapDamage, struct.error, UnicodeDecodeError."""
    number = int(struct.unpack_from('<H', content)[0])
    name, at = read_text(content, 2)
    encoding, at = read_text(content, at)
    end = at + 4 + int(struct.unpack_from('<I', content, at)[0])
    if end > len(content):
        raise McapDamage('a schema is longer than its record')
    return number, McapSchema(name, encoding, bytes(content[at + 4:end]))


def read_channel(content: memoryview) -> tuple[int, int, McapChannel]:
    """Return the number, the number of the schema, and the content of a channel record, with NO_SCHEMA.

    Raises as read_schema.
    """
    number, schema = (int(value) for value in struct.unpack_from('<HH', content))
    topic, at = read_text(content, 4)
    encoding, at = read_text(content, at)
    end = at + 4 + int(struct.unpack_from('<I', content, at)[0])
    at += 4
    metadata = []
    while at < end:
        key, at = read_text(content, at)
        value, at = read_text(content, at)
        metadata.append((key, value))
    return number, schema, McapChannel(topic, NO_SCHEMA, encoding, tuple(metadata))


def read_text(content: memoryview, at: int) -> tuple[str, int]:
    """Return a string and the place after it. Raises as read_schema."""
    end = at + 4 + int(struct.unpack_from('<I', content, at)[0])
    if end > len(content):
        raise McapDamage('a text is longer than its record')
    return bytes(content[at + 4:end]).decode(), end


def schema_content(number: int, schema: McapSchema) -> bytes:
    """Return the content of a schema record."""
    return (struct.pack('<H', number) + text(schema.name) + text(schema.encoding)
            + struct.pack('<I', len(schema.data)) + schema.data)


def channel_content(number: int, schema: int, channel: McapChannel) -> bytes:
    """Return the content of a channel record. schema: the number of its schema, 0 without one."""
    return (struct.pack('<HH', number, schema) + text(channel.topic) + text(channel.encoding)
            + text_map(channel.metadata))


def text(value: str) -> bytes:
    """Return a string: its length, then UTF-8."""
    content = value.encode()
    return struct.pack('<I', len(content)) + content


def text_map(pairs: tuple[tuple[str, str], ...]) -> bytes:
    """Return a map of strings: its length in bytes, then keys and values."""
    content = b''.join(text(key) + text(value) for key, value in pairs)
    return struct.pack('<I', len(content)) + content


def record(opcode: int, content: bytes) -> bytes:
    """Return a record."""
    return HEAD.pack(opcode, len(content)) + content
