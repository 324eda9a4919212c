# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads an ONNX file without its weights, so hundreds of megabytes are not parsed.

onnx.load is not used, because it makes two copies of the weights and holds Python's lock while it parses: in that time
a node can neither answer a service nor end. This code skips the weights by the wire format of protobuf
(protobuf.dev/programming-guides/encoding) and the field numbers of onnx.proto3. onnx parses the rest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# Initializers of up to this many bytes keep their values: shape inference needs shapes, axes and scales.
_SMALL = 4096
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
# More than any network has; another kind of file may look like millions of fields.
_MOST_FIELDS = 200_000
# ModelProto.graph and GraphProto.initializer.
_GRAPH, _INITIALIZER = 7, 5
# TensorProto: float_data, int32_data, string_data, int64_data, raw_data, double_data, uint64_data.
_VALUES = frozenset({4, 5, 6, 7, 9, 10, 11})


@dataclass(frozen=True)
class _Field:
    """One field of a message: its number and wire type, and the file offsets of its start, its content and its end."""

    number: int
    kind: int
    start: int
    content: int
    end: int


def read_skeleton(path: Path) -> bytes:
    """Return the serialized ModelProto of a file without the values of its large initializers.

    Their names, types, dimensions and external data locations stay. Raises ValueError if the file is not a
    ModelProto, OSError if it cannot be read.
    """
    with path.open('rb') as file:
        return b''.join(_model(file, path.stat().st_size))


def _model(file: BinaryIO, size: int) -> Iterator[bytes]:
    for field in _fields(file, 0, size):
        if field.number == _GRAPH and field.kind == _LENGTH:
            yield _message(_GRAPH, b''.join(_graph(file, field)))
        else:
            yield _bytes_of(file, field)


def _graph(file: BinaryIO, graph: _Field) -> Iterator[bytes]:
    for field in _fields(file, graph.content, graph.end):
        if field.number == _INITIALIZER and field.end - field.content > _SMALL:
            yield _message(_INITIALIZER, b''.join(
                _bytes_of(file, part) for part in _fields(file, field.content, field.end)
                if part.number not in _VALUES))
        else:
            yield _bytes_of(file, field)


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[_Field]:
    at, count = start, 0
    while at < end:
        count += 1
        if count > _MOST_FIELDS:
            raise ValueError(f'more than {_MOST_FIELDS} fields in one message')
        file.seek(at)
        # A tag, then a length or a number: at most ten bytes each.
        head = file.read(20)
        tag, used = _varint(head, 0)
        number, kind = tag >> 3, tag & 7
        content = at + used
        if number == 0:
            raise ValueError(f'no field of a message begins at byte {at}')
        if kind == _VARINT:
            after = at + _varint(head, used)[1]
        elif kind == _LENGTH:
            length, used = _varint(head, used)
            content = at + used
            after = content + length
        elif kind in (_EIGHT_BYTES, _FOUR_BYTES):
            after = content + (8 if kind == _EIGHT_BYTES else 4)
        else:
            raise ValueError(f'no field of a message begins at byte {at}')
        if after > end:
            raise ValueError(f'the field at byte {at} ends {after - end} bytes after its message')
        yield _Field(number, kind, at, content, after)
        at = after


def _bytes_of(file: BinaryIO, field: _Field) -> bytes:
    file.seek(field.start)
    return file.read(field.end - field.start)


def _message(number: int, content: bytes) -> bytes:
    return _encoded(number << 3 | _LENGTH) + _encoded(len(content)) + content


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at` (seven bits per byte, lowest first) and the offset after it."""
    value = 0
    for index, byte in enumerate(data[at:at + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise ValueError('the file ends within a number')


def _encoded(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
