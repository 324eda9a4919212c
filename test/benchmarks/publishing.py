# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Time to serialize detections: the node's writer against rclpy in turns, and then the writer alone.

rclpy's messages empty the caches of the processor, as a network may do.

    PYTHONPATH=.:test python test/benchmarks/publishing.py
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from trt_perception.node.outputs.messages import detections_message
from trt_perception.results.results import Detections
from trt_perception.results.serialized_detections import DetectionsWriter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=300)
    options = parser.parse_args()
    names = [f'class_{number}' for number in range(80)]
    writer = DetectionsWriter(names.__getitem__)
    header = Header(stamp=Time(sec=1_795_000_000, nanosec=2), frame_id='camera_optical_frame')
    print(
        f'{"boxes":>6} {"writer p50":>11} {"least":>8} {"rclpy p50":>10} {"least":>8} {"alone p50":>10} '
        f'{"least":>8}   ms')
    for count in (0, 20, 50, 300):
        rng = np.random.default_rng(count)
        corners = np.sort(rng.random((count, 2, 2), np.float32) * 1000, axis=1)
        found = Detections(corners.reshape(count, 4), rng.random(count, np.float32), rng.integers(0, 80, count))
        taken: tuple[list[float], list[float], list[float]] = [], [], []
        for _ in range(options.rounds):
            started = time.perf_counter()
            writer.write(found, header.stamp.sec, header.stamp.nanosec, header.frame_id)
            between = time.perf_counter()
            serialize_message(detections_message(found, header, names.__getitem__))
            taken[0].append((between - started) * 1e3)
            taken[1].append((time.perf_counter() - between) * 1e3)
        for _ in range(options.rounds):
            started = time.perf_counter()
            writer.write(found, header.stamp.sec, header.stamp.nanosec, header.frame_id)
            taken[2].append((time.perf_counter() - started) * 1e3)
        ours, theirs, alone = taken
        print(
            f'{count:>6} {np.median(ours):>11.3f} {min(ours):>8.3f} {np.median(theirs):>10.3f} {min(theirs):>8.3f} '
            f'{np.median(alone):>10.3f} {min(alone):>8.3f}')


if __name__ == '__main__':
    main()
