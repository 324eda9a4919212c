# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A camera as a process of its own, which can be killed. It writes down the stamp of each image before it sends it.

    PYTHONPATH=.:test python -m support.camera_process --topic /front/image --sent sent.txt --rate 30
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from .subprocesses import python_environment

# The red rectangle, as parts of the width and the height.
_BOX = (0.25, 0.25, 0.75, 0.75)


def red_box(width: int, height: int) -> tuple[int, int, int, int]:
    """Return x_min, y_min, x_max, y_max of the red rectangle in an image of this size."""
    left, top, right, bottom = _BOX
    return round(left * width), round(top * height), round(right * width), round(bottom * height)


class CameraProcess:
    """A running camera, from the test's side.

    stop() ends it, kill() kills it in the middle of whatever it does, sent() returns the stamps of its images so far.
    """

    def __init__(self, topic: str, log: Path, **options: Any) -> None:
        """Start. options: the arguments of the program, such as rate=30, size='320x240', reliability='best_effort'."""
        self._log = log
        words = [word for name, value in options.items() for word in (f'--{name.replace("_", "-")}', str(value))]
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'support.camera_process', '--topic', topic, '--sent', str(log), *words],
            env=python_environment(), stdin=subprocess.DEVNULL)

    def sent(self) -> list[int]:
        """Return the stamps of the images that were sent so far, in nanoseconds."""
        # A killed process leaves whole lines only: each is one write.
        return [int(line) for line in self._log.read_text().split()] if self._log.exists() else []

    def kill(self) -> None:
        """Kill it, if it runs."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it after the image in hand."""
        self.process.terminate()
        assert self.process.wait(600) == 0, 'the camera process failed; its error is above'


def main() -> int:
    """Publish until SIGTERM, or until --count images are sent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--topic', required=True)
    parser.add_argument('--sent', type=Path, required=True)
    parser.add_argument('--rate', type=float, default=15.0)
    parser.add_argument('--size', default='320x240')
    parser.add_argument('--encoding', default='bgr8')
    parser.add_argument('--reliability', default='reliable')
    parser.add_argument('--durability', default='volatile')
    parser.add_argument('--depth', type=int, default=5)
    parser.add_argument('--count', type=int, default=0)
    options = parser.parse_args()
    import signal

    import rclpy
    from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
    from rclpy.signals import SignalHandlerOptions
    from sensor_msgs.msg import Image

    from . import harness_images as images

    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('camera')
    publisher = node.create_publisher(Image, options.topic, QoSProfile(
        depth=options.depth, reliability=ReliabilityPolicy[options.reliability.upper()],
        durability=DurabilityPolicy[options.durability.upper()]))
    width, height = map(int, options.size.split('x'))
    picture = images.picture(width, height, {'red': red_box(width, height)})
    message = images.image(picture, images.header('camera', 0), options.encoding)
    while not publisher.get_subscription_count() and not ended:
        time.sleep(0.01)
    number, due = 0, time.monotonic()
    with options.sent.open('a', buffering=1) as log:
        while not ended and not (options.count and number >= options.count):
            time.sleep(max(0.0, due - time.monotonic()))
            # After a pause of this process, the missed images are not sent at once.
            due = max(due + 1 / options.rate, time.monotonic())
            stamp = time.time_ns()
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
            log.write(f'{stamp}\n')
            publisher.publish(message)
            number += 1
    # Whoever counts the images waits until no more come: the publisher must not be gone before.
    while options.count and not ended:
        time.sleep(0.01)
    node.destroy_node()
    rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
