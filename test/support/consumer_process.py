# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A consumer of results as a process of its own, which can be slow or stopped.

    PYTHONPATH=.:test python -m support.consumer_process NAMESPACE LOG SECONDS

It subscribes to `detections` and `debug_image`, reliably, and writes the stamp of each detection after it has slept for
SECONDS.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from .subprocesses import python_environment


class ConsumerProcess:
    """A running consumer, from the test's side."""

    def __init__(self, namespace: str, log: Path, seconds: float = 0.0) -> None:
        self._log = log
        self.process = subprocess.Popen(
            [sys.executable, '-m', 'support.consumer_process', namespace, str(log), str(seconds)],
            env=python_environment(), stdin=subprocess.DEVNULL)

    def received(self) -> list[int]:
        """Return the stamps of the detections that it has got so far, in nanoseconds."""
        return [int(line) for line in self._log.read_text().split()] if self._log.exists() else []

    def kill(self) -> None:
        """Kill it, if it runs."""
        self.process.kill()
        self.process.wait()


def main(namespace: str, log: str, seconds: str) -> None:
    """Receive until it is killed."""
    import rclpy
    from sensor_msgs.msg import Image
    from vision_msgs.msg import Detection2DArray

    from .frame_sum import stamp_ns

    rclpy.init()
    node = rclpy.create_node('consumer')
    with Path(log).open('a', buffering=1) as file:
        def write(message: object) -> None:
            time.sleep(float(seconds))
            file.write(f'{stamp_ns(message)}\n')

        node.create_subscription(Detection2DArray, f'{namespace}/detections', write, 10)
        node.create_subscription(Image, f'{namespace}/debug_image', lambda _: None, 10)
        rclpy.spin(node)


if __name__ == '__main__':
    main(*sys.argv[1:])
