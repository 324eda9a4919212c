# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes a serialized vision_msgs/Detection2DArray without creating its messages. Does not import ROS.

Each detection has a covariance of 36 numbers. rclpy creates, checks and converts each of them in Python: 300 boxes took
milliseconds, longer than a network on a GPU (docs/benchmarks.md has both ways).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np

from .results import Detections

# DDS-XTypes 1.3, 7.6.3.1.2: the identifier of plain CDR, version 1, little endian, and two bytes of options.
_ENCAPSULATION = b'\x00\x01\x00\x00'
# Centre x, y, theta, size x, y.
_OF_A_BOX = np.arange(5)
# PoseWithCovariance: a position of three numbers, an orientation (x, y, z, w) without rotation, 36 numbers.
_POSE = struct.pack('<43d', *[0.0] * 6, 1.0, *[0.0] * 36)


class DetectionsWriter:
    """Serializes detections as rclpy does, byte for byte; padding is zero. One thread at a time may use it."""

    def __init__(self, class_id: Callable[[int], str]) -> None:
        """Prepare. class_id: returns the class_id of the index of a class, always the same."""
        self._class_id = class_id
        self._frame_id = ''
        # The bytes of one Detection2D up to its id, with zeros for its numbers. A key is twice the index of the class,
        # plus 1 if the bytes begin at an odd multiple of 4.
        self._records: dict[int, bytes] = {}
        # By the same keys: size, and where the score and the box begin, in bytes from the beginning.
        self._places = np.zeros((0, 3), np.int64)

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
            self._records = {}
        count = len(detections)
        first = _padded(struct.pack('<iI', sec, nanosec) + _text(frame_id), 4) + struct.pack('<I', count)
        if not count:
            return _ENCAPSULATION + first
        if detections.ids is None:
            ids, lengths = [_NO_ID] * count, np.full(count, len(_NO_ID))
        else:
            ids = [_id_text(number) if number else _NO_ID for number in detections.ids.tolist()]
            lengths = np.array(list(map(len, ids)))
        # A record ends at a multiple of 8 bytes, so its id decides where the next one begins.
        keys = 2 * detections.class_indices
        keys[0] += len(first) % 8 // 4
        keys[1:] += lengths[:-1] % 8 // 4
        wanted = keys.tolist()
        for key in set(wanted).difference(self._records):
            self._add(key)
        parts = [_ENCAPSULATION, first] * (count + 1)
        parts[2::2] = [self._records[key] for key in wanted]
        parts[3::2] = ids
        # The padding after an id is for the next detection.
        content = bytearray().join(parts)
        # Positions count from the end of the encapsulation header.
        size = len(content) - len(_ENCAPSULATION)
        words = np.frombuffer(content, '<u4', size // 4, len(_ENCAPSULATION))
        doubles = np.frombuffer(content, '<f8', size // 8, len(_ENCAPSULATION))
        places = self._places[keys]
        sizes = places[:, 0] + lengths
        begin = sizes.cumsum() - sizes + len(first)
        stamps = begin // 4
        words[stamps] = sec & 0xFFFFFFFF
        words[stamps + 1] = nanosec
        places += begin[:, None]
        places //= 8
        doubles[places[:, 1]] = detections.scores
        doubles[places[:, 2:] + _OF_A_BOX] = _boxes(detections.boxes)
        last = ids[-1]
        return bytes(memoryview(content)[:len(content) - len(last) + struct.calcsize('<I') + _length(last)])

    def _add(self, key: int) -> None:
        """Build and keep the record of a key."""
        start = key % 2 * 4
        # Its header: the stamp is filled in later.
        content = bytes(start) + bytes(8) + _text(self._frame_id)
        content = _padded(content, 4) + struct.pack('<I', 1) + _text(self._class_id(key // 2))
        content = _padded(content, 8)
        score = len(content)
        content += bytes(8) + _POSE
        box = len(content)
        content += bytes(8 * len(_OF_A_BOX))
        if key >= len(self._places):
            self._places = np.concatenate([self._places, np.zeros((key + 1 - len(self._places), 3), np.int64)])
        self._places[key] = len(content) - start, score - start, box - start
        self._records[key] = content[start:]


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


def _id_text(number: int) -> bytes:
    """Return an id as a CDR string, up to the beginning of the next detection."""
    return _padded(_text(str(number)), 4)


def _length(text: bytes) -> int:
    """Return the number of bytes of a CDR string, with its zero byte."""
    length: int = struct.unpack_from('<I', text)[0]
    return length


_NO_ID = _padded(_text(''), 4)
