# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a node for a long time: with images at 30 Hz, through lifecycle cycles, or while others join and leave.

    PYTHONPATH=.:test python test/reliability/soak.py --minutes 24
    PYTHONPATH=.:test python test/reliability/soak.py --cycles 200
    PYTHONPATH=.:test python test/reliability/soak.py --minutes 30 --joins --cameras 4 --tracking

With --joins, in each round a DDS participant with a publisher of each camera and a subscription to each result joins,
sends images and leaves; then the node is deactivated and activated.

Fails if memory, descriptors or threads grow after the first third, as least-squares lines through the samples show.
Also fails if a received frame has no outcome or two, or if the node prints an error. A frame may keep 1 KiB, a cycle or
a round 8 KiB, and 4 MiB are for pools that fill late. A kept image has 900 KiB, a kept publisher 45 to 100 KiB. The
last line is a summary as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

_RATE_HZ = 30.0
_SAMPLES, _FEWEST = 300, 40
_FRAME_KIB, _CYCLE_KIB = 1.0, 8.0
# Of 640x480 pixels: in the queue of the subscription, in the hand of its thread, waiting, and in work.
_IMAGES_MIB = 4 * 0.9
_CYCLE = ('configure', 'activate', 'deactivate', 'cleanup')


def publish(node: Any, camera: Any, done: threading.Event, sent: list[int] | None = None) -> None:
    """Publish an image of 640x480 pixels at 30 Hz until `done` is set. sent: gets the stamps."""
    from support import harness_images as images

    message = images.image(
        images.picture(640, 480, {'red': (9, 9, 99, 99)}), images.header('camera', node.driver.now_ns()))
    due = time.monotonic()
    while not done.wait(max(0.0, due - time.monotonic())):
        # After a pause of this process, the missed images are not sent at once.
        due = max(due + 1 / _RATE_HZ, time.monotonic())
        now_ns = node.driver.now_ns()
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(now_ns, 10**9)
        if sent is not None:
            sent.append(now_ns)
        camera.publish(message)


def stream(node: Any, seconds: float) -> dict[str, Any]:
    """Let the node process images for this time; return the summary."""
    from support.frame_sum import counts_at_rest, frame_sum, stamp_ns
    from support.growth import Growth
    from support.node_session import in_thread

    node.bring_to('active')
    camera = node.camera()
    growth = Growth(_FRAME_KIB, _IMAGES_MIB)
    results, started = node.detections, time.monotonic()
    sent: list[int] = []
    found: list[int] = []

    def keep_stamps() -> None:
        """The messages themselves are not needed."""
        count = results.count()
        found.extend(stamp_ns(message) for message in results.messages[len(found):count])
        results.messages[:count] = [None] * count

    with in_thread(lambda done: publish(node, camera, done, sent)):
        # On a busy machine, until there are enough samples.
        while time.monotonic() < started + seconds or len(growth.steps) < _FEWEST:
            time.sleep(max(0.05, seconds / _SAMPLES))
            growth.sample(results.count(), node.process)
            keep_stamps()
    counts = counts_at_rest(node)
    results.wait(since=counts['processed'] - 1)
    keep_stamps()
    node.close_camera(camera)
    return {'seconds': round(time.monotonic() - started), 'growth': growth.summary(), **frame_sum(sent, counts, found),
            'faults': growth.faults()}


def cycles(node: Any, count: int) -> dict[str, Any]:
    """Bring the node through its states this many times while images arrive; return the summary."""
    from support.growth import Growth
    from support.node_session import in_thread

    camera = node.camera(connected=False)
    growth, started = Growth(_CYCLE_KIB, _IMAGES_MIB), time.monotonic()
    with in_thread(lambda done: publish(node, camera, done)):
        for number in range(1, count + 1):
            for transition in _CYCLE:
                assert node.change_state(transition), node.process.tail()
                if transition == 'activate':
                    # One or two images are in work or waiting when the node is deactivated.
                    node.classifications.wait(since=node.classifications.count())
            growth.sample(number, node.process)
    node.close_camera(camera)
    return {
        'seconds': round(time.monotonic() - started), 'growth': growth.summary(),
        'results': node.classifications.count(), 'faults': growth.faults()}


class Visitor:
    """A DDS participant with a publisher and a subscription for each camera."""

    def __init__(self, node: Any, topics: list[str]) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from sensor_msgs.msg import Image
        from vision_msgs.msg import Detection2DArray

        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=node.driver.domain_id)
        self._node = rclpy.create_node('visitor', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self.publishers = [self._node.create_publisher(Image, node.topic(topic), 5) for topic in topics]
        self.results = [0] * len(topics)

        def count(camera: int) -> Any:
            def add(_: Any) -> None:
                self.results[camera] += 1
            return add

        for camera, topic in enumerate(topics):
            self._node.create_subscription(Detection2DArray, node.topic(results_of(topic)), count(camera), 10)

    def spin(self, seconds: float) -> None:
        """Receive for this time."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._executor.spin_once(timeout_sec=left)

    def leave(self) -> None:
        """Leave DDS."""
        self._executor.shutdown()
        self._node.destroy_node()
        self._context.try_shutdown()


def results_of(topic: str) -> str:
    """Return the topic of the results of a camera."""
    return f'{topic.rpartition("/")[0]}/detections'.lstrip('/')


def joins(node: Any, goal: Callable[[int], bool], cameras: int, tracking: bool) -> dict[str, Any]:
    """Let a participant join and leave in each round until the goal is reached; return the summary.

    goal: called with the number of rounds so far
    """
    from support import harness_images as images
    from support.frame_sum import counts_at_rest, frame_sum
    from support.growth import Growth
    from vision_msgs.msg import Detection2DArray

    topics = [f'camera_{number}/image' for number in range(cameras)] if cameras > 1 else ['image']
    node.bring_to('active', image_topics=topics, tracking=tracking)
    kept = [node.collect(results_of(topic), Detection2DArray) for topic in topics]
    message = images.image(images.picture(640, 480, {'red': (9, 9, 99, 99)}), images.header('camera', 0))
    growth, started, rounds = Growth(_CYCLE_KIB), time.monotonic(), 0
    total: Counter[str] = Counter()
    sent: list[list[int]] = [[] for _ in topics]
    since = [results.count() for results in kept]
    ids = 0

    def account() -> None:
        """Check the sum of each camera since the node was activated, and begin anew."""
        nonlocal ids
        counts_at_rest(node)
        for camera, topic in enumerate(topics):
            namespace = node.topic(topic).rpartition('/')[0] if cameras > 1 else ''
            counts = counts_at_rest(node, namespace, times=1)
            # A result that comes later would be one of a frame that the next round did not send.
            with contextlib.suppress(AssertionError):
                kept[camera].wait(since=since[camera] + counts['processed'] - 1, timeout=5.0)
            found = kept[camera].messages[since[camera]:]
            total.update(frame_sum(sent[camera], counts, found))
            ids += sum(bool(detection.id) for result in found for detection in result.detections)
            sent[camera].clear()
            since[camera] = kept[camera].count()
            # The messages themselves are not needed any more.
            kept[camera].messages[:] = [None] * since[camera]

    while not goal(rounds):
        rounds += 1
        visitor = Visitor(node, topics)
        while not all(publisher.get_subscription_count() for publisher in visitor.publishers):
            visitor.spin(0.01)
        # Until each camera has three results: the first images may come before the node has found their publisher.
        while min(visitor.results) < 3:
            for camera, publisher in enumerate(visitor.publishers):
                stamp = time.time_ns()
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
                sent[camera].append(stamp)
                publisher.publish(message)
            visitor.spin(1 / _RATE_HZ)
        account()
        visitor.leave()
        # The counts begin anew.
        assert node.change_state('deactivate') and node.change_state('activate'), node.process.tail()
        growth.sample(rounds, node.process)
    faults = growth.faults()
    if bool(ids) != tracking:
        faults.append(f'{ids} ids with tracking {tracking}')
    return {
        'seconds': round(time.monotonic() - started), 'rounds': rounds, 'cameras': cameras, 'growth': growth.summary(),
        **total, 'ids': ids, 'faults': faults}


def main() -> int:
    """Run and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument('--minutes', type=float)
    how.add_argument('--cycles', type=int)
    how.add_argument('--rounds', type=int, help='as --joins, for so many rounds')
    parser.add_argument('--joins', action='store_true')
    parser.add_argument('--cameras', type=int, default=1)
    parser.add_argument('--tracking', action='store_true')
    options = parser.parse_args()
    from support.harness_models import color_classifier, color_detector
    from support.node_session import node_session

    with node_session() as session, tempfile.TemporaryDirectory() as folder:
        # In the cycles a small model: the free blocks that a large one leaves would hide a leak.
        model = (color_classifier if options.cycles else color_detector)(Path(folder) / 'model.onnx')
        node = session.start(model_file=str(model))
        if options.rounds or options.joins:
            end = time.monotonic() + 60 * (options.minutes or 0)
            summary = joins(
                node, lambda done: done >= options.rounds if options.rounds else time.monotonic() > end,
                options.cameras, options.tracking)
        else:
            summary = stream(node, 60 * options.minutes) if options.minutes else cycles(node, options.cycles)
        bad = [line for line in node.process.output.splitlines() if '[ERROR]' in line or '[FATAL]' in line]
        if node.state() == 'active':
            node.bring_to('unconfigured')
        session.end(node)
    faults = summary.pop('faults') + [f'{len(bad)} lines such as {line}' for line in bad[:1]]
    print(json.dumps(summary))
    print('\n'.join(faults), file=sys.stderr, end='\n' if faults else '')
    return 1 if faults else 0


if __name__ == '__main__':
    raise SystemExit(main())
