# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads FlatBuffers without a schema compiler (https://flatbuffers.dev/internals/), with a check of each offset.

A table is at a position. Its fields are found by their index in the schema: field 0 is the first one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

_LONGEST_TEXT = 1 << 20


class DamagedError(ValueError):
    """An offset or a length is outside of the file."""


@dataclass(frozen=True)
class Table:
    """A table at byte `at` of `data`."""

    data: bytes
    at: int

    @staticmethod
    def root(data: bytes) -> Table:
        """Return the table that the file begins with."""
        return Table(data, _number(data, 0, 'I'))

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """Return a whole number; kind: its struct format, such as 'i' for int32."""
        at = self._place(field)
        return default if at is None else _number(self.data, at, kind)

    def text(self, field: int) -> str:
        """Return a string, '' if it is missing."""
        content = self.bytes_of(field, _LONGEST_TEXT)
        return content.decode('utf-8', 'replace')

    def table(self, field: int) -> Table | None:
        """Return a table, None if it is missing."""
        at = self._place(field)
        return None if at is None else Table(self.data, at + _number(self.data, at, 'I'))

    def tables(self, field: int) -> Iterator[Table]:
        """Yield the tables of a vector."""
        start, count = self._vector(field, 4)
        for place in range(start, start + 4 * count, 4):
            yield Table(self.data, place + _number(self.data, place, 'I'))

    def numbers(self, field: int, dtype: str) -> np.ndarray:
        """Return a vector of numbers; dtype: such as '<i4'."""
        size = np.dtype(dtype).itemsize
        start, count = self._vector(field, size)
        return np.frombuffer(self.data, dtype, count, start)

    def length(self, field: int) -> int:
        """Return the length of a vector of bytes."""
        return self._vector(field, 1)[1]

    def bytes_of(self, field: int, most: int) -> bytes:
        """Return a vector of bytes; DamagedError if it is longer than `most`."""
        start, count = self._vector(field, 1)
        if count > most:
            raise DamagedError(f'a text of {count} bytes')
        return self.data[start:start + count]

    def _place(self, field: int) -> int | None:
        """Return the byte of a field, None if the table does not have it."""
        layout = self.at - _number(self.data, self.at, 'i')
        entry = 4 + 2 * field
        if entry + 2 > _number(self.data, layout, 'H'):
            return None
        offset = _number(self.data, layout + entry, 'H')
        return self.at + offset if offset else None

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        """Return the first byte and the number of elements of `size` bytes; 0, 0 for a missing vector."""
        at = self._place(field)
        if at is None:
            return 0, 0
        at += _number(self.data, at, 'I')
        count = _number(self.data, at, 'I')
        if at + 4 + size * count > len(self.data):
            raise DamagedError(f'{count} elements at byte {at} of {len(self.data)}')
        return at + 4, count


def _number(data: bytes, at: int, kind: str) -> int:
    try:
        if at < 0:
            raise struct.error
        return int(struct.unpack_from(f'<{kind}', data, at)[0])
    except struct.error:
        raise DamagedError(f'byte {at} of {len(data)}') from None
