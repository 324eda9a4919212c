# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Image topics as they are on robots: other transports, sibling topics, wrong encodings, malformed messages."""

import array
import re
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from support import harness_images as images
from support.harness_driver import boxes_of

BOXES = {'red': (64, 48, 256, 192)}
PICTURE = images.picture(320, 240, BOXES)


def header(node):
    return images.header('', node.driver.now_ns())


def quiet(node, *parts):
    """The message of the first diagnosis after five seconds without images that has these parts.

    What else is published is discovered by then, except on a busy machine.
    """
    status, _ = node.diagnosis(
        lambda s, _: 'no images for' in s.message and all(part in s.message for part in parts), f'silence, {parts}')
    assert status.level == DiagnosticStatus.WARN
    return status.message


def test_a_sibling_topic_is_named_once_in_the_log(node):
    mark = node.process.mark()
    node.bring_to('active')
    topic = node.topic('image')
    node.camera(CompressedImage, 'image/compressed', connected=False)
    said = f'no node publishes {topic}; {topic}/compressed is there: image_transport:=compressed'
    quiet(node, said)
    for _ in range(5):
        assert said in quiet(node)
    node.process.wait_for_line(re.escape(said), mark)
    lines = [line for line in node.process.lines_since(mark) if said in line]
    assert len(lines) == 1 and lines[0].endswith(said) and '[WARN]' in lines[0]
    # The remedy works.
    node.bring_to('active', image_transport='compressed')
    camera = node.camera(CompressedImage, 'image/compressed')
    assert set(boxes_of(node.answer_to(camera, images.compressed(PICTURE, header(node), 'png')))) == {'red'}


def test_the_other_way_round_and_again_if_it_changes(node):
    mark = node.process.mark()
    node.bring_to('active', image_transport='compressed')
    topic = node.topic('image')
    info = node.camera(CameraInfo, 'camera_info', connected=False)
    quiet(node, f'no node publishes {topic}/compressed; {node.topic("camera_info")} is there', 'see the log of /driver')
    node.camera(Image, 'image', connected=False)
    quiet(node, f'{topic} is there: image_transport:=raw')
    node.close_camera(info)
    node.diagnosis()
    node.process.wait_for_line('no node publishes .* image_transport:=raw', mark)
    lines = [line for line in node.process.lines_since(mark) if 'no node publishes' in line]
    assert [line for line in lines if 'see the log of /driver' in line] == lines[-2:-1]
    assert [line for line in lines if f'{topic} is there: image_transport:=raw' in line] == lines[-1:]


def test_a_typo_names_the_near_topic(start_node, models):
    node = start_node('-r', 'image:=/front/camera/image_rwa', model_file=models())
    publisher = node.driver.node.create_publisher(Image, '/front/camera/image_raw', 1)
    try:
        node.bring_to('active')
        quiet(
            node, 'no node publishes /front/camera/image_rwa; /front/camera/image_raw is there: '
            'image_topic:=/front/camera/image_raw')
    finally:
        node.driver.node.destroy_publisher(publisher)


def test_the_compressed_topic_follows_the_remapped_image(start_node, models):
    node = start_node('-r', 'image:=/front/image_raw', model_file=models(), image_transport='compressed')
    node.bring_to('active')
    node.process.wait_for_line('waiting for images on /front/image_raw/compressed')
    # A remapping of its own wins, also to a name that is not image_transport's.
    other = start_node(
        '-r', 'image:=/front/image_raw', '-r', 'image/compressed:=/jpegs', model_file=models(),
        image_transport='compressed')
    other.bring_to('active')
    other.process.wait_for_line('waiting for images on /jpegs$')
    third = start_node('-r', 'image:=/front/a/compressed', model_file=models(), image_transport='compressed')
    third.bring_to('active')
    third.process.wait_for_line('waiting for images on /front/a/compressed$')


@pytest.mark.parametrize('kind, data, said', [
    ('h264', b'\0\0\0\1\x67\x42\0\x1f' + bytes(50), "'h264': H.264 video is not supported.* republish it as"),
    ('16UC1; compressedDepth png', bytes(12) + b'\x89PNG\r\n\x1a\n',
     'depth images are not supported; expected a colour or grey image: use the topic of the colour camera, or '
     'republish it as raw images: .*`ros2 run image_transport republish.*-r in/compressedDepth:=TOPIC/image/compressed '
     '-r out:=TOPIC/image_decoded`.* image_topic:=TOPIC/image_decoded')])
def test_images_of_other_codecs_are_bad_with_what_to_do(node, kind, data, said):
    node.bring_to('active', image_transport='compressed')
    camera = node.camera(CompressedImage, 'image/compressed')
    message = CompressedImage(header=header(node), format=kind, data=array.array('B', data))
    status, _ = node.outcome_of(camera, message, 'bad')
    assert re.search(said.replace('TOPIC', node.topic('')[:-1]), status.message), status.message


def yuyv_called_yuv422(node):
    """What some drivers send: the bytes of yuv422_yuy2, the name of yuv422."""
    message = images.image(PICTURE, header(node), 'yuv422_yuy2')
    message.encoding = 'yuv422'
    return message


def test_an_encoding_can_be_overridden_while_active(node):
    node.bring_to('active')
    camera = node.camera()
    assert 'red' not in boxes_of(node.answer_to(camera, yuyv_called_yuv422(node)))
    assert node.set_parameters(image_encoding='yuv422_yuy2')[0]
    found = boxes_of(node.answer_to(camera, yuyv_called_yuv422(node)))
    assert found['red'][0] == pytest.approx(BOXES['red'], abs=2)
    # Images that it does not fit are bad, with all numbers.
    status, _ = node.outcome_of(camera, images.image(PICTURE, header(node)), 'bad')
    assert "320x240 'bgr8' image with a step of 960 bytes and 230400 bytes of data" in status.message
    assert 'image_encoding yuv422_yuy2 does not fit, because it has 240 rows of 640 bytes' in status.message
    accepted, reason = node.set_parameters(image_encoding='yuv422_yuyv')
    assert not accepted and "expected one of '', 16UC1" in reason and "did you mean 'yuv422_yuy2'?" in reason
    assert node.set_parameters(image_encoding='')[0]
    assert set(boxes_of(node.answer_to(camera, images.image(PICTURE, header(node))))) == {'red'}


def test_the_encoding_of_compressed_images_too(node):
    """A driver that gave RGB to an encoder of BGR, and says nothing about it."""
    node.bring_to('active', image_transport='compressed', image_encoding='rgb8')
    camera = node.camera(CompressedImage, 'image/compressed')
    swapped = images.compressed(np.ascontiguousarray(PICTURE[..., ::-1]), header(node), 'png')
    swapped.format = 'png'
    assert set(boxes_of(node.answer_to(camera, swapped))) == {'red'}


def odd_strings(node):
    """A valid message whose frame_id is not UTF-8: rclpy replaces the bytes, so does the node."""
    message = images.image(PICTURE, header(node))
    message.header.frame_id = 'camXY'
    return serialize_message(message).replace(b'camXY', b'cam\xff\xfe')


def test_malformed_messages_do_not_flood_the_output(node):
    node.bring_to('active')
    camera = node.camera()
    whole = serialize_message(images.image(PICTURE, header(node)))
    kinds = [
        whole[:-1], whole[:40], whole[:5], whole[:12] + b'\xff' * 4 + whole[16:], b'\xff\xff' + whole[2:],
        # An encapsulation that the node leaves to rclpy, cut off: rclpy's libraries print a line for each.
        b'\x00\x03' + whole[2:-1], b'\x00\x09' + whole[2:-1]]
    mark, started = node.process.mark(), time.monotonic()
    for _ in range(15):
        for data in kinds:
            node.outcome_of(camera, data, 'bad')
    seconds = time.monotonic() - started
    lines = [line for line in node.process.lines_since(mark) if line.strip()]
    # One line of the node and at most one of a library in five seconds.
    assert len(lines) <= 2 * (1 + seconds / 5), lines
    since = node.detections.count()
    node.outcome_of(camera, odd_strings(node), 'processed')
    found = node.detections.wait(since=since)
    assert set(boxes_of(found)) == {'red'} and found.header.frame_id == 'cam\ufffd\ufffd'
    assert set(boxes_of(node.answer_to(camera, images.image(PICTURE, header(node))))) == {'red'}
