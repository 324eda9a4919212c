# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures DevicePipeline with frames of several sizes, read in host memory or copied, beside the engine alone.

    PYTHONPATH=.:test python3 test/benchmarks/gpu_frame_sizes.py MODEL.onnx [--plans FOLDER] [--bus 52]

For each size and each value of zero_copy, in turns in one process: p50 and p99 in milliseconds, and p50 divided by the
time of the engine and of the frame's bytes on the bus (--bus, GB/s), which no pipeline can do without.
"""

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
from gpu_pipeline import PHOTOS, EngineAlone, built, percentiles, plan_path

from trt_perception.backends.tensorrt.library.compat import load as load_tensorrt
from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.image.frame import Frame
from trt_perception.model.heads.yolo import DetectionSettings
from trt_perception.model.spec import load_model
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.tensorrt_options import RunOptions

SIZES = ((1280, 720), (640, 480), (1920, 1080))
WAYS = ('auto', 'on', 'off')
ROUNDS, WARM_UP, FRAMES = 4, 20, 100


def seconds_of(call):
    """Return the seconds of each of the calls with 0, 1, ... after a warm-up."""
    seconds = []
    for index in range(-WARM_UP, FRAMES):
        start = time.perf_counter()
        call(index)
        if index >= 0:
            seconds.append(time.perf_counter() - start)
    return seconds


def measure(size, spec, plan, tensorrt, engine, settings):
    """Return the seconds of the engine and of each way."""
    pictures = [
        np.ascontiguousarray(cv2.resize(cv2.imread(str(path)), size)) for path in sorted(PHOTOS.glob('*.jpg'))]
    frames = [Frame.from_bgr(picture) for picture in pictures]
    pipelines = {
        way: DevicePipeline(spec, lambda: plan, tensorrt, RunOptions(zero_copy=way), settings) for way in WAYS}
    seconds = {name: [] for name in ('engine', *WAYS)}
    try:
        for pipeline in pipelines.values():
            pipeline.open()
        for _ in range(ROUNDS):
            with engine.session.active('measuring'):
                seconds['engine'] += seconds_of(lambda index: engine.run())
            for way, pipeline in pipelines.items():
                seconds[way] += seconds_of(lambda index, run=pipeline.run: run(frames[index % len(frames)]))
    finally:
        for pipeline in pipelines.values():
            pipeline.close()
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', type=Path, metavar='MODEL')
    parser.add_argument('--level', type=int, default=3, help="TensorRT's optimisation level (default: %(default)s)")
    parser.add_argument('--plans', type=Path, default=Path('gpu_plans'), help='folder of plans (default: %(default)s)')
    parser.add_argument('--score', type=float, default=0.9, help='score threshold (default: %(default)s)')
    parser.add_argument('--bus', type=float, default=52.0, help='GB/s from host to GPU memory (default: %(default)s)')
    options = parser.parse_args()
    tensorrt, spec = load_tensorrt(), load_model(options.model)
    path = plan_path(options.plans, tensorrt, options.model, options.level)
    built(path, tensorrt, options.model, options.level)
    plan = path.read_bytes()
    settings = PostprocessSettings(DetectionSettings(score_threshold=options.score))
    engine = EngineAlone(spec, plan, tensorrt)
    print('| frame | zero_copy | p50 | p99 | p50 / (engine + bus) |\n|---|---|---|---|---|', flush=True)
    for width, height in SIZES:
        seconds = measure((width, height), spec, plan, tensorrt, engine, settings)
        floor = percentiles(seconds['engine'])['p50'] + width * height * 3 / options.bus / 1e6
        for name, values in seconds.items():
            found = percentiles(values)
            ratio = '' if name == 'engine' else f'{found["p50"] / floor:.3f}'
            print(f'| {width}x{height} | {name} | {found["p50"]} | {found["p99"]} | {ratio} |', flush=True)
    engine.session.close()


if __name__ == '__main__':
    main()
