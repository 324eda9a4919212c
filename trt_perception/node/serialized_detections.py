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
# A cache of this many texts is thrown away: class_id may be any text.
_MOST_RECORDS = 10_000


@dataclass(frozen=True)
class _Record:
    """The bytes of one Detection2D with zeros for its numbers, up to the beginning of the next one.

    score, box: where the score and the five numbers of the box begin, in bytes from the beginning
    padding: bytes at the end that only the next detection needs
    """

    content: bytes
    score: int
    box: int
    padding: int


class DetectionsWriter:
    """Serializes detections as rclpy does, byte for byte; padding is zero. One thread at a time may use it."""

    def __init__(self) -> None:
        self._frame_id = ''
        # By class_id, and the position of the beginning modulo 8.
        self._records: dict[tuple[str, int], _Record] = {}

    def write(
        self, detections: Detections, sec: int, nanosec: int, frame_id: str, class_id: Callable[[int], str],
    ) -> bytes:
        """Return the serialized message with its encapsulation header.

        The message and each detection have the header sec, nanosec, frame_id. A detection has one hypothesis, with the
        pose 0, and a bounding box in float pixels of the image. `id` is empty.

        class_id: returns the class_id of the index of a class
        Raises UnicodeEncodeError for text that is not UTF-8.
        """
        if frame_id != self._frame_id or len(self._records) > _MOST_RECORDS:
            self._frame_id = frame_id
            self._records = {}
        count = len(detections)
        first = _padded(struct.pack('<iI', sec, nanosec) + _text(frame_id), 4) + struct.pack('<I', count)
        if not count:
            return _ENCAPSULATION + first
        records, known, position = [], self._records, len(first)
        starts = []
        for index in detections.class_indices.tolist():
            name = class_id(index)
            record = known.get((name, position % 8)) or self._record(name, position % 8)
            starts.append(position)
            records.append(record)
            position += len(record.content)
        content = bytearray().join((_ENCAPSULATION, first, *[record.content for record in records]))
        # Positions count from the end of the encapsulation header.
        words = np.frombuffer(content, '<u4', position // 4, len(_ENCAPSULATION))
        doubles = np.frombuffer(content, '<f8', position // 8, len(_ENCAPSULATION))
        begin = np.array(starts)
        words[begin // 4] = sec & 0xFFFFFFFF
        words[begin // 4 + 1] = nanosec
        doubles[(begin + [record.score for record in records]) // 8] = detections.scores
        box = (begin + [record.box for record in records]) // 8
        doubles[box[:, None] + np.arange(_NUMBERS_OF_A_BOX)] = _boxes(detections.boxes)
        return bytes(memoryview(content)[:len(content) - records[-1].padding])

    def _record(self, class_id: str, start: int) -> _Record:
        """Build and keep the record of a detection that begins at a position of `start` modulo 8."""
        # Its header: the stamp is filled in later.
        content = bytes(start) + bytes(8) + _text(self._frame_id)
        content = _padded(content, 4) + struct.pack('<I', 1) + _text(class_id)
        content = _padded(content, 8)
        score = len(content)
        content += bytes(8) + _POSE
        box = len(content)
        content += bytes(8 * _NUMBERS_OF_A_BOX) + _text('')
        size = len(content)
        content = _padded(content, 4)
        record = _Record(content[start:], score - start, box - start, len(content) - size)
        self._records[class_id, start] = record
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
