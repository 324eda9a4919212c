# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Serialized image messages for fuzz_messages.py: right ones, wrong fields, mutated images, mutated bytes."""

from __future__ import annotations

import array
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from fuzz_images import mutated, seeds, with_another_size, with_right_checksums
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image
from support.harness_images import header

from trt_perception.image.encodings import ENCODINGS

# Every so many messages: one whose stamp is an hour old.
_STALE = 23
# The default of max_image_pixels.
_LARGEST = (8192, 8192)
_NUMBERS = (0, 1, 2, 3, 7, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_TEXTS = (
    '', ' ', '\n', '\x1b[31m', 'bgr9', 'BGR8', 'yuv420', 'jpeg', 'png', 'h264', '16UC1; compressedDepth png', 'x' * 300,
    'bgr8; jpeg compressed bgr8', '32FC1', '64FC4', '16SC3', 'nv24', 'bayer_rggb', 'ü' * 40, "'; \\")


def messages(kind: str, count: int, seed: int, largest: int = 0) -> Iterator[bytes]:
    """Yield serialized messages of 'raw' or 'compressed' images. The same seed gives the same ones, but for stamps.

    largest: each so many compressed images, one of the largest allowed size; 0: none
    """
    rng = np.random.default_rng(seed)
    make = _RawMessages(rng) if kind == 'raw' else _CompressedMessages(rng, largest)
    for number in range(1, count + 1):
        yield make.message(number)


def good_message(kind: str, head: Any) -> Any:
    """Return a right message with this header."""
    pixels = np.full((64, 64, 3), (20, 60, 220), np.uint8)
    if kind == 'compressed':
        return CompressedImage(
            header=head, format='jpeg', data=array.array('B', cv2.imencode('.jpg', pixels)[1].tobytes()))
    return Image(
        header=head, height=64, width=64, encoding='bgr8', step=192, data=array.array('B', pixels.tobytes()))


class _Messages:
    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def header(self, number: int) -> Any:
        age_s = 3600 if number % _STALE == 0 else 0
        return header(f'camera{number % 7}', time.time_ns() - age_s * 10**9)

    def chosen(self, values: Any) -> Any:
        return values[int(self.rng.integers(0, len(values)))]

    def number(self) -> int:
        """Return an odd value of a 32-bit field."""
        return int(self.chosen(_NUMBERS)) if self.rng.random() < 0.5 else int(2 ** self.rng.uniform(0, 31.9))

    def damaged(self, data: bytes) -> bytes:
        """Return changed bytes; sometimes with another encapsulation, or only the first of them."""
        what = self.rng.random()
        if what < 0.1:
            return bytes([0, int(self.rng.integers(0, 12)), 0, 0]) + data[4:]
        if what < 0.2:
            return data[:int(self.rng.integers(1, min(len(data), 120)))]
        # DDS needs the four bytes of the encapsulation.
        return data[:4] + mutated(data[4:], self.rng) if what < 0.8 else mutated(data, self.rng)


class _RawMessages(_Messages):
    """Every encoding, sizes to 200x200 and now and then 1280x720, with wrong fields in half of the messages."""

    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__(rng)
        self._encodings = sorted(ENCODINGS)
        self._noise = rng.integers(0, 256, 8_000_000, dtype=np.uint8).tobytes()

    def message(self, number: int) -> bytes:
        encoding = self._encodings[number % len(self._encodings)]
        layout = ENCODINGS[encoding]
        width, height = (1280, 720) if number % 200 == 0 else map(int, self.rng.integers(1, 201, 2))
        step = layout.row_bytes(width) + int(self.chosen((0, 0, 0, 1, 16)))
        message = Image(
            header=self.header(number), height=height, width=width, encoding=encoding,
            is_bigendian=int(self.rng.integers(0, 2)), step=step)
        size = step * layout.rows(height)
        if self.rng.random() < 0.5:
            for _ in range(int(self.rng.integers(1, 4))):
                field = self.chosen(('height', 'width', 'step', 'encoding', 'data', 'is_bigendian', 'frame_id'))
                if field == 'encoding':
                    message.encoding = self.chosen((*_TEXTS, *self._encodings))
                elif field == 'frame_id':
                    message.header.frame_id = self.chosen(_TEXTS)
                elif field == 'data':
                    size = int(self.chosen((0, 1, size - 1, size + 1, size // 2, 2 * size)))
                elif field == 'is_bigendian':
                    message.is_bigendian = int(self.rng.integers(0, 256))
                else:
                    setattr(message, field, self.number())
        start = int(self.rng.integers(0, 1000))
        message.data = array.array('B', self._noise[start:start + max(0, size)])
        data = serialize_message(message)
        return self.damaged(data) if self.rng.random() < 0.4 else data


class _CompressedMessages(_Messages):
    """The mutated images of fuzz_images.py, damaged messages, and images of the largest allowed size."""

    def __init__(self, rng: np.random.Generator, largest: int) -> None:
        super().__init__(rng)
        self._seeds = seeds()
        self._names = sorted(self._seeds)
        self._every = largest
        pixels = np.zeros((_LARGEST[1], _LARGEST[0], 3), np.uint8) if largest else np.zeros((1, 1, 3), np.uint8)
        self._largest = [cv2.imencode(suffix, pixels)[1].tobytes() for suffix in ('.png', '.jpg')]

    def message(self, number: int) -> bytes:
        largest = self._every and number % self._every == 0
        data = self._largest[number // self._every % 2] if largest else self._image(number)
        message = CompressedImage(
            header=self.header(number), format=self.chosen(_TEXTS), data=array.array('B', data))
        serialized = serialize_message(message)
        return self.damaged(serialized) if self.rng.random() < 0.2 and not largest else serialized

    def _image(self, number: int) -> bytes:
        name = self._names[number % len(self._names)]
        data, what = self._seeds[name], self.rng.random()
        if what < 0.15:
            return data
        data = with_another_size(data, self.rng) if what < 0.25 else mutated(data, self.rng)
        return with_right_checksums(data) if name.startswith('png') and self.rng.random() < 0.8 else data
