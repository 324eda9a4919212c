# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures the processor time of the tracker for an image with 10 to 3000 boxes.

    PYTHONPATH=. .venv/bin/python test/benchmarks/tracking_time.py

The boxes move, their scores change, and one in ten is missing in each image, so that tracks are lost, found and begun.
In the row `crowd`, boxes overlap with their neighbours: the assignment has to choose. Processor time, because other
processes use this machine too.
"""

from __future__ import annotations

import itertools
import time

import numpy as np

from trt_perception.results.results import Detections
from trt_perception.tracking.tracker import Tracker

WIDTH, HEIGHT = 1920, 1080
IMAGES = 400
# Of thousands of boxes.
FEW_IMAGES = 60
INTERVAL_S = 1 / 15


def images(count, crowd):
    rng = np.random.default_rng(count)
    area = 0.2 if crowd else 1.0
    places = rng.uniform([60, 60], [area * (WIDTH - 60), area * (HEIGHT - 60)], (count, 2))
    velocities = rng.normal(0, 30, (count, 2))
    sizes = rng.uniform(40, 120, (count, 2))
    classes = rng.integers(0, 3, count)
    for number in range(IMAGES):
        centres = places + velocities * np.sin(number * INTERVAL_S) + rng.normal(0, 1, (count, 2))
        boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1).astype(np.float32)
        scores = rng.uniform(0.12, 1, count).astype(np.float32)
        found = np.flatnonzero(rng.random(count) > 0.1)
        found = found[np.argsort(-scores[found])]
        yield Detections(boxes[found], scores[found], classes[found]), round(number * INTERVAL_S * 1e9)


def main() -> None:
    print(f'{"boxes":>12} {"p50 ms":>8} {"p95 ms":>8} {"objects":>8}')
    for count, crowd in (
            (10, False), (50, False), (50, True), (100, False), (300, False), (1000, False), (3000, False)):
        tracker = Tracker()
        times = []
        for found, stamp_ns in itertools.islice(images(count, crowd), IMAGES if count < 1000 else FEW_IMAGES):
            started = time.thread_time()
            tracker.update(found, stamp_ns, (WIDTH, HEIGHT), 0.25)
            times.append((time.thread_time() - started) * 1e3)
        p50, p95 = np.percentile(times[20:], [50, 95])
        print(f'{f"{count} crowd" if crowd else count:>12} {p50:8.3f} {p95:8.3f} {len(tracker):8}')


if __name__ == '__main__':
    main()
