# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames that are bad, late, or too many: each is counted once, and the newest one wins."""

import array
import threading
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.serialization import serialize_message
from support import harness_images as images
from support.harness_driver import boxes_of

BOXES = {'red': (64, 48, 256, 192)}


def red_image(node, frame_id='', stamp_ns=None):
    stamp_ns = node.driver.now_ns() if stamp_ns is None else stamp_ns
    return images.image(images.picture(320, 240, BOXES), images.header(frame_id, stamp_ns))


def broken(message, **fields):
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def with_data_length(message, length):
    """Return the message as a broken sender would serialize it."""
    data, size = serialize_message(message), len(message.data)
    before = data.rindex(size.to_bytes(4, 'little') + bytes(message.data[:8]))
    return data[:before] + length.to_bytes(4, 'little') + data[before + 4:]


MALFORMED = {
    'data one byte short': (
        lambda m: broken(m, data=m.data[:-1]), 'data has 230399 bytes, but step 960 x 240 rows = 230400'),
    'no data': (lambda m: broken(m, data=array.array('B')), 'data has 0 bytes'),
    'step too small': (lambda m: broken(m, step=959), 'step is 959 bytes, but a row of 320 pixels takes 960'),
    'step 0': (lambda m: broken(m, step=0), 'step is 0 bytes'),
    '0x0': (lambda m: broken(m, width=0, height=0, step=0, data=array.array('B')), '0x0 pixels'),
    'width 0': (lambda m: broken(m, width=0), '0x240 pixels'),
    'height 0': (lambda m: broken(m, height=0), '320x0 pixels'),
    'more than max_image_pixels': (
        lambda m: broken(m, width=4_000_000_000, height=4_000_000_000, step=4_294_967_295),
        'the limit is 67108864 (max_image_pixels)'),
    'unknown encoding': (lambda m: broken(m, encoding='bgr9'), "'bgr9' is not supported; supported: 16UC1"),
    'encoding of several lines': (
        lambda m: broken(m, encoding='bgr\n8' + 'x' * 20_000), "encoding 'bgr\\n8xxx"),
    'no encoding': (lambda m: broken(m, encoding=''), "'' is not supported"),
    'data that ends before its length': (
        lambda m: with_data_length(m, 2**32 - 1), 'cannot be deserialized: it is cut off: expected 4294967'),
    'a message of 5 bytes': (lambda m: serialize_message(m)[:5], 'cannot be deserialized: it is cut off: '),
    'wrong encoding': (lambda m: broken(m, encoding='bgra8'), 'step is 960 bytes, but a row of 320 pixels'),
}


def test_malformed_images_are_counted_and_the_node_goes_on(node):
    node.bring_to('active')
    camera = node.camera()
    results = node.detections.count()
    for kind, (damage, said) in MALFORMED.items():
        status, values = node.outcome_of(camera, damage(red_image(node)), 'bad')
        # Without any good image, it becomes an error after a while.
        assert status.level in (DiagnosticStatus.WARN, DiagnosticStatus.ERROR)
        assert status.message.startswith('bad images: ') and said in status.message, (kind, status.message)
        # For any content of the message: one line of limited length.
        assert '\n' not in status.message and len(status.message) < 1100
        assert values['received'] == values['bad']
    assert node.detections.count() == results
    assert set(boxes_of(node.answer_to(camera, red_image(node)))) == {'red'}
    assert node.state() == 'active'


def test_bad_images_are_logged_once_in_five_seconds(node):
    node.bring_to('active')
    camera = node.camera()
    mark, started = node.process.mark(), time.monotonic()
    for _ in range(12):
        node.outcome_of(camera, broken(red_image(node), step=1), 'bad')
    seconds = time.monotonic() - started
    lines = [line for line in node.process.lines_since(mark) if 'bad image dropped' in line]
    # The node throttles the log: an earlier test may have logged the same line just before.
    assert len(lines) <= 1 + seconds / 5
    assert all('step is 1 bytes' in line and '[WARN]' in line for line in lines)


@pytest.mark.parametrize('sec', [0, -1, -2**31, 2**31 - 1])
def test_odd_stamps_are_passed_on(node, sec):
    node.bring_to('active')
    camera = node.camera()
    message = red_image(node)
    message.header.stamp.sec = sec
    message.header.stamp.nanosec = 999_999_999
    result = node.answer_to(camera, message)
    assert result.header == message.header


def test_newest_frame_wins_under_a_fast_camera(node, models):
    # About 100 ms an inference on an idle machine, ten times the camera's period of 10 ms.
    node.bring_to('active', model_file=models(busy=20))
    camera = node.camera()
    results = node.detections
    node.answer_to(camera, red_image(node))
    since = results.count()
    sent = {}
    first = node.driver.now_ns()
    message = red_image(node)
    period = threading.Event()
    for number in range(200):
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(first + number, 10**9)
        sent[number] = time.monotonic()
        camera.publish(message)
        period.wait(0.01)
    # The last one must not be lost.
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(first + 200, 10**9)
    sent[200] = time.monotonic()
    node.result_of(camera, message)
    counts = node.counts(
        lambda c: c['received'] == c['processed'] + c['replaced'], 'received = processed + replaced')
    numbers = [stamp(m) - first for m in results.messages[since:]]
    times = results.times[since:]
    print(f'{counts}; processed {numbers}')
    assert numbers == sorted(set(numbers))
    assert counts['processed'] == len(numbers) + 1
    assert counts['replaced'] > 0
    assert counts['stale'] == counts['bad'] == counts['failed'] == 0
    assert counts['received'] <= 202
    # Each inference uses the newest frame at the end of the previous one. A queue would give consecutive frames.
    assert np.median(np.diff(numbers)) > 2
    ages = [before - sent[number] for number, before in zip(numbers[1:], times)]
    print(f'frames were {np.median(ages) * 1e3:.0f} ms old when their turn came, '
          f'{np.median(np.diff(times)) * 1e3:.0f} ms each')


def stamp(message):
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


def test_old_frames_are_dropped_and_counted(node):
    node.bring_to('active', max_age_ms=20000)
    camera = node.camera()
    old = node.driver.now_ns() - 60 * 10**9
    since = node.detections.count()
    for number in range(1, 4):
        _, values = node.outcome_of(camera, red_image(node, 'old', old + number), 'stale')
    assert values['processed'] == '0' and values['received'] == values['stale']
    status, _ = node.diagnosis_with_images(
        camera, red_image(node, 'old', old), lambda s, _: 'max_age_ms' in s.message, 'stale', new_stamps=False)
    assert status.level in (DiagnosticStatus.WARN, DiagnosticStatus.ERROR)
    # A new frame is processed.
    assert node.answer_to(camera, red_image(node)).header.frame_id.startswith('camera')
    assert [m for m in node.detections.messages[since:] if m.header.frame_id == 'old'] == []
    # With 0 all frames are processed again at once.
    assert node.set_parameters(max_age_ms=0)[0]
    node.answer_to(camera, red_image(node, stamp_ns=old))


def test_every_frame_is_counted_once(node, models):
    """Good, bad, stale and failing frames together, faster than they are processed."""
    node.bring_to('active', model_file=models(fragile=True), max_age_ms=20000)
    camera = node.camera()
    kinds = [
        lambda: red_image(node),
        lambda: broken(red_image(node), step=1),
        lambda: red_image(node, stamp_ns=node.driver.now_ns() - 60 * 10**9),
        lambda: images.image(np.full((320, 320, 3), 255, np.uint8), images.header('', node.driver.now_ns())),
        lambda: red_image(node)]
    for number in range(100):
        camera.publish(kinds[number % len(kinds)]())
    # An image sent right after the burst may be lost with it: the shared memory holds two such images.
    at_rest(node)
    # One of each at the end, one by one, so that each kind occurs at least once.
    for kind, count in zip(kinds, ('processed', 'bad', 'stale', 'failed', 'processed')):
        node.outcome_of(camera, kind(), count)
    counts = node.counts(settled, 'received = the sum of the others')
    print(counts)
    assert counts['received'] <= 105
    assert all(counts[name] > 0 for name in ('processed', 'bad', 'stale', 'failed'))


def at_rest(node):
    """Wait until frames were received, and until no more come from one diagnosis to the next."""
    before = None

    def unchanged(counts):
        nonlocal before
        before, same = counts, counts == before
        return same and counts['received'] > 0 and settled(counts)

    node.counts(unchanged, 'nothing more is received')


def settled(counts):
    return counts['received'] == sum(value for name, value in counts.items() if name != 'received')


def test_deactivate_drops_what_waits(node, models):
    node.bring_to('active', model_file=models(busy=20))
    camera = node.camera()
    message = red_image(node)
    node.answer_to(camera, message)
    for _ in range(5):
        camera.publish(message)
    assert node.change_state('deactivate')
    # A report from before may still be on its way.
    node.diagnosis(lambda _, values: values['state'] == 'inactive', 'inactive')
    counts = node.counts(settled, 'all counted')
    since = node.detections.count()
    # An inactive node publishes nothing.
    for _ in range(5):
        camera.publish(message)
    later = node.counts(settled, 'all counted')
    assert later == counts
    assert node.detections.count() == since
    assert node.change_state('activate')
    node.counts(lambda c: c['received'] <= 5, 'counts from zero')


def test_frames_of_several_sizes_alternate(node):
    node.bring_to('active')
    camera = node.camera()
    for width, height in ((640, 480), (480, 640), (321, 241), (640, 480), (2000, 100), (640, 480)):
        box = (width // 4, height // 4, width // 2, height // 2)
        message = images.image(images.picture(width, height, {'green': box}), images.header('', 7))
        found = boxes_of(node.answer_to(camera, message))
        assert found['green'][0] == pytest.approx(box, abs=max(width, height) / 640 + 0.51)


def test_two_cameras_on_one_topic(node):
    """Frames of both are processed: the node does not depend on one publisher."""
    node.bring_to('active')
    first = node.camera()
    second = node.camera()
    node.answer_to(first, red_image(node))
    node.answer_to(second, red_image(node))
