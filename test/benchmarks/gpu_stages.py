# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures the time of each call in DevicePipeline, for a 1280x720 bgr8 frame and one detector.

    PYTHONPATH=.:test python3 test/benchmarks/gpu_stages.py MODEL.onnx [--plans FOLDER] [--processes 5]

Each process runs frames without a pause and measures only the engine, the whole pipeline, then each call of the
pipeline, then only its kernels. It prints medians in microseconds as one line of JSON. Other programs on the machine
change the times from process to process, so the result of one process is not enough.

The new processes get the same environment variables. OPENCV_THREAD_POOL_ACTIVE_WAIT_WORKER=20000 keeps OpenCV's threads
awake, to measure the copy in that case; taskset limits their number.
"""

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
from gpu_pipeline import WARM_UP, EngineAlone, again, built, pictures, plan_path, timed

from trt_perception.backends.tensorrt.library.compat import load as load_tensorrt
from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.backends.tensorrt.run.frame_slot import PREPROCESS_BLOCK
from trt_perception.backends.tensorrt.run.resampling import device_frame, sampling_threads
from trt_perception.cli.numbers import positive
from trt_perception.image.frame import Frame
from trt_perception.model.heads.classification import ClassificationHead
from trt_perception.model.spec import load_model

CALLS = ('format', 'enter', 'prepare', 'stage', 'launch', 'wait', 'result', 'leave')
LAUNCHES, REPEATS = 50, 10
clock = time.perf_counter


def microseconds(seconds, percentile=50):
    return round(float(np.percentile(seconds, percentile)) * 1e6, 1)


def call_by_call(device, frames, count):
    """Return the medians of the calls in DevicePipeline.run, in their order."""
    work, session, settings = device.frame_work, device.session, device.settings
    seconds = []
    for index in range(-WARM_UP, count):
        frame = frames[index % len(frames)]
        marks = [clock()]
        form, frame = device_frame(frame)
        marks.append(clock())
        with session.active('measuring'):
            marks.append(clock())
            work.prepare(form)
            marks.append(clock())
            work.stage(frame.data[:form.size], settings)
            marks.append(clock())
            work.launch()
            marks.append(clock())
            work.wait()
            marks.append(clock())
            work.result(settings)
            marks.append(clock())
        marks.append(clock())
        if index >= 0:
            seconds.append(np.diff(marks))
    return {name: microseconds(values) for name, values in zip(CALLS, np.transpose(seconds))}


def kernels(device, frames):
    """Return the medians of the kernels before and after the engine, measured without it, for each frame."""
    work, session = device.frame_work, device.session
    stream = session.stream_handle

    def sample():
        work.module.launch(
            work.form.kernel, sampling_threads(work.sampling), PREPROCESS_BLOCK, work.sampling, stream)

    def sample_and_select():
        sample()
        work.detection.enqueue(stream)

    def each(call):
        seconds = []
        for _ in range(REPEATS):
            start = clock()
            for _ in range(LAUNCHES):
                call()
            session.synchronize()
            seconds.append((clock() - start) / LAUNCHES)
        return microseconds(seconds)

    results = []
    for frame in frames:
        # This run leaves the frame's output in the buffer that the decoding kernel reads.
        device.run(frame)
        with session.active('measuring'):
            sampling = each(sample)
            results.append({
                'candidates': work.detection.view.candidates, 'sampling': sampling,
                'decoding and NMS': round(each(sample_and_select) - sampling, 1)})
    return results


def measure(onnx, plan, count):
    tensorrt, spec = load_tensorrt(), load_model(onnx)
    frames = [Frame.from_bgr(image) for image in pictures()]
    alone = EngineAlone(spec, plan, tensorrt)
    with DevicePipeline(spec, lambda: plan, tensorrt) as device:
        engine_s, device_s = [], []
        for _ in range(2):
            device_s += timed(lambda index: device.run(frames[index % len(frames)]), count)[0]
            with alone.session.active('measuring'):
                engine_s += timed(lambda index: alone.run(), count)[0]
        result = {
            'ratio': round(float(np.median(device_s) / np.median(engine_s)), 3), 'engine': microseconds(engine_s),
            'device': microseconds(device_s), 'device p99': microseconds(device_s, 99),
            'calls': call_by_call(device, frames, count), 'kernels': kernels(device, frames),
            'opencv_threads': cv2.getNumThreads()}
    alone.session.close()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', type=Path, metavar='MODEL')
    parser.add_argument('--frames', type=positive, default=800, help='frames to measure (default: %(default)s)')
    parser.add_argument('--level', type=int, default=3, help="TensorRT's optimisation level (default: %(default)s)")
    parser.add_argument('--plans', type=Path, default=Path('gpu_plans'), help='folder of plans (default: %(default)s)')
    parser.add_argument(
        '--processes', type=positive, default=5, help='number of processes that measure (default: %(default)s)')
    options = parser.parse_args()
    if isinstance(load_model(options.model).head, ClassificationHead):
        parser.error(f'{options.model} is a classifier: expected a detector, whose decoding and NMS are measured')
    tensorrt = load_tensorrt()
    plan = plan_path(options.plans, tensorrt, options.model, options.level)
    built(plan, tensorrt, options.model, options.level)
    if options.processes > 1:
        for _ in range(options.processes):
            again()
        return
    print(json.dumps(measure(options.model, plan.read_bytes(), options.frames)), flush=True)


if __name__ == '__main__':
    main()
