# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Processors that other programs use, a process that is stopped, consumers that are slow, stopped or killed."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticStatus
from support import harness_images as images
from support.consumer_process import ConsumerProcess
from support.frame_sum import counts_at_rest, frame_sum, stamp_ns
from support.harness_driver import wait_until

STOPPED_S = 10


@pytest.fixture
def busy_processes():
    """Return a function that starts two processes for each processor that never rest."""
    started = []

    def start():
        started.extend(
            subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(2 * (os.cpu_count() or 1)))

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_other_programs_use_all_processors(node, models, camera_process, busy_processes):
    """The images that are processed stay new, and the diagnostics name the reason why others are not."""
    # An inference takes several periods of the camera, also if that gets less of the busy machine than the node.
    node.bring_to('active', model_file=models(busy=60))
    results, since = node.detections, node.detections.count()
    camera = camera_process(node.topic('image'), rate=30)
    results.wait(since=since)
    busy_processes()
    first = results.count()
    status, values = node.diagnosis(lambda s, _: s.message.startswith('the machine is busy: '), 'the reason')
    results.wait(since=first + 8)
    camera.stop()
    assert status.level == DiagnosticStatus.WARN
    assert float(values['processor_wait']) >= 0.4
    found = frame_sum(camera.sent(), counts_at_rest(node), results.messages[since:])
    # When the node published them. This process gets several at once if it had no processor.
    times = np.array(results.published[first:first + 8]) / 1e9
    ages = times - np.array([stamp_ns(message) / 1e9 for message in results.messages[first:first + 8]])
    print(status.message, found, f'ages {np.median(ages):.2f} s, a result each {np.median(np.diff(times)):.2f} s')
    # An image waits for the one before it and is then in work: about twice the time of one. In a queue it would become
    # older with each image that is not processed in time.
    assert np.median(ages) < 10 * np.median(np.diff(times))
    assert found['replaced'] > 0


def test_nothing_stale_is_published_after_a_stop(start_node, busy_model, camera_process):
    """SIGSTOP for ten seconds, in the middle of an inference, while a camera sends."""
    node = start_node()
    message = images.image(
        images.picture(64, 64, {'red': (8, 8, 40, 40)}), images.header('camera', node.driver.now_ns()))
    # Longer than the time between two images. An image may be older than max_age_ms by twice that, which leaves room
    # for a machine that becomes slower.
    node.bring_to('active', model_file=busy_model(node, message, 0.3), max_age_ms=3000)
    results = node.detections
    first = results.count()
    camera = camera_process(node.topic('image'), rate=15)
    results.wait(since=first + 2)
    # With more images than it can process, the node always has one in work. After half of its time it is in the
    # middle of the network.
    time.sleep((results.published[-1] - results.published[-2]) / 2e9)
    node.process.process.send_signal(signal.SIGSTOP)
    at = len(camera.sent())
    wait_until(
        lambda: len(sent := camera.sent()) > at + 1 and sent[-1] - sent[at] > STOPPED_S * 1e9, 'ten seconds of images')
    before, resumed = results.count(), time.time_ns()
    node.process.process.send_signal(signal.SIGCONT)
    results.wait(lambda m: stamp_ns(m) > resumed, before, what='a result of an image after the stop')
    camera.stop()
    counts = counts_at_rest(node)
    found = frame_sum(camera.sent(), counts, results.messages[first:])
    ages = [(resumed - stamp_ns(message)) / 1e9 for message in results.messages[before:]]
    print(found, f'oldest {max(ages):.1f} s when the node went on')
    # max_age_ms, and twice what an inference takes.
    assert max(ages) < STOPPED_S - 2
    assert found['stale'] >= 1
    assert 'FATAL' not in node.process.output


def test_consumers_that_are_slow_stopped_or_killed(node, models, camera_process, tmp_path):
    """The node and the other consumers go on as if they were not there."""
    # Before the node's publisher: no result is lost.
    results, since = node.detections, node.detections.count()
    node.bring_to('active', model_file=models(busy=8), publish_debug_image=True)
    namespace = node.process.namespace
    slow = ConsumerProcess(namespace, tmp_path / 'slow.txt', 0.5)
    other = ConsumerProcess(namespace, tmp_path / 'other.txt')
    try:
        graph = node.driver.node
        wait_until(lambda: graph.count_subscribers(node.topic('detections')) == 3, 'all consumers')
        camera = camera_process(node.topic('image'), rate=20, size='640x480')
        wait_until(lambda: len(other.received()) >= 3 and slow.received(), 'results for all')
        other.process.send_signal(signal.SIGSTOP)
        first = results.count()
        # More than any queue between them holds.
        results.wait(since=first + 25)
        _, values = node.diagnosis()
        print({name: values[name] for name in ('publish_ms_p50', 'publish_ms_p99', 'infer_ms_p50')})
        # A publisher that waits for a reader waits for a tenth of a second.
        assert float(values['publish_ms_p50']) < float(values['infer_ms_p50'])
        resumed = time.time_ns()
        other.process.send_signal(signal.SIGCONT)
        wait_until(lambda: other.received()[-1] > resumed, 'new results after the stop')
        for consumer in (slow, other):
            consumer.kill()
        first = results.count()
        results.wait(since=first + 10)
        camera.stop()
    finally:
        slow.kill()
        other.kill()
    found = frame_sum(camera.sent(), counts_at_rest(node), results.messages[since:])
    print(found, len(slow.received()), len(other.received()))
    for consumer in (slow, other):
        assert set(consumer.received()) <= set(camera.sent())
    assert found['failed'] == found['bad'] == found['stale'] == 0
    assert node.state() == 'active'
