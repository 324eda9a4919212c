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
# Centre x, y, theta, size x, y.
_OF_A_BOX = np.arange(5)
# PoseWithCovariance: a position of three numbers, an orientation (x, y, z, w) without rotation, 36 numbers.
_POSE = struct.pack('<43d', *[0.0] * 6, 1.0, *[0.0] * 36)


@dataclass(frozen=True)
class _Record:
    """The bytes of one Detection2D with zeros for its numbers, up to the beginning of the next one, or up to its id.

    numbers: its size, and where the score and the five numbers of the box begin, in bytes from its beginning
    padding: bytes at the end that only the next detection needs
    """

    content: bytes
    numbers: tuple[int, int, int]
    padding: int


class DetectionsWriter:
    """Serializes detections as rclpy does, byte for byte; padding is zero. One thread at a time may use it."""

    def __init__(self, class_id: Callable[[int], str]) -> None:
        """Prepare. class_id: returns the class_id of the index of a class, always the same."""
        self._class_id = class_id
        self._frame_id = ''
        # By the index of the class, for a beginning at a multiple of 8 bytes.
        self._contents: dict[int, bytes] = {}
        self._numbers = np.zeros((0, 3), np.int64)
        self._padding = 0
        # The same without id, by whether the beginning is at an odd multiple of 4: an id may be of any length.
        self._unpadded: tuple[dict[int, _Record], dict[int, _Record]] = {}, {}

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
            self._contents = {}
            self._unpadded = {}, {}
        count = len(detections)
        first = _padded(struct.pack('<iI', sec, nanosec) + _text(frame_id), 4) + struct.pack('<I', count)
        if not count:
            return _ENCAPSULATION + first
        if detections.ids is not None:
            return self._with_ids(detections, detections.ids, sec, nanosec, first)
        classes = detections.class_indices
        indices = classes.tolist()
        for index in set(indices).difference(self._contents):
            self._add(index)
        records = [self._contents[index] for index in indices]
        numbers = self._numbers[classes]
        padding = self._padding
        if len(first) % 8:
            # A record ends at a multiple of 8 bytes, so only the first one may begin at an odd multiple of 4.
            odd = self._record(indices[0], 4)
            records[0], numbers[0] = odd.content, odd.numbers
        content = bytearray().join((_ENCAPSULATION, first, *records))
        begin = numbers[:, 0].cumsum() - numbers[:, 0] + len(first)
        _fill(content, begin, numbers[:, 1:], detections, sec, nanosec)
        return bytes(memoryview(content)[:len(content) - padding])

    def _with_ids(self, detections: Detections, ids: np.ndarray, sec: int, nanosec: int, first: bytes) -> bytes:
        """Return the message if objects have ids. first: the bytes before the first detection."""
        numbers, starts, parts, position, text = [], [], [_ENCAPSULATION, first], len(first), b''
        for index, number in zip(detections.class_indices.tolist(), ids.tolist()):
            odd = position % 8 // 4
            record = self._unpadded[odd].get(index)
            if record is None:
                record = self._unpadded[odd][index] = self._record(index, 4 * odd, with_id=False)
            text = _text(str(number) if number else '')
            starts.append(position)
            numbers.append(record.numbers[1:])
            parts += record.content, _padded(text, 4)
            position += len(record.content) + len(parts[-1])
        content = bytearray().join(parts)
        _fill(content, np.array(starts), np.array(numbers), detections, sec, nanosec)
        # The padding after an id is for the next detection.
        return bytes(memoryview(content)[:len(content) - len(parts[-1]) + len(text)])

    def _add(self, index: int) -> None:
        """Build and keep the record of a class for a beginning at a multiple of 8 bytes."""
        record = self._record(index, 0)
        if index >= len(self._numbers):
            self._numbers = np.concatenate([
                self._numbers, np.zeros((index + 1 - len(self._numbers), 3), np.int64)])
        self._numbers[index] = record.numbers
        self._padding = record.padding
        self._contents[index] = record.content

    def _record(self, index: int, start: int, with_id: bool = True) -> _Record:
        """Return the record of a detection of this class. start: its beginning modulo 8 bytes, 0 or 4.

        with_id: whether it has an empty id; if not, it ends before the id
        """
        # Its header: the stamp is filled in later.
        content = bytes(start) + bytes(8) + _text(self._frame_id)
        content = _padded(content, 4) + struct.pack('<I', 1) + _text(self._class_id(index))
        content = _padded(content, 8)
        score = len(content)
        content += bytes(8) + _POSE
        box = len(content)
        content += bytes(8 * len(_OF_A_BOX)) + (_text('') if with_id else b'')
        size = len(content)
        content = _padded(content, 8)
        return _Record(content[start:], (len(content) - start, score - start, box - start), len(content) - size)


def _fill(
    content: bytearray, begin: np.ndarray, numbers: np.ndarray, detections: Detections, sec: int, nanosec: int,
) -> None:
    """Write the numbers of all detections into the message.

    begin: (N,) int64, where each detection begins; numbers: (N, 2), where its score and its box begin in it. Positions
        count from the end of the encapsulation header.
    """
    size = len(content) - len(_ENCAPSULATION)
    words = np.frombuffer(content, '<u4', size // 4, len(_ENCAPSULATION))
    doubles = np.frombuffer(content, '<f8', size // 8, len(_ENCAPSULATION))
    stamp = begin // 4
    words[stamp] = sec & 0xFFFFFFFF
    words[stamp + 1] = nanosec
    places = (numbers + begin[:, None]) // 8
    doubles[places[:, 0]] = detections.scores
    doubles[places[:, 1:] + _OF_A_BOX] = _boxes(detections.boxes)


def _boxes(corners: np.ndarray) -> np.ndarray:
    """Return (N, 5) float64, centre x, y, theta 0, size x, y, of (N, 4) corners x_min, y_min, x_max, y_max."""
    corners = corners.astype(np.float64)
    first, last = corners[:, :2], corners[:, 2:]
    numbers = np.zeros((len(corners), len(_OF_A_BOX)))
    np.add(first, last, out=numbers[:, :2])
    numbers[:, :2] /= 2
    np.subtract(last, first, out=numbers[:, 3:])
    return numbers


def _text(text: str) -> bytes:
    """Return a CDR string: its length with the zero byte, then the bytes. It is preceded by a multiple of 4 bytes.

    As in rclpy, the text ends at its first zero.
    """
    octets = text.split('\0', 1)[0].encode() + b'\0'
    return struct.pack('<I', len(octets)) + octets


def _padded(content: bytes, size: int) -> bytes:
    return content + bytes(-len(content) % size)
