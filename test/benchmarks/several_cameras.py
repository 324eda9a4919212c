# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures one node with several cameras on one network, against a node for each camera, in turns.

    PYTHONPATH=.:test .venv/bin/python test/benchmarks/several_cameras.py [--cameras 1,2,4,8] [--json FILE]

All cameras are one process, and publish one after the other, as cameras that are not synchronised do. A consumer in
another process subscribes to all results. An age is the time from the stamp of an image to the arrival of its result
at the consumer. Memory is the proportional set size of the nodes: what processes share is divided among them.

network_per_s: images/s of only the network after each row, with ONNX Runtime in fp32 and a session of one thread for
each core. It is the most that the machine could do without cameras, consumer and node.
The exit code is 1 if a goal of docs/several-cameras.md is not met by the one node.
"""

from __future__ import annotations

import argparse
import array
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from trt_perception.catalogue.resolve import resolve_model
from trt_perception.demo.child import Child
from trt_perception.demo.environment import demo_environment, free_domain_id
from trt_perception.demo.installation import large_images_profile
from trt_perception.demo.waiting import wait_until
from trt_perception.measure.machine import machine
from trt_perception.measure.process_usage import cpu_seconds, proportional_memory_mb
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend

HERE = Path(__file__).parent
PHOTO = HERE.parent / 'data' / 'photos' / 'coffee.jpg'
WIDTH, HEIGHT = 640, 480
START_S = 120
# The first results are not counted: the nodes and DDS start.
WARM_S = 3.0
# By the number of cameras: the least results/s in all, and the largest p50 of the ages in ms.
GOALS = {4: (59.4, 45.0), 8: (65.0, 130.0)}
MOST_MB = 320
# Each camera within this part of the mean.
FAIR = 0.1


def cameras(count: int, rate: float, seconds: float, image: str) -> None:
    """Publish images of all cameras for some seconds, then print how many each has sent."""
    import rclpy
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import Image

    rclpy.init()
    node = rclpy.create_node('cameras')
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publishers = [node.create_publisher(Image, f'/camera{index}/image', qos) for index in range(count)]
    message = Image(
        height=HEIGHT, width=WIDTH, encoding='bgr8', step=3 * WIDTH, data=array.array('B', np.load(image).tobytes()))
    while min(publisher.get_subscription_count() for publisher in publishers) == 0:
        time.sleep(0.05)
    time.sleep(1.0)
    print('started', time.time_ns(), flush=True)
    started, sent = time.monotonic(), 0
    while (due := sent / (rate * count)) < seconds:
        time.sleep(max(0.0, started + due - time.monotonic()))
        message.header.stamp = node.get_clock().now().to_msg()
        publishers[sent % count].publish(message)
        sent += 1
    print('sent', sent, flush=True)
    # The last images must be sent before the publishers are destroyed.
    time.sleep(1.0)
    os._exit(0)


def consumer(count: int, file: str) -> None:
    """Write a line for each result: camera, stamp and time of arrival in nanoseconds. Ends with SIGINT."""
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
    from vision_msgs.msg import Detection2DArray

    from trt_perception.node.image_topics.serialized_image import stamp_of

    rclpy.init()
    node = rclpy.create_node('consumer')
    # Open until the process ends.
    output = Path(file).open('w')  # noqa: SIM115

    def subscribe(index: int) -> None:
        # Not deserialized: that takes longer than the node takes to publish.
        node.create_subscription(
            Detection2DArray, f'/camera{index}/detections',
            lambda data: print(index, stamp_of(data), time.time_ns(), file=output, flush=True), 10, raw=True)

    for index in range(count):
        subscribe(index)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    print('ready', flush=True)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        os._exit(0)


class Run:
    """The processes of one measurement."""

    def __init__(self, count: int, together: bool, options: argparse.Namespace, folder: Path) -> None:
        self.count = count
        self.folder = folder
        self.environment = demo_environment(free_domain_id(), large_images_profile())
        common = {'model_file': options.model, 'autostart': 'true', **dict(options.parameter)}
        if together and count > 1:
            topics = json.dumps([f'/camera{index}/image' for index in range(count)])
            self.nodes = [self._node('all', {**common, 'image_topics': topics}, '/')]
        else:
            self.nodes = [self._node(f'{index}', common, f'/camera{index}') for index in range(count)]
        self.children = list(self.nodes)

    def _node(self, name: str, parameters: dict[str, str], namespace: str) -> Child:
        arguments = [word for key, value in parameters.items() for word in ('-p', f'{key}:={value}')]
        return self._child(
            f'node_{name}', '-m', 'trt_perception.node.main', '--ros-args', '-r', f'__ns:={namespace}', *arguments)

    def _child(self, name: str, *arguments: str) -> Child:
        return Child(name, [sys.executable, *arguments], self.folder / f'{name}.log', self.environment)

    def measure(self, rate: float, seconds: float) -> dict[str, Any]:
        """Return what was measured."""
        for node in self.nodes:
            wait_until(lambda n=node: 'active: waiting' in n.log.read_text(), START_S, 'an active node', self.children)
        results = self.folder / 'results.txt'
        self.children.append(self._child('consumer', __file__, '--consumer', str(self.count), str(results)))
        wait_until(lambda: 'ready' in self._said('consumer'), START_S, 'the consumer', self.children)
        self.children.append(self._child(
            'cameras', __file__, '--publisher', str(self.count), str(rate), str(seconds + WARM_S + 1),
            str(self.folder / 'photo.npy')))
        wait_until(lambda: 'started' in self._said('cameras'), START_S, 'the cameras', self.children)
        first = int(self._said('cameras').split('started')[1].split()[0]) + int(WARM_S * 1e9)
        time.sleep(WARM_S)
        used, began = self._cpu(), time.monotonic()
        most = 0.0
        while time.monotonic() < began + seconds:
            time.sleep(1.0)
            most = max(most, sum(proportional_memory_mb(node.pid) or 0.0 for node in self.nodes))
        used, took = self._cpu() - used, time.monotonic() - began
        wait_until(lambda: 'sent' in self._said('cameras'), START_S, 'the end of the cameras', self.nodes)
        time.sleep(1.0)
        last = first + int(seconds * 1e9)
        rows = [tuple(map(int, line.split())) for line in results.read_text().splitlines()]
        counted = [(camera, (arrived - stamp) / 1e6) for camera, stamp, arrived in rows if first <= stamp < last]
        ages = [age for _, age in counted]
        of_each = Counter(camera for camera, _ in counted)
        shares = [of_each[camera] / seconds for camera in range(self.count)]
        return {
            'results_per_s': round(len(counted) / seconds, 1), 'of': round(rate * self.count, 1),
            'camera_least': round(min(shares), 2), 'camera_most': round(max(shares), 2),
            'age_p50_ms': round(float(np.percentile(ages, 50)), 1),
            'age_p99_ms': round(float(np.percentile(ages, 99)), 1),
            'cpu_percent': round(100 * used / took), 'memory_mb': round(most)}

    def close(self) -> None:
        """End the processes."""
        ends = [threading.Thread(target=child.stop) for child in reversed(self.children)]
        for end in ends:
            end.start()
        for end in ends:
            end.join()

    def _said(self, name: str) -> str:
        return (self.folder / f'{name}.log').read_text()

    def _cpu(self) -> float:
        return sum(cpu_seconds(node.pid) or 0.0 for node in self.nodes)


def network_rate(model: str, seconds: float = 3.0) -> float:
    """Return images/s of only the network, with a session of one thread for each core."""
    spec = load_model(Path(model))
    image = np.zeros(spec.input_shape, spec.input_dtype)
    backends = [OnnxRuntimeBackend(spec.path, 1) for _ in os.sched_getaffinity(0)]
    for backend in backends:
        backend.open()
    counts = [0] * len(backends)
    end = time.monotonic() + seconds

    def run(index: int) -> None:
        while time.monotonic() < end:
            backends[index].infer(spec.input_name, image)
            counts[index] += 1

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(backends))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for backend in backends:
        backend.close()
    return sum(counts) / seconds


def measured(count: int, together: bool, options: argparse.Namespace) -> dict[str, Any]:
    """Run and return one row."""
    import cv2

    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / 'photo.npy', cv2.resize(cv2.imread(str(PHOTO)), (WIDTH, HEIGHT)))
        load = os.getloadavg()[0]
        run = Run(count, together, options, Path(folder))
        try:
            row = run.measure(options.rate, options.seconds)
        finally:
            run.close()
    return {
        'cameras': count, 'nodes': 1 if together else count, **row, 'load_before': round(load, 2),
        'network_per_s': round(network_rate(options.model), 1)}


def misses(row: dict[str, Any]) -> list[str]:
    """Return which goals the one node does not meet."""
    if row['nodes'] > 1 or row['cameras'] not in GOALS:
        return []
    rate, age = GOALS[row['cameras']]
    mean = row['results_per_s'] / row['cameras']
    checks = {
        f'at least {rate} results/s': row['results_per_s'] >= rate,
        f'p50 below {age} ms': row['age_p50_ms'] < age,
        f'at most {MOST_MB} MB': row['memory_mb'] <= MOST_MB,
        'each camera within 10 % of the mean':
            row['camera_least'] >= (1 - FAIR) * mean and row['camera_most'] <= (1 + FAIR) * mean}
    return [goal for goal, met in checks.items() if not met]


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cameras', default='1,2,4,8', help='numbers of cameras')
    parser.add_argument('--nodes', choices=('both', 'one', 'each'), default='both')
    parser.add_argument('--rate', type=float, default=15.0, help='images a second of each camera')
    parser.add_argument('--seconds', type=float, default=20.0)
    parser.add_argument('--turns', type=int, default=1)
    parser.add_argument('--model', default='yolov3-tiny')
    parser.add_argument('--parameter', action='append', default=[], type=lambda text: tuple(text.split(':=', 1)),
                        metavar='NAME:=VALUE', help='of the nodes')
    parser.add_argument('--json', type=Path)
    parser.add_argument('--consumer', nargs=2, help=argparse.SUPPRESS)
    parser.add_argument('--publisher', nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.consumer:
        consumer(int(options.consumer[0]), options.consumer[1])
        return 0
    if options.publisher:
        count, rate, seconds, image = options.publisher
        cameras(int(count), float(rate), float(seconds), image)
        return 0
    options.model = str(resolve_model(options.model))
    rows, missed = [], []
    columns = (
        'cameras', 'nodes', 'results_per_s', 'of', 'camera_least', 'camera_most', 'age_p50_ms', 'age_p99_ms',
        'cpu_percent', 'memory_mb', 'load_before', 'network_per_s')
    print(machine().get('cpu', ''), flush=True)
    print(*columns, sep='  ', flush=True)
    for _ in range(options.turns):
        for count in map(int, options.cameras.split(',')):
            for together in {'both': (True, False), 'one': (True,), 'each': (False,)}[options.nodes]:
                if together or count > 1:
                    rows.append(measured(count, together, options))
                    print(*(str(rows[-1][name]).rjust(len(name)) for name in columns), sep='  ', flush=True)
                    missed += [f'{count} cameras: {goal}' for goal in misses(rows[-1])]
    if options.json:
        options.json.write_text(json.dumps({'machine': machine(), 'rows': rows}, indent=1))
    for goal in missed:
        print(f'missed: {goal}', file=sys.stderr)
    return 1 if missed else 0


if __name__ == '__main__':
    raise SystemExit(main())
