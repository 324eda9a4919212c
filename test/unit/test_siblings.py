# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What is said if no node publishes the image topic, but something like it."""

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')

from trt_perception.image.transports import COMPRESSED_IMAGE, IMAGE
from trt_perception.node.image_topics.siblings import ChangeLog, Offer, Wanted, suggestion

RAW = Wanted('/camera/image_raw', 'raw')
JPEG = Wanted('/camera/image_raw/compressed', 'compressed')
INFO = 'sensor_msgs/msg/CameraInfo'
PACKET = 'ffmpeg_image_transport_msgs/msg/FFMPEGPacket'


@pytest.mark.parametrize('wanted, offers, said', [
    (RAW, [('/camera/image_raw/compressed', COMPRESSED_IMAGE)],
     '/camera/image_raw/compressed is there: image_transport:=compressed'),
    (JPEG, [('/camera/image_raw', IMAGE)], '/camera/image_raw is there: image_transport:=raw'),
    # The form that is easiest to use.
    (RAW, [('/camera/image_raw/theora', 'theora_image_transport/msg/Packet'), ('/camera/image_raw/ffmpeg', PACKET),
           ('/camera/image_raw/compressedDepth', COMPRESSED_IMAGE), ('/camera/image_raw/compressed', COMPRESSED_IMAGE)],
     '/camera/image_raw/compressed is there: image_transport:=compressed'),
    (JPEG, [('/camera/image_raw/compressedDepth', COMPRESSED_IMAGE), ('/camera/image_raw', IMAGE)],
     '/camera/image_raw is there: image_transport:=raw'),
    # Names that are not image_transport's.
    (Wanted('/jpegs/compressed', 'compressed'), [('/jpegs', COMPRESSED_IMAGE)],
     '/jpegs is there as sensor_msgs/msg/CompressedImage: remap image/compressed to it '
     '(--ros-args -r image/compressed:=/jpegs -p image_transport:=compressed)'),
    (Wanted('/a', 'raw'), [('/a/compressed', IMAGE)],
     '/a/compressed is there as sensor_msgs/msg/Image: remap image to it '
     '(--ros-args -r image:=/a/compressed -p image_transport:=raw)'),
    (Wanted('/camera/image_raw/ffmpeg', 'raw'), [('/camera/image_raw', IMAGE)],
     '/camera/image_raw is there: image_topic:=/camera/image_raw'),
    # A typo, and the same name in another namespace.
    (Wanted('/camera/image_rwa', 'raw'), [('/camera/image_raw', IMAGE), ('/camera/camera_info', INFO)],
     '/camera/image_raw is there: image_topic:=/camera/image_raw'),
    (Wanted('/camera/image_rwa', 'raw'), [('/camera/image_raw/compressed', COMPRESSED_IMAGE)],
     '/camera/image_raw/compressed is there: image_topic:=/camera/image_raw/compressed'),
    (Wanted('/image_raw', 'raw'), [('/camera/camera/color/image_raw', IMAGE), ('/lidar/scan_image', IMAGE)],
     '/camera/camera/color/image_raw is there: image_topic:=/camera/camera/color/image_raw'),
    (Wanted('/camera/image_raw', 'raw'),
     [('/camera/depth/image_raw', IMAGE), ('/camera/color/image_raw', IMAGE), ('/other/picture', IMAGE)],
     '/camera/color/image_raw is there: image_topic:=/camera/color/image_raw'),
    (Wanted('/camra/image_raw/compressed', 'compressed'), [('/camera/image_raw', IMAGE)],
     '/camera/image_raw is there: image_topic:=/camera/image_raw image_transport:=raw'),
    # The camera's name is right, but it publishes no image; its camera_info counts more than the image of another one.
    (RAW, [('/camera/camera_info', INFO, False, '/driver'), ('/lidar/reflectivity', IMAGE)],
     '/camera/camera_info is there, so the camera is, but no image is beside it: see the log of /driver and its topics '
     '(ros2 node info /driver)'),
    # The only image topic, whatever its name.
    (Wanted('/image', 'raw'), [('/oak/rgb/preview', IMAGE), ('/oak/rgb/preview/compressed', COMPRESSED_IMAGE)],
     '/oak/rgb/preview is there: image_topic:=/oak/rgb/preview'),
    (Wanted('/image', 'raw'), [('/left/a', IMAGE), ('/right/b', IMAGE), ('/x/camera_info', INFO)],
     'these image topics are there: /left/a, /right/b: set image_topic to one of them'),
])
def test_the_nearest_topic_is_named(wanted, offers, said):
    assert suggestion(wanted, [Offer(*offer) for offer in offers]) == said


@pytest.mark.parametrize('topic, kind, command', [
    ('/camera/image_raw/ffmpeg', PACKET, '-r in/ffmpeg:=/camera/image_raw/ffmpeg'),
    ('/camera/image_raw/theora', 'theora_image_transport/msg/Packet', '-r in/theora:=/camera/image_raw/theora'),
    ('/camera/image_raw/zstd', COMPRESSED_IMAGE, '-r in/zstd:=/camera/image_raw/zstd'),
    ('/camera/image_raw/compressedDepth', COMPRESSED_IMAGE, 'republish compressedDepth raw'),
    ('/video', 'foxglove_msgs/msg/CompressedVideo', '-r in/foxglove:=/video')])
def test_a_transport_that_cannot_be_read_comes_with_its_command(topic, kind, command, monkeypatch):
    monkeypatch.setenv('ROS_DISTRO', 'humble')
    text = suggestion(RAW, [Offer(topic, kind)])
    assert text.startswith(f'{topic} is there, but this node cannot read {kind}')
    assert 'ros2 run image_transport republish' in text and command in text


@pytest.mark.parametrize('topic, kind, said', [
    ('/front/image_raw/compressed', COMPRESSED_IMAGE,
     '/front/image_raw/compressed is there: name it in image_topics instead of /front/image_raw'),
    ('/front/image_rwa', IMAGE, '/front/image_rwa is there: name it in image_topics instead of /front/image_raw'),
    ('/front/image_raw/ffmpeg', PACKET, 'republish')])
def test_one_of_several_cameras(topic, kind, said):
    assert said in suggestion(Wanted('/front/image_raw', 'raw', several=True), [Offer(topic, kind)])


def test_other_topics_beside_several_cameras():
    offers = [Offer('/a/first', IMAGE), Offer('/b/second', IMAGE)]
    assert suggestion(Wanted('/front/image_raw', 'raw', several=True), offers) == (
        'these image topics are there: /a/first, /b/second: name one of them in image_topics instead of '
        '/front/image_raw')


def test_many_topics_are_cut(monkeypatch):
    text = suggestion(Wanted('/image', 'raw'), [Offer(f'/robot_{n}/front_{n}', IMAGE) for n in range(9)])
    assert '/robot_4/front_4 and 4 more: set image_topic' in text and 'robot_5' not in text


def test_nothing_at_all(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', '7')
    assert 'no other node publishes an image topic' in suggestion(RAW, [])
    assert 'ROS_DOMAIN_ID 7' in suggestion(RAW, [])
    monkeypatch.delenv('ROS_DOMAIN_ID')
    assert 'ROS_DOMAIN_ID 0' in suggestion(RAW, [Offer('/other/camera_info', INFO)])


@pytest.mark.parametrize('reliable, best_effort, said', [
    (True, True, True), (True, False, False), (False, True, False)])
def test_a_topic_that_would_not_match_either(reliable, best_effort, said):
    for wanted, offer in (
            (Wanted('/image_raw', 'raw', reliable), Offer('/camera/image_raw', IMAGE, best_effort)),
            (Wanted('/image_raw', 'raw', reliable), Offer('/image_raw/compressed', COMPRESSED_IMAGE, best_effort))):
        assert ('image_reliability best_effort' in suggestion(wanted, [offer])) == said


def test_the_log_has_each_change_once():
    lines = []
    log = ChangeLog(lines.append)
    for text in ('', 'a', 'a', '', 'a', 'b', 'b', 'a'):
        log.update(text)
    assert lines == ['a', 'b', 'a']
