# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads a serialized sensor_msgs/Image or CompressedImage without copying its data.

rclpy is not used because it copies the data more than once, into memory that the system has to map page by page. An
image of 1920x1080 took 10.5 ms with rclpy and 0.13 ms here (docs/benchmarks.md).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# DDS-XTypes 1.3, 7.6.3.1.2: encapsulation identifiers of plain CDR, XCDR version 1 and 2, big and little endian. All
# middlewares of ROS 2 send version 1. The versions differ only for numbers of 8 bytes, which an image message lacks.
_BYTE_ORDERS = {b'\x00\x00': '>', b'\x00\x01': '<', b'\x00\x06': '>', b'\x00\x07': '<'}
_ENCAPSULATION = 4


class NotPlainCdr(ValueError):
    """The bytes are not in plain CDR. A middleware may still be able to read them."""


class CutOff(ValueError):
    """The bytes are plain CDR that ends too early: no middleware can read them."""


@dataclass(frozen=True)
class SerializedImage:
    """The fields of a sensor_msgs/Image, with the same names.

    header: the return value of `make_header` of `read_image`
    data: (N,) bytes, a read-only view into the serialized message
    """

    header: Any
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview


@dataclass(frozen=True)
class SerializedCompressedImage:
    """The fields of a sensor_msgs/CompressedImage, with the same names; see SerializedImage."""

    header: Any
    format: str
    data: memoryview


MakeHeader = Callable[[int, int, str], Any]


def read_image(data: bytes, make_header: MakeHeader) -> SerializedImage:
    """Return the fields of a serialized sensor_msgs/Image, the same as rclpy's.

    make_header: called with sec, nanosec and frame_id; returns a std_msgs/Header

    Raises NotPlainCdr for another format, CutOff for a message that is cut off.
    """
    reader = _Reader(data)
    header = make_header(reader.number('i'), reader.number(), reader.text())
    return SerializedImage(
        header=header, height=reader.number(), width=reader.number(), encoding=reader.text(),
        is_bigendian=reader.octets(1)[0], step=reader.number(), data=reader.octets(reader.number()))


def read_compressed_image(data: bytes, make_header: MakeHeader) -> SerializedCompressedImage:
    """Return the fields of a serialized sensor_msgs/CompressedImage; see read_image."""
    reader = _Reader(data)
    header = make_header(reader.number('i'), reader.number(), reader.text())
    return SerializedCompressedImage(
        header=header, format=reader.text(), data=reader.octets(reader.number()))


def stamp_of(data: bytes) -> int | None:
    """Return the stamp, in nanoseconds, of a serialized message that begins with a std_msgs/Header.

    Returns None if it is cut off before the stamp, or is not plain CDR.
    """
    try:
        reader = _Reader(data)
        return reader.number('i') * 1_000_000_000 + reader.number()
    except (NotPlainCdr, CutOff):
        return None


class _Reader:
    """Reads plain CDR: each number is at a multiple of its size, counted from the end of the encapsulation header."""

    def __init__(self, data: bytes) -> None:
        order = _BYTE_ORDERS.get(data[:2])
        if order is None:
            raise NotPlainCdr(f'it begins with {data[:_ENCAPSULATION].hex() or "nothing"}')
        self._order = order
        self._data = memoryview(data).toreadonly()[_ENCAPSULATION:]
        self._position = 0

    def number(self, kind: str = 'I') -> int:
        """Read a 32-bit number: 'i' signed, 'I' unsigned."""
        self._position = -(-self._position // 4) * 4
        value: int = struct.unpack(self._order + kind, self.octets(4))[0]
        return value

    def octets(self, count: int) -> memoryview:
        """Read `count` bytes."""
        start, self._position = self._position, self._position + count
        if self._position > len(self._data):
            raise CutOff(f'it is cut off: expected {self._position} bytes, found {len(self._data)}')
        return self._data[start:self._position]

    def text(self) -> str:
        """Read a string as rclpy does: it ends at the first zero byte, and bytes that are not UTF-8 are replaced."""
        octets = bytes(self.octets(self.number()))
        return octets.split(b'\0', 1)[0].decode(errors='replace')
