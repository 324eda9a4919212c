# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes a serialized vision_msgs/Detection2DArray without creating its messages. Does not import ROS.

Each detection has a covariance of 36 numbers. rclpy creates, checks and converts each of them in Python: 300 boxes took
milliseconds, longer than a network on a GPU (docs/benchmarks.md has both ways).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..results.results import Detections

# DDS-XTypes 1.3, 7.6.3.1.2: the identifier of plain CDR, version 1, little endian, and two bytes of options.
_ENCAPSULATION = b'\x00\x01\x00\x00'
_NUMBERS_OF_A_BOX = 5
# PoseWithCovariance: a position of three numbers, an orientation (x, y, z, w) without rotation, 36 numbers.
_POSE = struct.pack('<43d', *[0.0] * 6, 1.0, *[0.0] * 36)


@dataclass(frozen=True)
class _Record:
    """The bytes of one Detection2D with zeros for its numbers, up to its id.

    numbers: where the score and the five numbers of the box begin, in bytes from the beginning
    """

    content: bytes
    numbers: tuple[int, int]


class DetectionsWriter:
    """Serializes detections as rclpy does, byte for byte; padding is zero. One thread at a time may use it."""

    def __init__(self, class_id: Callable[[int], str]) -> None:
        """Prepare. class_id: returns the class_id of the index of a class, always the same."""
        self._class_id = class_id
        self._frame_id = ''
        # By the index of the class, and whether the beginning is at an odd multiple of 4 bytes.
        self._records: tuple[dict[int, _Record], dict[int, _Record]] = {}, {}

    def write(
        self, detections: Detections, sec: int, nanosec: int, frame_id: str,
    ) -> bytes:
        """Return the serialized message with its encapsulation header.

        The message and each detection have the header sec, nanosec, frame_id. A detection has one hypothesis, with the
        pose 0, and a bounding box in float pixels of the image. `id` is the number of the object, empty without one.

        Raises UnicodeEncodeError for text that is not UTF-8.
        """
        if frame_id != self._frame_id:
            self._frame_id = frame_id
            self._records = {}, {}
        count = len(detections)
        first = _padded(struct.pack('<iI', sec, nanosec) + _text(frame_id), 4) + struct.pack('<I', count)
        if not count:
            return _ENCAPSULATION + first
        records, starts, parts, position = [], [], [_ENCAPSULATION, first], len(first)
        ids = [0] * count if detections.ids is None else detections.ids.tolist()
        for index, number in zip(detections.class_indices.tolist(), ids):
            odd = position % 8 // 4
            record = self._records[odd].get(index) or self._record(index, odd)
            text = _id_text(number) if number else _NO_ID
            starts.append(position)
            records.append(record)
            parts += record.content, text
            position += len(record.content) + len(text)
        # The padding after an id is for the next detection.
        content = bytearray().join(parts)
        # Positions count from the end of the encapsulation header.
        words = np.frombuffer(content, '<u4', position // 4, len(_ENCAPSULATION))
        doubles = np.frombuffer(content, '<f8', position // 8, len(_ENCAPSULATION))
        begin = np.array(starts)
        words[begin // 4] = sec & 0xFFFFFFFF
        words[begin // 4 + 1] = nanosec
        numbers = (np.array([record.numbers for record in records]) + begin[:, None]) // 8
        doubles[numbers[:, 0]] = detections.scores
        doubles[numbers[:, 1:] + np.arange(_NUMBERS_OF_A_BOX)] = _boxes(detections.boxes)
        return bytes(memoryview(content)[:len(content) - len(text) + struct.calcsize('<I') + _length(text)])

    def _record(self, index: int, odd: int) -> _Record:
        """Build and keep the record of a detection of this class. odd: as the key of `_records`."""
        start = 4 * odd
        # Its header: the stamp is filled in later.
        content = bytes(start) + bytes(8) + _text(self._frame_id)
        content = _padded(content, 4) + struct.pack('<I', 1) + _text(self._class_id(index))
        content = _padded(content, 8)
        score = len(content)
        content += bytes(8) + _POSE
        box = len(content)
        content += bytes(8 * _NUMBERS_OF_A_BOX)
        record = _Record(content[start:], (score - start, box - start))
        self._records[odd][index] = record
        return record


def _boxes(corners: np.ndarray) -> np.ndarray:
    """Return (N, 5) float64, centre x, y, theta 0, size x, y, of (N, 4) corners x_min, y_min, x_max, y_max."""
    corners = corners.astype(np.float64)
    first, last = corners[:, :2], corners[:, 2:]
    return np.concatenate([(first + last) / 2, np.zeros((len(corners), 1)), last - first], axis=1)


def _text(text: str) -> bytes:
    """Return a CDR string: its length with the zero byte, then the bytes. It is preceded by a multiple of 4 bytes.

    As in rclpy, the text ends at its first zero.
    """
    octets = text.split('\0', 1)[0].encode() + b'\0'
    return struct.pack('<I', len(octets)) + octets


def _padded(content: bytes, size: int) -> bytes:
    return content + bytes(-len(content) % size)


def _id_text(number: int) -> bytes:
    """Return an id as a CDR string, up to the beginning of the next detection."""
    return _padded(_text(str(number)), 4)


def _length(text: bytes) -> int:
    """Return the number of bytes of a CDR string, with its zero byte."""
    length: int = struct.unpack_from('<I', text)[0]
    return length


_NO_ID = _padded(_text(''), 4)
