# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares image_taking thread and executor: age of results and processor time, in turns, because speeds drift.

    PYTHONPATH=.:test .venv/bin/python test/benchmarks/image_taking.py [--turns N] [--frames N]

The network is tiny, so that the difference is that of taking an image. A second part floods the node at 200 Hz.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from support.tiny_models import color_detector

from trt_perception.demo.environment import demo_environment, free_domain_id
from trt_perception.demo.installation import large_images_profile
from trt_perception.measure.node_run import NodeRun
from trt_perception.progress import silent

WAYS = ('thread', 'executor')
# Width, height, Hz
LOADS = ((640, 480, 30.0), (1920, 1080, 30.0), (640, 480, 200.0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--turns', type=int, default=3)
    parser.add_argument('--frames', type=int, default=120)
    options = parser.parse_args()
    environment = demo_environment(free_domain_id(), large_images_profile())
    print('load                   way       sent  results  age p50 ms  p99 ms  CPU % of a core')
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = color_detector(folder / 'm.onnx', 64, 64)
        for width, height, rate in LOADS:
            ages: dict[str, list[float]] = {way: [] for way in WAYS}
            sent, cpu = dict.fromkeys(WAYS, 0), {way: [] for way in WAYS}
            for _ in range(options.turns):
                for way in WAYS:
                    with NodeRun({'model_file': str(model), 'image_taking': way}, folder, environment) as node:
                        fed = node.feed(width, height, rate, int(options.frames * rate / 30), way, '', silent)
                    ages[way] += fed['ages_ms']
                    sent[way] += fed['sent']
                    cpu[way].append(fed['cpu_percent'])
            for way in WAYS:
                p50, p99 = np.percentile(ages[way], (50, 99))
                print(
                    f'{width}x{height} at {rate:5.0f} Hz  {way:<8} {sent[way]:5} {len(ages[way]):8} {p50:11.1f} '
                    f'{p99:7.1f} {np.median(cpu[way]):10.0f}', flush=True)


if __name__ == '__main__':
    main()
