# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Clocks that jump: a bag that is played in a loop, /clock forward and back."""

import itertools
import json
import signal
import subprocess
import sys
from collections import Counter

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')
pytest.importorskip('rosbags', reason='needs rosbags: make setup')

from rosgraph_msgs.msg import Clock
from support import harness_images as images
from support.bags import IMAGE, write_bag
from support.frame_sum import counts_at_rest, frame_sum, stamp_ns
from support.harness_driver import wait_until
from support.subprocesses import python_environment

S = 10**9
START_NS = 1_700_000_000 * S


def bag(folder, count=12):
    """Write a bag of a red rectangle at 10 Hz."""
    bgr = images.picture(160, 120, {'red': (40, 30, 90, 80)})
    fields = {
        'height': 120, 'width': 160, 'encoding': 'bgr8', 'is_bigendian': 0, 'step': 480, 'data': bgr.reshape(-1)}
    stamps = [START_NS + number * S // 10 for number in range(count)]
    write_bag(folder, {'/camera/image': [(IMAGE, stamp, stamp, fields) for stamp in stamps]})
    return stamps


def test_a_bag_in_a_loop(start_node, models, tmp_path):
    """Each time that it begins again, its images are new for the node, and its objects too."""
    node = start_node(model_file=models(), use_sim_time=True, max_age_ms=1500, tracking=True)
    node.bring_to('active')
    stamps = bag(tmp_path / 'bag')
    results, log = node.detections, tmp_path / 'sent.txt'
    player = subprocess.Popen(
        [sys.executable, '-m', 'trt_perception.cli.main', 'play', str(tmp_path / 'bag'), '--to', node.topic('image'),
         '--clock', '--loop', '--sent', str(log)],
        env=python_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        def ids():
            """The ids of each time that the bag is played. A busy machine may give no object of a round an id."""
            messages = list(results.messages)
            numbers = [stamp_ns(message) for message in messages]
            starts = [0, *(i for i in range(1, len(numbers)) if numbers[i] < numbers[i - 1]), len(numbers)]
            rounds = [messages[a:b] for a, b in itertools.pairwise(starts)]
            return list(filter(None, ({d.id for m in found for d in m.detections} - {''} for found in rounds)))

        wait_until(lambda: len(ids()) >= 3, node.process.tail)
    finally:
        player.send_signal(signal.SIGINT)
        player.wait()
    sent = [json.loads(line)['stamp_ns'] for line in log.read_text().splitlines()]
    assert set(sent) == set(stamps)
    print(frame_sum(sent, counts_at_rest(node), results.messages))
    # An id is never given twice.
    assert sum(map(len, ids())) == len(set().union(*ids())), ids()
    assert node.state() == 'active'


def test_the_clock_goes_forward_and_back(start_node, models):
    """Images with the time of the clock have results; those with another time are stale, or have them too."""
    node = start_node(model_file=models(), use_sim_time=True, max_age_ms=5000, max_rate_hz=1000.0)
    node.bring_to('active')
    results, camera = node.detections, node.camera()
    clock = node.driver.node.create_publisher(Clock, '/clock', 1)
    sent = []
    message = images.image(images.picture(160, 120, {'red': (40, 30, 90, 80)}), images.header('camera', 0))

    def publish(stamp):
        sent.append(stamp)
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, S)
        camera.publish(message)

    try:
        wait_until(lambda: clock.get_subscription_count(), 'the node listens to /clock')
        times = [START_NS, START_NS + 3600 * S, START_NS + S, START_NS - 7200 * S, START_NS]
        for number, now in enumerate(times):
            before = results.count()

            def answered(now=now, before=before, number=number):
                tick = Clock()
                tick.clock.sec, tick.clock.nanosec = divmod(now, S)
                clock.publish(tick)
                publish(now - len(sent))
                found = [stamp_ns(m) // S for m in results.messages[before:]]
                return any(abs(second - now // S) <= 1 for second in found)

            wait_until(answered, lambda n=number: f'a result at time {n}; the node said:\n{node.process.tail()}')
        # An hour old now.
        stale = counts_at_rest(node)['stale']
        # Again and again: a best-effort message may be lost.
        node.counts(lambda c: publish(START_NS - 3600 * S) or c['stale'] > stale, 'the old image')
    finally:
        node.driver.node.destroy_publisher(clock)
    found = frame_sum(sent, counts_at_rest(node), [])
    print(found)
    numbers = Counter(stamp_ns(m) for m in results.messages)
    assert set(numbers) <= set(sent) and max(numbers.values()) == 1
    assert len(numbers) <= found['processed']
    assert found['bad'] == found['failed'] == 0
