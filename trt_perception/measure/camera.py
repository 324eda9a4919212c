# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A camera for benchmarks: publishes one image at a steady rate, best effort, depth 1, and prints how many it sent.

    python -m trt_perception.measure.camera --width 640 --height 480 --rate 30 --frames 300
"""

from __future__ import annotations

import argparse
import array
import json
import time

import numpy as np
import rclpy
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

_CONNECT_S = 20.0


def main() -> None:
    """Publish all images, then print {"sent": ..., "rate_hz": ...}."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--width', type=int, required=True)
    parser.add_argument('--height', type=int, required=True)
    parser.add_argument('--rate', type=float, required=True, help='images a second')
    parser.add_argument('--frames', type=int, required=True)
    parser.add_argument('--image', help='npy file of a (height, width, 3) uint8 BGR image; noise if not given')
    options = parser.parse_args()
    rclpy.init()
    node = rclpy.create_node('benchmark_camera')
    publisher = node.create_publisher(
        Image, 'image', QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    shape = (options.height, options.width, 3)
    if options.image:
        pixels = np.load(options.image)
        assert pixels.shape == shape, f'{options.image} is {pixels.shape}, expected {shape}'
    else:
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    message = Image(
        height=options.height, width=options.width, encoding='bgr8', step=3 * options.width,
        data=array.array('B', pixels.tobytes()))
    message.header.frame_id = 'camera'
    deadline = time.monotonic() + _CONNECT_S
    while publisher.get_subscription_count() == 0 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    started = time.monotonic()
    for index in range(options.frames):
        pause = started + index / options.rate - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
    seconds = time.monotonic() - started
    # The last images must be sent before the publisher is destroyed.
    time.sleep(1.0)
    # The time from the first image to the last one has one interval less than there are images.
    rate_hz = (options.frames - 1) / seconds if options.frames > 1 else options.rate
    print(json.dumps({'sent': options.frames, 'rate_hz': rate_hz}))
    node.destroy_node()
    rclpy.shutdown()


if __name__ == '__main__':
    main()
