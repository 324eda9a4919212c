# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A bag with colour and depth, through both nodes: each object in space has the id and the class of its detection."""

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')
pytest.importorskip('rosbags', reason='needs rosbags: make setup')

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from support import harness_images as images
from support.bags import write_bag
from support.frame_sum import counts_at_rest
from support.harness_driver import NodeClient, wait_until
from support.harness_process import NodeProcess
from support.node_fixtures import end_process
from vision_msgs.msg import Detection3DArray

from trt_perception.node.depth.diagnostics import COUNTS

FRAMES, STEP_NS, WIDTH, HEIGHT = 15, 200_000_000, 320, 240
FX, CX = 250.0, 159.5


def boxes(number):
    """The rectangles of a frame, and their depths: red comes nearer, and blue stays at the side.

    Red moves so little that it is the same object, whatever images are lost in between.
    """
    left = 24 + 2 * number
    return {'red': (left, 24, left + 64, 104), 'blue': (216, 128, 296, 216)}, {
        'red': 4.0 - 0.2 * number, 'blue': 2.5}


def record(path, start_ns):
    colour, depth = [], []
    for number in range(FRAMES):
        rectangles, depths = boxes(number)
        bgr = images.picture(WIDTH, HEIGHT, rectangles)
        millimetres = np.full((HEIGHT, WIDTH), 8000, np.uint16)
        for color, (left, top, right, bottom) in rectangles.items():
            millimetres[top:bottom, left:right] = round(1000 * depths[color])
        # What a real camera does not see beside an object.
        millimetres[:, ::7] = 0
        stamp = start_ns + number * STEP_NS
        for messages, pixels, encoding in ((colour, bgr, 'bgr8'), (depth, millimetres, '16UC1')):
            messages.append(('sensor_msgs/msg/Image', stamp, stamp, {
                'height': HEIGHT, 'width': WIDTH, 'encoding': encoding, 'is_bigendian': 0, 'step': pixels.strides[0],
                'data': pixels.view(np.uint8).ravel()}))
    write_bag(path, {'/color': colour, '/depth_image': depth})


def stamp_of(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def play(bag, topic, to):
    # Slow: a busy machine, which processes an image a second, has results of several.
    return subprocess.Popen(
        [sys.executable, '-m', 'trt_perception.cli.main', 'play', str(bag), '--topic', topic, '--to', to,
         '--wait', '600', '--rate', '0.5'],
        env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def at_rest(other):
    """Wait until all detections have their outcome, and no more come; return the counts."""
    seen = []

    def settled(_, values):
        seen.append(values['received'])
        return seen[-20:] == 20 * [values['received']] and int(values['received']) == sum(
            int(values[name]) for name in ('processed', 'replaced', 'unmatched', 'bad')) > 0

    _, values = other.diagnosis(settled, 'the outcome of all detections')
    return {name: int(values[name]) for name in COUNTS}


def test_a_bag_through_both_nodes(node, driver, tmp_path):
    node.bring_to('active', tracking=True, image_reliability='reliable', image_depth=FRAMES)
    space = node.process.namespace
    process = NodeProcess(
        f'{space}_depth', tmp_path / 'depth', {
            'diagnostics_period': 0.1, 'autostart': True, 'reliability': 'reliable', 'max_stamp_difference': 0.0,
            'depth_queue': FRAMES},
        ('-r', f'detections:={space}/detections'), 'trt_perception.node.depth.main')
    other = NodeClient(driver, process, 'detections_3d_node', 'detections_3d')
    players = []
    try:
        other.wait_for_services()
        other.diagnosis(lambda _, v: v['state'] == 'active', 'active')
        results = other.collect('detections_3d', Detection3DArray)
        other.wait_for_outputs('detections_3d')
        wait_until(lambda: driver.node.count_publishers(f'{space}/detections') == 1, 'detections')
        camera = driver.node.create_publisher(
            CameraInfo, other.topic('camera_info'), QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE))
        other._publishers.append(camera)
        wait_until(lambda: camera.get_subscription_count() == 1, 'camera_info is subscribed')
        camera.publish(CameraInfo(
            width=WIDTH, height=HEIGHT, p=[FX, 0, CX, 0, 0, FX, 119.5, 0, 0, 0, 1, 0]))
        in_2d = node.detections
        since = in_2d.count()
        node.wait_for_outputs('detections')
        start_ns = driver.now_ns()
        record(tmp_path / 'bag', start_ns)
        # All depth images first: they are kept until their detections come.
        for topic, to in (('/depth_image', other.topic('depth')), ('/color', node.topic('image'))):
            players.append(play(tmp_path / 'bag', topic, to))
            out, _ = players[-1].communicate(timeout=600)
            assert players[-1].returncode == 0 and f'sent {FRAMES} images' in out, out
        # On a busy machine, a newer image replaces a waiting one, and so do newer detections. The player keeps a few
        # images only, as a camera does, so an image may be lost, and detections whose depth image is lost have none.
        counts = counts_at_rest(node)
        assert FRAMES >= counts['received'] == counts['processed'] + counts['replaced']
        values = at_rest(other)
        assert values['received'] <= counts['processed'] and values['bad'] == 0
        assert values['unmatched'] <= FRAMES - values['depth_images']
        wait_until(lambda: in_2d.count() - since == counts['processed'], 'all detections')
        wait_until(lambda: results.count() == values['processed'], 'all results')
        assert results.count() > 2, (counts, values)
    finally:
        for player in players:
            player.kill()
            player.wait()
        end_process(other)
    in_image = {stamp_of(message): message for message in in_2d.messages[since:]}
    ids = set()
    for message in results.messages:
        rectangles, depths = boxes((stamp_of(message) - start_ns) // STEP_NS)
        flat = in_image[stamp_of(message)]
        assert [d.id for d in message.detections] == [d.id for d in flat.detections]
        found = {d.results[0].hypothesis.class_id: d for d in message.detections}
        assert set(found) == {'red', 'blue'}
        ids.add(tuple(found[color].id for color in ('red', 'blue')))
        for color, (left, _, right, _) in rectangles.items():
            centre, size = found[color].bbox.center.position, found[color].bbox.size
            assert centre.z == pytest.approx(depths[color], abs=0.001)
            assert centre.x == pytest.approx(((left + right - 1) / 2 - CX) / FX * centre.z, abs=0.02)
            assert size.x == pytest.approx((right - left) / FX * centre.z, abs=0.05)
    # No id in the first image, the same ones in all others.
    assert len(ids) == 2 and ('', '') in ids
