# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""/diagnostics: contents, rate, and the text if no images come."""

import hashlib
import platform
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage
from support import harness_images as images
from support.frame_sum import settled
from support.harness_driver import wait_until
from support.harness_process import NodeProcess

STAGES = (
    'receive_age', 'convert', 'preprocess', 'infer', 'postprocess', 'publish', 'total', 'stamp_to_publish')


def red_image(node):
    return images.image(
        images.picture(320, 240, {'red': (64, 48, 256, 192)}), images.header('', node.driver.now_ns()))


def is_ok(node, camera):
    """An image is answered, and the status becomes OK."""
    node.answer_to(camera, red_image(node))
    node.diagnosis_with_images(camera, red_image(node), lambda s, _: s.level == DiagnosticStatus.OK, 'OK')


def stamped(node, since):
    """Return (stamp in seconds, status) of each diagnosis of the node from message number `since` on."""
    return [
        (message.header.stamp.sec + message.header.stamp.nanosec / 1e9, message.status[0])
        for message in node.driver.diagnostics.messages[since:]
        if message.status[0].name == f'{node.name[1:]}: perception']


def stamps_of_a_camera(node):
    """Yield the stamps of a camera of 20 Hz, each when its time has come. On a busy machine the camera makes pauses."""
    clock, stamp = threading.Event(), node.driver.now_ns()
    while True:
        late = node.driver.now_ns() - stamp
        clock.wait(max(0.0, -late / 1e9))
        # Stamps that are 10 s old are reported; in a pause of a second the node misses no images.
        stamp += late if late > 10**9 else 0
        yield stamp
        stamp += 50_000_000


def test_contents_while_active(node, models):
    node.bring_to('active')
    camera = node.camera()
    stamps = stamps_of_a_camera(node)
    status = None
    while status is None or 'no images for' in status.message:
        for _ in range(30):
            message = red_image(node)
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(next(stamps), 10**9)
            node.answer_to(camera, message)
        # If this takes five seconds, the camera is silent.
        status, values = node.diagnosis(
            lambda _, v: int(v['processed']) >= 30 and settled(v), '30 processed')
    assert status.level == DiagnosticStatus.OK, status.message
    assert re.fullmatch(r'processing \d+\.\d images/s', status.message)
    assert status.hardware_id == 'CPU'
    model = Path(models())
    expected = {
        'state': 'active', 'task': 'detection', 'model': str(model), 'backend': 'onnxruntime',
        'model_sha256': hashlib.sha256(model.read_bytes()).hexdigest(), 'input_shape': '1x3x640x640',
        'head': 'yolov5', 'classes': '3', 'precision': 'fp32', 'precision_effective': 'fp32',
        'image_topic': node.topic('image'), 'stale': '0', 'bad': '0', 'failed': '0'}
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
    # On a busy machine a message may be late, never early: only the one after a late one comes sooner.
    times = wait_until(lambda: two_in_time([stamp for stamp, _ in stamped(node, since)]), 'two messages in time')
    assert times[-1] - times[0] > len(times) - 2.1


def two_in_time(times):
    """Return the stamps if there are at least five, and two that follow each other within two periods."""
    return times if len(times) >= 5 and min(np.diff(times)) < 1.9 else []


def test_silence_names_the_topic_and_its_publishers(node):
    node.bring_to('inactive')
    since = node.driver.diagnostics.count()
    for _ in range(2):
        node.diagnosis(lambda _, values: values['state'] == 'inactive')
    assert node.change_state('activate')
    status, _ = node.diagnosis(lambda s, _: 'no images for' in s.message, 'no images')
    assert status.level == DiagnosticStatus.WARN
    assert f'no node publishes {node.topic("image")}' in status.message
    seconds = int(re.search(r'no images for (\d+) s', status.message).group(1))
    # First reported at five seconds, rounded here; the message before did not report it. That one was made after the
    # stamp of the message before it.
    told = [(stamp, s.message) for stamp, s in stamped(node, since)]
    number = next(i for i, (_, text) in enumerate(told) if 'no images for' in text)
    assert number >= 2
    assert 5 <= seconds <= 5 + 1 + (told[number][0] - told[number - 2][0])
    # A camera that sends nothing.
    camera = node.camera()
    status, _ = node.diagnosis(lambda s, _: 'published by' in s.message, 'a silent camera')
    assert status.level == DiagnosticStatus.WARN
    assert f'on {node.topic("image")}, published by /driver' in status.message
    assert 'config/fastdds_large_images.xml' in status.message
    # After one image the status is OK.
    is_ok(node, camera)


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
    assert len([line for line in node.process.lines_since(mark) if '/driver offers' in line]) == 1
    # The reason disappears with the camera.
    node.close_camera(camera)
    node.diagnosis(lambda s, _: s.level != DiagnosticStatus.ERROR, 'no ERROR any more')
    # A reliable camera matches.
    camera = node.camera()
    is_ok(node, camera)


@pytest.mark.parametrize('offered', [ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT])
def test_best_effort_matches_every_camera(node, offered):
    node.bring_to('active')
    camera = node.camera(reliability=offered)
    is_ok(node, camera)


def test_wrong_type_on_the_topic_is_an_error_naming_both(node):
    node.bring_to('active')
    node.camera(CompressedImage, connected=False)
    status, _ = node.diagnosis(
        lambda s, _: f'/driver publishes {node.topic("image")} as sensor_msgs/msg/CompressedImage' in s.message,
        'the publisher by its name')
    assert status.level == DiagnosticStatus.ERROR
    assert 'sensor_msgs/msg/Image' in status.message and 'image_transport' in status.message


def publish_numbers(node, numbers):
    """Publish images with the stamps of a 30 Hz camera, those with these numbers only. Each one is answered."""
    camera = node.camera()
    message = red_image(node)
    first = node.driver.now_ns()
    for number in numbers:
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(first + number * 33_333_333, 10**9)
        node.result_of(camera, message)


def test_gaps_are_diagnosed_with_the_hint(node):
    """Every fourth frame of a 30 Hz camera is missing."""
    node.bring_to('active')
    publish_numbers(node, [number for number in range(60) if number % 4 != 3])
    status, values = node.diagnosis(lambda s, _: 'do not arrive' in s.message, 'missing frames')
    assert status.level == DiagnosticStatus.WARN
    assert float(values['missing_fraction']) == pytest.approx(0.25, abs=0.03)
    # The tests run on Fast DDS.
    assert 'fastdds_large_images.xml' in status.message


def test_pairs_of_frames_are_no_gaps(node):
    """A camera whose frames come in pairs."""
    node.bring_to('active')
    publish_numbers(node, [number // 2 * 8 + number % 2 for number in range(40)])
    status, values = node.diagnosis(lambda _, v: v['processed'] == '40', 'all images')
    # On a busy machine the images may come much later than their stamps say, or the last one seconds ago.
    assert status.level == DiagnosticStatus.OK or status.message.startswith(
        ('no images for', 'image stamps are')), status.message
    assert float(values['missing_fraction']) == 0.0


@pytest.mark.parametrize('behind_s, said', [
    (3600, "image stamps are 3600 s behind this machine's clock: "), (-3600, 'image stamps are 3600 s ahead of '),
    (None, 'image stamps are 0: the driver sets none')])
def test_stamps_that_cannot_be_right(node, behind_s, said):
    node.bring_to('active')
    camera = node.camera()
    message = red_image(node)
    if behind_s is None:
        message.header.stamp.sec = message.header.stamp.nanosec = 0
    else:
        message.header.stamp.sec -= behind_s
    node.answer_to(camera, message)
    status, _ = node.diagnosis_with_images(
        camera, message, lambda s, _: s.message.startswith('image stamps are '), 'stamps', new_stamps=False)
    assert status.level == DiagnosticStatus.WARN and status.message.startswith(said)


def test_use_sim_time_without_and_with_a_clock(node):
    """The advice is never to set what is set."""
    def told(text):
        return node.diagnosis_with_images(camera, red_image(node), lambda s, _: text in s.message, text)[0]

    def ahead(status, _):
        # The node may not have found the publisher yet.
        clock.publish(Clock(clock=Time(sec=100)))
        return 'ahead of the time on /clock' in status.message

    def of_the_simulation(status, _):
        message.header.stamp = Time(sec=99, nanosec=int(1e9 * np.random.default_rng().random()))
        camera.publish(message)
        return status.level == DiagnosticStatus.OK

    node.bring_to('active', use_sim_time=True)
    try:
        camera = node.camera()
        message = red_image(node)
        assert told('use_sim_time is true, but no node publishes /clock').level == DiagnosticStatus.WARN
        clock = node.driver.node.create_publisher(Clock, '/clock', 1)
        told('use_sim_time is true, but no message was received on /clock yet')
        status, _ = node.diagnosis_with_images(camera, message, ahead, 'images that are ahead')
        assert status.level == DiagnosticStatus.WARN
        node.diagnosis(of_the_simulation, 'OK')
        node.driver.node.destroy_publisher(clock)
    finally:
        assert node.set_parameters(use_sim_time=False)[0]


def test_only_old_images_are_an_error(node):
    node.bring_to('active', max_age_ms=1000)
    camera = node.camera()
    message, started = red_image(node), time.monotonic()

    def old(status, values):
        message.header.stamp = Time(sec=node.driver.now_ns() // 10**9 - 5)
        camera.publish(message)
        return status.level == DiagnosticStatus.ERROR and int(values['stale']) >= 3

    status, values = node.diagnosis(old, 'ERROR')
    most = 6.1 + time.monotonic() - started
    found = re.fullmatch(
        r'no result for (\d+) s: all images are older than max_age_ms and dropped \(they are (\S+) s old on arrival\)',
        status.message)
    assert found, status.message
    assert int(found.group(1)) >= 5 and 4.5 < float(found.group(2)) < most
    assert values['processed'] == '0'
    # With a new image all is well, after the old ones have left the window.
    node.diagnosis_with_images(
        camera, message, lambda s, v: int(v['processed']) > 0 and s.level != DiagnosticStatus.ERROR, 'no ERROR')


def test_only_bad_images_are_an_error(node):
    node.bring_to('active')
    camera = node.camera()
    message = red_image(node)
    message.step = 1

    def bad(status, values):
        camera.publish(message)
        return status.level == DiagnosticStatus.ERROR and int(values['bad']) >= 3

    status, values = node.diagnosis(bad, 'ERROR')
    assert re.fullmatch(
        r'bad images: .* step is 1 bytes, .* \(no result for \d+ s, all images are bad\)', status.message)
    assert values['processed'] == '0'


def test_hardware_id_is_set_from_the_start(node):
    for state in ('unconfigured', 'inactive'):
        node.bring_to(state)
        status, _ = node.diagnosis(lambda _, v, state=state: v['state'] == state, state)
        assert status.hardware_id == ('CPU' if state == 'inactive' else platform.node())


def test_a_second_node_of_the_same_name_is_reported_by_both(start_node, tmp_path):
    first = start_node()
    second = NodeProcess(first.process.namespace, tmp_path / 'second')
    try:
        reason = f'another node is also named {first.name}: '
        first.process.wait_for_line(r'\[WARN\].*' + re.escape(reason))
        second.wait_for_line(r'\[WARN\].*' + re.escape(reason))
        status, _ = first.diagnosis(lambda s, _: reason in s.message, 'the other node')
        assert status.level == DiagnosticStatus.WARN
    finally:
        # When it has ended, the reason disappears.
        code, _ = second.stop()
    assert code == 0, second.tail()
    first.diagnosis(lambda s, _: 'also named' not in s.message, 'no other node')
    assert first.process.output.count(reason) == 1


def test_diagnostics_survive_every_transition(node):
    """The period of the parameter is used before, during and after configure."""
    node.bring_to('active')
    node.change_state('deactivate')
    node.change_state('cleanup')
    _, values = node.diagnosis(lambda _, v: v['state'] == 'unconfigured', 'unconfigured')
    assert 'model_sha256' not in values and 'image_topic' not in values
    wait_until(lambda: node.state() == 'unconfigured', 'unconfigured')
