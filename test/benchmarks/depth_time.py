# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures the processor time to place 1, 10 and 50 boxes in a depth image, and to make their message.

    PYTHONPATH=. .venv/bin/python test/benchmarks/depth_time.py
"""

from __future__ import annotations

import time

import numpy as np
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox2D, Detection2D, ObjectHypothesis, ObjectHypothesisWithPose

from trt_perception.depth.boxes import Core, measure
from trt_perception.depth.camera import Pinhole
from trt_perception.depth.image import depth_image
from trt_perception.node.depth.messages import corners_of, detections_3d_message

WIDTH, HEIGHT = 1280, 720
CAMERA = Pinhole(WIDTH, HEIGHT, 900.0, 900.0, 639.5, 359.5)
ROUNDS = 100


def detection(left, top, width, height):
    box = BoundingBox2D(size_x=width, size_y=height)
    box.center.position.x, box.center.position.y = left + width / 2, top + height / 2
    return Detection2D(bbox=box, id='1', results=[
        ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id='person', score=0.5))])


def main() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(500, 8000, (HEIGHT, WIDTH)).astype('<u2')
    depth = depth_image('16UC1', 0, WIDTH, HEIGHT, 2 * WIDTH, values.tobytes())
    print(f'{"boxes":>6} {"places, p50 ms":>15} {"message, p50 ms":>16}')
    for count in (1, 10, 50):
        detections = [
            detection(*map(float, (*rng.uniform([0, 0], [WIDTH - 200, HEIGHT - 200]), *rng.uniform(30, 200, 2))))
            for _ in range(count)]
        places, messages = [], []
        for _ in range(ROUNDS):
            started = time.thread_time()
            found = [(d, measure(corners_of(d), depth, CAMERA, (1.0, 1.0), Core())) for d in detections]
            placed = time.thread_time()
            serialize_message(detections_3d_message(Header(), found))
            places.append((placed - started) * 1e3)
            messages.append((time.thread_time() - placed) * 1e3)
        print(f'{count:6} {np.median(places):15.2f} {np.median(messages):16.2f}')


if __name__ == '__main__':
    main()
