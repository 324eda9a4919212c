# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""/diagnostics: contents, rate, and the text if no images come."""

import hashlib
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from support import harness_images as images
from support.harness_driver import wait_until

STAGES = (
    'receive_age', 'convert', 'preprocess', 'infer', 'postprocess', 'publish', 'total', 'stamp_to_publish')


def red_image(node):
    return images.image(
        images.picture(320, 240, {'red': (64, 48, 256, 192)}), images.header('', node.driver.now_ns()))


def stamped(node, since):
    """Return (stamp in seconds, status) of each diagnosis of the node from message number `since` on."""
    return [
        (message.header.stamp.sec + message.header.stamp.nanosec / 1e9, message.status[0])
        for message in node.driver.diagnostics.messages[since:]
        if message.status[0].name == f'{node.name}: perception']


def test_contents_while_active(node, models):
    node.bring_to('active')
    camera = node.camera()
    # A camera of 20 Hz.
    start, clock = time.monotonic(), threading.Event()
    first = node.driver.now_ns()
    for number in range(30):
        clock.wait(max(0.0, start + number / 20 - time.monotonic()))
        message = red_image(node)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(first + number * 50_000_000, 10**9)
        node.answer_to(camera, message)
    status, values = node.diagnosis(lambda _, v: v['processed'] == '30', '30 processed')
    assert status.level == DiagnosticStatus.OK, status.message
    assert re.fullmatch(r'processing \d+\.\d images/s', status.message)
    assert status.hardware_id == 'CPU'
    model = Path(models())
    expected = {
        'state': 'active', 'task': 'detection', 'model': str(model), 'backend': 'onnxruntime',
        'model_sha256': hashlib.sha256(model.read_bytes()).hexdigest(), 'input_shape': '1x3x640x640',
        'head': 'yolov5', 'classes': '3', 'precision': 'fp32', 'precision_effective': 'fp32',
        'image_topic': node.topic('image'), 'received': '30', 'processed': '30', 'replaced': '0', 'stale': '0',
        'bad': '0', 'failed': '0'}
    assert {key: values[key] for key in expected} == expected
    assert '/driver' in values['image_publishers']
    for stage in STAGES:
        p50, p95, p99 = (float(values[f'{stage}_ms_p{p}']) for p in (50, 95, 99))
        assert 0 < p50 <= p95 <= p99, stage
    parts = sum(float(values[f'{stage}_ms_p50']) for stage in ('preprocess', 'infer', 'postprocess'))
    assert parts * 0.5 < float(values['total_ms_p99'])
    assert float(values['rate_in_hz']) > 0 and float(values['rate_out_hz']) > 0


@pytest.mark.parametrize('state', ['unconfigured', 'inactive'])
def test_states_that_do_nothing_are_a_warning(node, state):
    node.bring_to(state)
    status, _ = node.diagnosis(lambda _, v: v['state'] == state, state)
    assert status.level == DiagnosticStatus.WARN
    assert status.message.startswith(f'{state}: no images are processed')


def test_one_message_a_second(start_node, models):
    node = start_node(model_file=models(), diagnostics_period=None)
    node.bring_to('inactive')
    since = node.driver.diagnostics.count()
    for _ in range(5):
        node.diagnosis()
    times = [stamp for stamp, _ in stamped(node, since)][:5]
    # On a busy machine, one or two of the four may be off.
    assert 0.5 < np.median(np.diff(times)) < 2.0


def test_silence_names_the_topic_and_its_publishers(node):
    node.bring_to('active')
    since = node.driver.diagnostics.count()
    status, _ = node.diagnosis(lambda s, _: 'no images for' in s.message, 'no images')
    assert status.level == DiagnosticStatus.WARN
    assert f'no node publishes {node.topic("image")}' in status.message
    seconds = int(re.search(r'no images for (\d+) s', status.message).group(1))
    # First reported at five seconds, rounded here; the message before did not report it.
    told = [(stamp, s.message) for stamp, s in stamped(node, since)]
    number = next(i for i, (_, text) in enumerate(told) if 'no images for' in text)
    assert number > 0
    assert 5 <= seconds <= 5 + 1 + (told[number][0] - told[number - 1][0])
    # A camera that sends nothing.
    camera = node.camera()
    status, _ = node.diagnosis(lambda s, _: 'published by' in s.message, 'a silent camera')
    assert status.level == DiagnosticStatus.WARN
    assert f'on {node.topic("image")}, published by /driver' in status.message
    assert 'config/fastdds_large_images.xml' in status.message
    # After one image the status is OK.
    node.answer_to(camera, red_image(node))
    status, _ = node.diagnosis(lambda s, _: s.level == DiagnosticStatus.OK, 'OK')


def test_remapped_topic_is_named(start_node, models):
    node = start_node('-r', 'image:=/front/camera/image_raw', model_file=models())
    node.bring_to('active')
    node.process.wait_for_line('waiting for images on /front/camera/image_raw')
    _, values = node.diagnosis(lambda _, v: v['state'] == 'active', 'active')
    assert values['image_topic'] == '/front/camera/image_raw'


def test_incompatible_reliability_is_an_error_naming_both(node):
    mark = node.process.mark()
    node.bring_to('active', image_reliability='reliable')
    camera = node.camera(reliability=ReliabilityPolicy.BEST_EFFORT, connected=False)
    # DDS discovers a publisher and its node separately, so the name may come later.
    status, _ = node.diagnosis(
        lambda s, _: '/driver offers reliability best_effort' in s.message, 'the publisher by its name')
    assert status.level == DiagnosticStatus.ERROR
    assert 'requests reliable' in status.message
    assert node.topic('image') in status.message and 'image_reliability' in status.message
    assert camera.get_subscription_count() == 0
    # Also once in the log.
    node.process.wait_for_line(r'\[ERROR\].*/driver offers reliability best_effort', mark)
    for _ in range(5):
        node.diagnosis()
    assert len([line for line in node.process.lines_since(mark) if 'best_effort' in line]) == 1
    # The reason disappears with the camera.
    node.close_camera(camera)
    node.diagnosis(lambda s, _: s.level != DiagnosticStatus.ERROR, 'no ERROR any more')
    # A reliable camera matches.
    camera = node.camera()
    node.answer_to(camera, red_image(node))
    node.diagnosis(lambda s, _: s.level == DiagnosticStatus.OK, 'OK')


@pytest.mark.parametrize('offered', [ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT])
def test_best_effort_matches_every_camera(node, offered):
    node.bring_to('active')
    camera = node.camera(reliability=offered)
    node.answer_to(camera, red_image(node))
    node.diagnosis(lambda s, _: s.level == DiagnosticStatus.OK, 'OK')


def test_wrong_type_on_the_topic_is_an_error_naming_both(node):
    node.bring_to('active')
    node.camera(CompressedImage, connected=False)
    status, _ = node.diagnosis(
        lambda s, _: f'/driver publishes {node.topic("image")} as sensor_msgs/msg/CompressedImage' in s.message,
        'the publisher by its name')
    assert status.level == DiagnosticStatus.ERROR
    assert 'sensor_msgs/msg/Image' in status.message and 'image_transport' in status.message


def test_gaps_are_diagnosed_with_the_hint(node):
    """Only every fourth frame of a 30 Hz camera arrives, as if large images were lost between processes."""
    node.bring_to('active')
    camera = node.camera()
    message = red_image(node)
    first = node.driver.now_ns()
    for number in range(40):
        # The stamps of a camera whose frames come in pairs, followed by six missing ones.
        index = number // 2 * 8 + number % 2
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(first + index * 33_333_333, 10**9)
        camera.publish(message)
        node.detections.wait(lambda m, s=message.header.stamp: m.header.stamp == s, max(0, node.detections.count() - 3))
    status, values = node.diagnosis(lambda s, _: 'do not arrive' in s.message, 'missing frames')
    assert status.level == DiagnosticStatus.WARN
    assert float(values['missing_fraction']) == pytest.approx(0.75, abs=0.05)
    assert 'fastdds_large_images.xml' in status.message


def test_foreign_clock_is_diagnosed(node):
    node.bring_to('active')
    camera = node.camera()
    message = red_image(node)
    message.header.stamp.sec -= 3600
    node.answer_to(camera, message)
    status, _ = node.diagnosis(lambda s, _: 'from the clock' in s.message, 'clock')
    assert status.level == DiagnosticStatus.WARN and '3600 s' in status.message
    assert 'use_sim_time' in status.message


def test_diagnostics_survive_every_transition(node):
    """The period of the parameter is used before, during and after configure."""
    node.bring_to('active')
    node.change_state('deactivate')
    node.change_state('cleanup')
    _, values = node.diagnosis(lambda _, v: v['state'] == 'unconfigured', 'unconfigured')
    assert 'model_sha256' not in values and 'image_topic' not in values
    wait_until(lambda: node.state() == 'unconfigured', 'unconfigured')
