# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures the time from a 1280x720 bgr8 frame to its detections, both in host memory, on a GPU, for ONNX files.

    PYTHONPATH=.:test python3 test/benchmarks/gpu_pipeline.py MODEL.onnx [MODEL_fp16.onnx ...] [--processes 5]

It measures these four for each model, interleaved frame by frame in one process, and then the first two back to back:

- engine: launch only the engine, captured as a CUDA graph, and wait for it
- device: DevicePipeline
- host: HostPipeline with the same engine
- plain: a simple first program: OpenCV letterbox and NumPy normalisation into new arrays, pageable copies, the engine
  without a graph, all outputs copied back, NumPy decoding and NMS

The p99 / p50 of only the engine, and of a copy of one frame by one core, show the noise of the machine.

It also measures the size of the plan, the build time (stored in --plans with the plan), the time to open the pipeline
in a new process with the plan in a file, the GPU memory of an open pipeline, and the agreement of the detections with
ONNX Runtime on the first model (--reference for another). At the end it prints a Markdown table and whether the goals
are met. With --processes it measures all in several processes, one after the other, because other programs on the
machine change the times; the table then has the median and the range.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent

import cv2
from gpu_table import markdown, verdict
from support.engines import plan_path, write_plan

from trt_perception.backends.tensorrt.cuda.graph import CudaGraph
from trt_perception.backends.tensorrt.cuda.runtime_api import CudaSession, device_at
from trt_perception.backends.tensorrt.library.compat import load as load_tensorrt
from trt_perception.backends.tensorrt.run.backend import TensorRtBackend
from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.backends.tensorrt.run.runtime import Engine
from trt_perception.cli.numbers import positive
from trt_perception.errors import MissingDependencyError
from trt_perception.image.frame import Frame
from trt_perception.model.geometry import make_geometry
from trt_perception.model.heads.classification import ClassificationHead
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.preprocess import normalisation
from trt_perception.precision.calibration_frames import thin
from trt_perception.precision.parity import compare
from trt_perception.sources.open_source import open_source

SIZE = (1280, 720)
MIB = 1 << 20
PHOTOS = HERE.parent / 'data' / 'photos'
MOST_SAMPLES = 32
WARM_UP = 50


class EngineAlone:
    """Only the captured engine, at one batch."""

    def __init__(self, spec, plan, tensorrt, batch=1):
        self.session = CudaSession()
        with self.session.active('loading'):
            self.engine = self.session.adopt(Engine(self.session, tensorrt, plan, spec, batch))
            stream = self.session.stream_handle
            for _ in range(2):
                self.engine.enqueue(stream)
            self.session.synchronize()
            self.graph = self.session.adopt(
                CudaGraph(self.session.driver, stream, lambda: self.engine.enqueue(stream)))

    def run(self):
        self.graph.launch()
        self.session.synchronize()


class PlainPath:
    """Simple code that allocates all memory except the engine's for each frame."""

    def __init__(self, spec, plan, tensorrt):
        import pycuda.driver
        self.cuda = pycuda.driver
        self.spec = spec
        self.session = CudaSession()
        self.settings = PostprocessSettings()
        with self.session.active('loading'):
            self.engine = self.session.adopt(Engine(self.session, tensorrt, plan, spec))

    def run(self, pixels):
        spec = self.spec
        options = spec.preprocessing
        geometry = make_geometry(
            options.resize_mode, pixels.shape[1], pixels.shape[0], spec.width, spec.height, options.crop_fraction)
        crop = pixels[geometry.crop_y:geometry.crop_y + geometry.crop_height,
                      geometry.crop_x:geometry.crop_x + geometry.crop_width]
        small = cv2.resize(crop, (geometry.target_width, geometry.target_height))
        below = spec.height - geometry.target_y - geometry.target_height
        beside = spec.width - geometry.target_x - geometry.target_width
        image = cv2.copyMakeBorder(
            small, geometry.target_y, below, geometry.target_x, beside, cv2.BORDER_CONSTANT, value=(114, 114, 114))
        if options.color_order == 'rgb':
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        gain, bias = normalisation(spec)
        tensor = image.astype(np.float32) * gain + bias
        if spec.layout == 'nchw':
            tensor = tensor.transpose(2, 0, 1)
        tensor = np.ascontiguousarray(tensor[np.newaxis], spec.input_dtype)
        self.cuda.memcpy_htod(self.engine.input.address, tensor)
        self.engine.enqueue(self.session.stream_handle)
        self.session.synchronize()
        outputs = {}
        for output in self.engine.outputs:
            outputs[output.name] = np.empty(output.shape, output.dtype)
            self.cuda.memcpy_dtoh(outputs[output.name], output.address)
        head = spec.head
        if isinstance(head, ClassificationHead):
            return head.decode(outputs[head.output_name], self.settings.classification)
        return head.decode(outputs[head.output_name], geometry, self.settings.detection)


def pictures():
    """Return a few different frames: a single one would stay in the processor's cache."""
    return [
        np.ascontiguousarray(cv2.resize(cv2.imread(str(path)), SIZE)) for path in sorted(PHOTOS.glob('*.jpg'))]


def sample_frames(source):
    """Return the shipped photos, or frames spread over a folder, video or bag."""
    frames = [item.frame for item in open_source(source or PHOTOS)]
    return thin(frames, MOST_SAMPLES)


def agreement(reference, device, frames):
    """Return the agreement with ONNX Runtime on the reference model; None without ONNX Runtime."""
    try:
        with HostPipeline(reference, OnnxRuntimeBackend(reference.path)) as host:
            return compare(host, device, frames).as_dict()
    except MissingDependencyError as error:
        print(f'agreement is not measured: {error}')
        return None


def timed(call, count):
    """Return seconds and results of `call` with 0, 1, ... `count` - 1, after a warm-up with negative numbers."""
    seconds, results = [], []
    for index in range(-WARM_UP, count):
        start = time.perf_counter()
        result = call(index)
        elapsed = time.perf_counter() - start
        if index >= 0:
            seconds.append(elapsed)
            results.append(result)
    return seconds, results


def copying(images, count):
    """Return the seconds of each copy of one frame by one core."""
    target = np.empty_like(images[0])
    return timed(lambda index: np.copyto(target, images[index % len(images)]), count)[0]


def percentiles(samples):
    return {f'p{p}': round(float(np.percentile(samples, p)) * 1e3, 4) for p in (50, 95, 99)}


def measure(spec, reference, plan, tensorrt, frames, sample):
    images = pictures()
    inputs = [Frame.from_bgr(image) for image in images]
    samples = {'engine': [], 'device': [], 'host': [], 'plain': []}
    stages = {}
    with CudaSession() as own:
        def used():
            with own.active('asking for memory'):
                return -own.memory()[0]

        before = used()
        device = DevicePipeline(spec, lambda: plan, tensorrt)
        device.open()
        memory = used() - before
        host = HostPipeline(spec, TensorRtBackend(spec, lambda: plan, tensorrt))
        host.open()
        alone, plain = EngineAlone(spec, plan, tensorrt), PlainPath(spec, plan, tensorrt)
        try:
            for index in range(-WARM_UP, frames):
                image, frame = images[index % len(images)], inputs[index % len(images)]
                with alone.session.active('measuring'):
                    start = time.perf_counter()
                    alone.run()
                    engine_s = time.perf_counter() - start
                start = time.perf_counter()
                output = device.run(frame)
                device_s = time.perf_counter() - start
                start = time.perf_counter()
                host.run(frame)
                host_s = time.perf_counter() - start
                with plain.session.active('measuring'):
                    start = time.perf_counter()
                    plain.run(image)
                    plain_s = time.perf_counter() - start
                if index < 0:
                    continue
                for name, seconds in zip(samples, (engine_s, device_s, host_s, plain_s)):
                    samples[name].append(seconds)
                for stage, value in output.timings_ms.items():
                    stages.setdefault(stage, []).append(value / 1e3)
            # Back to back: no other work between two frames.
            steady, timings = timed(lambda index: device.run(inputs[index % len(inputs)]).timings_ms, frames)
            steady_stages = {stage: [each[stage] / 1e3 for each in timings] for stage in timings[0]}
            with alone.session.active('measuring'):
                launches, _ = timed(lambda index: alone.run(), frames)
            described = device.describe()
            found = [len(device.run(frame).result) for frame in inputs]
            agrees = agreement(reference, device, sample)
        finally:
            for thing in (device, host, alone.session, plain.session):
                thing.close()
    result = {name: percentiles(values) for name, values in samples.items()}
    result['device_back_to_back'], result['engine_back_to_back'] = percentiles(steady), percentiles(launches)
    result['copy'] = percentiles(copying(images, frames))
    result['device_stages'] = {stage: percentiles(values) for stage, values in stages.items()}
    result['device_back_to_back_stages'] = {stage: percentiles(values) for stage, values in steady_stages.items()}
    result.update(
        gpu_memory_mib=round(memory / MIB, 1), described=described, results_per_frame=found, agreement=agrees)
    p50 = result['device_back_to_back']['p50']
    result['ratio_to_engine'] = round(p50 / result['engine_back_to_back']['p50'], 3)
    result['p99_to_p50'] = round(result['device_back_to_back']['p99'] / p50, 3)
    for name, key in (('engine', 'engine_back_to_back'), ('copy', 'copy')):
        result[f'{name}_p99_to_p50'] = round(result[key]['p99'] / result[key]['p50'], 3)
    result['faster_than_plain'] = round(result['plain']['p50'] / result['device']['p50'], 2)
    return result


def start_time(onnx, plan):
    """Return the seconds in a new process of the imports and of opening the pipeline."""
    script = (
        'import sys, time; start = time.perf_counter()\n'
        'from trt_perception.backends.tensorrt.library.compat import load\n'
        'from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline\n'
        'from trt_perception.model.spec import load_model\n'
        'tensorrt = load(); spec = load_model(sys.argv[1]); loaded = time.perf_counter()\n'
        'pipeline = DevicePipeline(spec, lambda: open(sys.argv[2], "rb").read(), tensorrt); pipeline.open()\n'
        'print(loaded - start, time.perf_counter() - loaded); pipeline.close()\n')
    done = subprocess.run(
        [sys.executable, '-c', script, str(onnx), str(plan)], capture_output=True, text=True,
        check=True)
    imports, opening = (float(text) for text in done.stdout.split())
    return {'imports_s': round(imports, 3), 'open_s': round(opening, 3)}


def built(path, tensorrt, onnx, level):
    """Build the plan at `path` if it is missing; return the build seconds, stored beside it, or None if unknown."""
    note = path.with_suffix('.build_s')
    if not path.is_file():
        start = time.perf_counter()
        write_plan(path, tensorrt, onnx, level)
        note.write_text(f'{time.perf_counter() - start:.1f}', encoding='utf-8')
    return float(note.read_text(encoding='utf-8')) if note.is_file() else None


def machine(tensorrt):
    return {
        'gpu': device_at(0).name, 'cpu': platform.processor() or platform.machine(),
        'cores': len(os.sched_getaffinity(0)), 'cores_of_machine': os.cpu_count(),
        'opencv_threads': cv2.getNumThreads(), 'tensorrt': tensorrt.identity, 'python': platform.python_version(),
        'numpy': np.__version__, 'opencv': cv2.__version__}


def in_this_process(options, tensorrt):
    """Measure all models; return the report."""
    report = {'machine': machine(tensorrt), 'frame': list(SIZE), 'frames': options.frames, 'models': {}}
    print(json.dumps(report['machine']))
    reference = load_model(options.reference or options.models[0])
    sample = sample_frames(options.sample)
    for onnx in options.models:
        spec = load_model(onnx)
        path = plan_path(options.plans, tensorrt, onnx, options.level)
        build_s = built(path, tensorrt, onnx, options.level)
        plan = path.read_bytes()
        # The first start compiles the kernels.
        start_time(onnx, path)
        result = {
            'plan_mib': round(len(plan) / MIB, 2), 'build_s': build_s, 'start': start_time(onnx, path),
            **measure(spec, reference, plan, tensorrt, options.frames, sample)}
        report['models'][onnx.name] = result
        print(f'\n{onnx.name}: {json.dumps(result, indent=1)}', flush=True)
        save(options.json, [report])
    return report


def in_new_processes(options):
    """Run this program in new processes with the same arguments; return their reports."""
    reports = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / 'report.json'
        for _ in range(options.processes):
            again('--json', str(file))
            reports += json.loads(file.read_text(encoding='utf-8'))
            save(options.json, reports)
    return reports


def again(*arguments):
    """Run this program in a new process that measures; if an argument is repeated, the last one counts."""
    subprocess.run([sys.executable, *sys.argv, '--processes', '1', *arguments], check=True)


def save(path, reports):
    """Write the reports so far, because a run may be ended early."""
    if path is not None:
        path.write_text(json.dumps(reports, indent=1) + '\n', encoding='utf-8')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('models', nargs='+', type=Path, metavar='MODEL')
    parser.add_argument('--reference', type=Path, help='ONNX file that results must agree with (default: the first)')
    parser.add_argument(
        '--sample', help='images, video or bag to measure the agreement on (default: the shipped photos)')
    parser.add_argument('--frames', type=positive, default=500, help='frames to measure (default: %(default)s)')
    parser.add_argument('--level', type=int, default=3, help="TensorRT's optimisation level (default: %(default)s)")
    parser.add_argument('--plans', type=Path, default=Path('gpu_plans'), help='folder of plans (default: %(default)s)')
    parser.add_argument('--build-only', action='store_true', help='build the missing plans in --plans, measure nothing')
    parser.add_argument(
        '--processes', type=positive, default=1, metavar='N', help='measure all in each of N processes (default: 1)')
    parser.add_argument('--json', type=Path, help='file for the results, a list with one report for each process')
    options = parser.parse_args()
    tensorrt = load_tensorrt()
    if options.build_only or options.processes > 1:
        for onnx in options.models:
            path = plan_path(options.plans, tensorrt, onnx, options.level)
            print(f'{onnx.name}: {built(path, tensorrt, onnx, options.level)} s', flush=True)
    if options.build_only:
        return
    reports = in_new_processes(options) if options.processes > 1 else [in_this_process(options, tensorrt)]
    print(f'\n{markdown(reports)}\n')
    print('\n'.join(verdict(reports)), flush=True)


if __name__ == '__main__':
    main()
