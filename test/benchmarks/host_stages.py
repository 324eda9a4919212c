# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Times what the CPU does before and after the network, from 1280x720 bgr8 frames that are in no cache.

    PYTHONPATH=.:test python test/benchmarks/host_stages.py MODEL VIDEO [--threads N] [--backend NAME] [--rounds N]

40 frames (110 MB) are used in turns, so each frame comes from memory, and the network runs between preprocess and
postprocess, so their code and tables have left the caches too. "no few": the selection of candidates with arrays only,
in turns with the usual one, which takes a few candidates as Python numbers. "resize alone" is OpenCV's call for the
same pixels, and "read" one pass of NumPy over the frame, both after the network: no preprocess with one thread can be
faster. "again": the same call at once, with everything in the caches. "copied before": the frame was copied after the
network and before preprocess, as rclpy does with a message when it arrives; the copy is not in the time.

All times are in milliseconds: median and lowest tenth, wall time and the CPU time of the thread.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable

import cv2
import numpy as np

from trt_perception.backends.create import create_pipeline
from trt_perception.catalogue.resolve import resolve_model, resolve_video
from trt_perception.image.frame import Frame
from trt_perception.model.geometry import make_geometry
from trt_perception.model.heads import detection, few, yolo
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import PipelineOptions
from trt_perception.pipeline.preprocess import Preprocessor
from trt_perception.pipeline.resize import make_resize

FRAMES, SIZE = 40, (1280, 720)


class Times:
    """Times of named calls."""

    def __init__(self) -> None:
        self._of: dict[str, list[tuple[float, float]]] = {}

    def measure(self, name: str, call: Callable[[], object]) -> object:
        """Call and note the wall time and the CPU time."""
        # thread_time is a system call that would be part of the wall time if it were inside.
        cpu = time.thread_time()
        wall = time.perf_counter()
        result = call()
        done = time.perf_counter()
        self._of.setdefault(name, []).append((done - wall, time.thread_time() - cpu))
        return result

    def report(self) -> None:
        """Print a table."""
        print('| | wall | lowest tenth | CPU |\n|---|---|---|---|')
        for name, values in self._of.items():
            wall, cpu = np.array(values[len(values) // 20:]).T * 1e3
            print(f'| {name} | {np.median(wall):.3f} | {np.percentile(wall, 10):.3f} | {np.median(cpu):.3f} |')


def frames_of(video: str) -> list[Frame]:
    """Return frames spread evenly over the video."""
    capture = cv2.VideoCapture(video)
    total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    frames = []
    for index in np.linspace(0, total - 1, FRAMES).astype(int):
        capture.set(cv2.CAP_PROP_POS_FRAMES, int(index))
        read, pixels = capture.read()
        if read:
            frames.append(Frame.from_bgr(cv2.resize(pixels, SIZE)))
    return frames


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model')
    parser.add_argument('video')
    parser.add_argument('--threads', type=int, default=0)
    parser.add_argument('--backend', default='openvino')
    parser.add_argument('--precision', default='fp16')
    parser.add_argument('--rounds', type=int, default=6)
    options = parser.parse_args()
    spec = load_model(resolve_model(options.model, fetch=True))
    frames = frames_of(str(resolve_video(options.video, fetch=True)))
    pipeline = create_pipeline(
        spec, PipelineOptions(options.backend, options.precision, num_threads=options.threads, min_agreement=0.0))
    pipeline.open()
    spec = pipeline.spec
    preprocess = Preprocessor(spec)
    geometry = make_geometry(spec.preprocessing.resize_mode, *SIZE, spec.width, spec.height)
    resize = make_resize('linear', geometry)
    target = np.empty((geometry.target_height, geometry.target_width, 3), np.uint8)
    times, limit, found = Times(), few.FEW, 0
    for number in range(options.rounds * len(frames)):
        frame = frames[number % len(frames)]
        tensor, _ = times.measure('preprocess', lambda frame=frame: pipeline._input(preprocess, frame))
        output = pipeline._infer(tensor)
        # Both ways in turns; each frame takes the other way in the next round.
        with_arrays = (number + number // len(frames)) % 2
        detection.FEW = yolo.FEW = 0 if with_arrays else limit
        name = 'postprocess, no few' if with_arrays else 'postprocess'
        decode = functools.partial(pipeline._decode, output, geometry, pipeline.settings)
        result = times.measure(name, decode)
        times.measure(f'{name}, again', decode)
        found += len(result)
        pipeline._infer(tensor)
        arrived = Frame.from_bgr(np.copy(frames[(number + 10) % len(frames)].bgr()))
        times.measure('preprocess, copied before', lambda frame=arrived: pipeline._input(preprocess, frame))
        times.measure('resize alone, again', lambda frame=arrived: resize(frame.bgr(), target))
        pipeline._infer(tensor)
        other = frames[(number + 20) % len(frames)].bgr()
        if number % 2:
            times.measure('resize alone', lambda other=other: resize(other, target))
        else:
            words = other.reshape(-1).view(np.uint64)
            times.measure('read the frame', lambda words=words: np.maximum.reduce(words))
    print(f'{spec.path.name} {spec.width}x{spec.height}, {options.backend}, threads {options.threads or "auto"}, '
          f'{len(frames)} frames, {found / options.rounds / len(frames):.1f} boxes in a frame')
    times.report()
    pipeline.close()


if __name__ == '__main__':
    main()
