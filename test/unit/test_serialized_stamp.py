# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image

from trt_perception.node.image_topics.serialized_image import stamp_of


@pytest.mark.parametrize('kind', [Image, CompressedImage])
@pytest.mark.parametrize('sec, nanosec', [(0, 0), (1795364836, 999_999_999), (-5, 7), (2147483647, 1)])
def test_the_stamp_of_a_serialized_message(kind: type, sec: int, nanosec: int) -> None:
    message = kind()
    message.header.frame_id = 'camera'
    message.header.stamp.sec = sec
    message.header.stamp.nanosec = nanosec
    assert stamp_of(serialize_message(message)) == sec * 10**9 + nanosec


def test_big_endian() -> None:
    assert stamp_of(bytes([0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9])) == 2_000_000_003


@pytest.mark.parametrize('length', [0, 1, 4, 11])
def test_a_message_cut_off_before_its_stamp_has_none(length: int) -> None:
    assert stamp_of(bytes(length)) is None
    assert stamp_of(bytes([0, 1]) + bytes(10)) == 0
