# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's own serializer writes, byte for byte, what rclpy writes, apart from the padding."""

import struct

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from trt_perception.node.outputs.messages import detections_message, writes_as_rclpy
from trt_perception.results.results import Detections
from trt_perception.results.serialized_detections import DetectionsWriter

# rclpy refuses text that is not UTF-8.
_TEXTS = st.text(st.characters(exclude_categories=['Cs']), max_size=12)
_PIXELS = st.floats(-1e6, 1e6, width=32)


@st.composite
def results(draw):
    count = draw(st.integers(0, 6))
    boxes = [draw(st.lists(_PIXELS, min_size=4, max_size=4)) for _ in range(count)]
    scores = draw(st.lists(st.floats(0, 1, width=32), min_size=count, max_size=count))
    classes = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    ids = draw(st.none() | st.lists(st.integers(0, 12) | st.integers(0, 2**63 - 1), min_size=count, max_size=count))
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4), np.array(scores, np.float32), np.array(classes, np.int64),
        None if ids is None else np.array(ids, np.int64))


def gaps_of(data):
    """The padding of a serialized Detection2DArray with one hypothesis for each detection, as positions."""
    gaps, position = [], 4

    def number(size, count=1):
        nonlocal position
        while (position - 4) % size:
            gaps.append(position)
            position += 1
        position += size * count

    def text():
        nonlocal position
        number(4)
        position += struct.unpack_from('<I', data, position - 4)[0]

    number(4, 2), text(), number(4)
    for _ in range(struct.unpack_from('<I', data, position - 4)[0]):
        number(4, 2), text(), number(4), text(), number(8, 1 + 7 + 36 + 5), text()
    assert position == len(data)
    return gaps


def without_gaps(data):
    """rclpy leaves what was in the memory in the padding. Ours is zero."""
    changed = bytearray(data)
    for position in gaps_of(data):
        changed[position] = 0
    return bytes(changed)


def both(writer, detections, sec, nanosec, frame_id, class_id):
    header = Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id)
    return (
        writer.write(detections, sec, nanosec, frame_id),
        without_gaps(serialize_message(detections_message(detections, header, class_id))))


@given(st.lists(st.tuples(
    results(), st.integers(-2**31, 2**31 - 1), st.integers(0, 2**32 - 1), _TEXTS), max_size=4),
    st.lists(_TEXTS, min_size=4, max_size=4))
def test_the_bytes_are_those_of_rclpy(frames, names):
    writer = DetectionsWriter(names.__getitem__)
    for detections, sec, nanosec, frame_id in frames:
        ours, theirs = both(writer, detections, sec, nanosec, frame_id, names.__getitem__)
        assert ours == theirs


def test_the_id_of_an_object_is_its_number():
    detections = Detections(
        np.tile(np.float32([0, 0, 10, 10]), (4, 1)), np.full(4, 0.5, np.float32), np.zeros(4, np.int64),
        np.array([7, 0, 123456, 12]))
    read = deserialize_message(DetectionsWriter(str).write(detections, 1, 2, 'camera'), Detection2DArray)
    assert [detection.id for detection in read.detections] == ['7', '', '123456', '12']


def many_lengths(index):
    return 'class' * (index % 7)


@pytest.mark.parametrize('count', [1, 50, 300])
def test_many_boxes(count):
    rng = np.random.default_rng(count)
    corners = rng.random((count, 2, 2), np.float32) * 1000
    detections = Detections(
        np.sort(corners, axis=1).reshape(count, 4), rng.random(count, np.float32), rng.integers(0, 80, count))
    ours, theirs = both(
        DetectionsWriter(many_lengths), detections, 1_795_000_000, 999_999_999, 'camera_optical_frame', many_lengths)
    assert ours == theirs
    read = deserialize_message(ours, Detection2DArray)
    last = read.detections[-1]
    assert last.results[0].hypothesis.score == float(detections.scores[-1])
    assert last.bbox.size_x == float(detections.boxes[-1, 2]) - float(detections.boxes[-1, 0])
    assert last.results[0].pose.pose.orientation.w == 1.0
    assert (last.header.stamp.nanosec, last.header.frame_id) == (999_999_999, 'camera_optical_frame')


def test_the_node_uses_it_here():
    assert writes_as_rclpy()


def test_text_that_is_not_utf_8_is_refused():
    with pytest.raises(UnicodeEncodeError):
        DetectionsWriter(str).write(Detections.empty(), 0, 0, '\ud800')
