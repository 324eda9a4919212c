# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Camera processes that are killed and come back in another form, and one that floods the node."""

import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticStatus
from support.camera_process import red_box
from support.frame_sum import counts_at_rest, frame_sum, stamp_ns
from support.harness_driver import Collector, boxes_of, wait_until
from vision_msgs.msg import Detection2DArray

# Size, encoding and QoS. The node's subscription is best effort and volatile, so it matches all of them.
FORMS = (
    {'size': '640x480', 'encoding': 'bgr8', 'reliability': 'reliable'},
    {'size': '320x240', 'encoding': 'rgb8', 'reliability': 'best_effort', 'depth': 1},
    {'size': '500x300', 'encoding': 'yuv422_yuy2', 'durability': 'transient_local', 'depth': 1},
    {'size': '300x500', 'encoding': 'bgra8', 'reliability': 'best_effort', 'depth': 10})


def test_a_camera_that_is_killed_comes_back_in_another_form(node, camera_process):
    """The counts and the results of all its forms together are those of one camera."""
    # Before the node's publisher: no result is lost.
    results = node.detections
    node.bring_to('active')
    first = results.count()
    for form in FORMS:
        begun, seen = time.time_ns(), results.count()
        camera = camera_process(node.topic('image'), rate=30, **form)
        width, height = map(int, form['size'].split('x'))
        for _ in range(5):
            # Not the last results of the camera before.
            found = results.wait(
                lambda m, begun=begun: stamp_ns(m) >= begun, seen,
                what=f'a result of {form}; the node said:\n{node.process.tail()}')
            seen = results.messages.index(found, seen) + 1
            assert boxes_of(found)['red'][0] == pytest.approx(
                red_box(width, height), abs=max(width, height) / 320 + 0.51)
        # In the middle of whatever it does.
        camera.kill()
    counts = counts_at_rest(node)
    found = frame_sum(camera.sent(), counts, results.all_of(counts['processed'], first))
    print(found)
    assert found['bad'] == found['failed'] == found['stale'] == 0
    assert found['processed'] >= 5 * len(FORMS)
    assert node.state() == 'active'


def test_a_camera_with_200_images_a_second(node, models, camera_process):
    """The newest image wins, another camera has its turns, and the node answers."""
    # An inference takes many times as long as the period, also if the camera gets less of a busy machine than the node.
    node.bring_to('active', model_file=models(busy=40), image_topics=['fast/image', 'slow/image'])
    results = {
        name: Collector(node.driver, Detection2DArray, node.topic(f'{name}/detections')) for name in ('fast', 'slow')}
    cameras = {
        name: camera_process(node.topic(f'{name}/image'), rate=rate)
        for name, rate in (('fast', 200), ('slow', 5))}
    try:
        while len(cameras['fast'].sent()) < 600 or any(result.count() < 4 for result in results.values()):
            assert node.state() == 'active'
        for camera in cameras.values():
            camera.stop()
        for name, camera in cameras.items():
            namespace = node.topic(name)
            counts = counts_at_rest(node, namespace)
            found = frame_sum(camera.sent(), counts, results[name].messages)
            print(name, found)
            assert found['bad'] == found['failed'] == found['stale'] == 0
        assert found['processed'] >= 4
        numbers = {stamp: number for number, stamp in enumerate(cameras['fast'].sent())}
        steps = np.diff([numbers[stamp_ns(message)] for message in results['fast'].messages])
        # A queue would give images that follow each other.
        assert np.median(steps) > 1
    finally:
        for collector in results.values():
            collector.close()


def test_a_camera_whose_qos_does_not_match_does_not_disturb_another(node, camera_process):
    """image_reliability is reliable: of two cameras on one topic only the reliable one is received."""
    first = node.detections.count()
    node.bring_to('active', image_reliability='reliable')
    wrong = camera_process(node.topic('image'), reliability='best_effort')
    status, _ = node.diagnosis(lambda s, _: '/camera offers reliability best_effort' in s.message, 'the mismatch')
    assert status.level == DiagnosticStatus.ERROR
    right = camera_process(node.topic('image'), reliability='reliable')
    node.detections.wait(since=first + 4)
    # The camera that nobody receives waits for a subscriber, so all frames are the other's.
    right.stop()
    counts = counts_at_rest(node)
    found = frame_sum(right.sent(), counts, node.detections.all_of(counts['processed'], first))
    print(found)
    assert found['processed'] >= 5
    wait_until(lambda: wrong.process.poll() is None, 'the other one still waits')
