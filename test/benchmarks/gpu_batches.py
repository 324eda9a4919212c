# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures how many images of several cameras a second a GPU processes, alone and in batches, for an ONNX file.

    PYTHONPATH=.:test python3 test/benchmarks/gpu_batches.py MODEL.onnx [--batches 1,4,8] [--cameras 1,4,8]

The model must have a dynamic batch. For each batch, in turns in one process:

- engine: only the engine at this batch, captured as a CUDA graph, launched back to back
- a row for each number of cameras of at least the batch, with one and with two runs at the same time
  (concurrent_inferences): DevicePipeline and the node's FairWorker. Each camera has a 640x480 bgr8 frame in host memory
  waiting at any time, and as in the node at most one in work
- cameras "any": the same without that rule, each thread calls run_batch with full batches; what the pipeline can do

The ratio is that of the images/s to those of the engine at this batch in the same round; the table has the medians of
all rounds. One plan is built for each batch, with the profile [1, BATCH, BATCH], or one for all with --one-plan. Rows
that fail have the error; the others go on. The JSON file is written after each batch.
"""

import argparse
import itertools
import json
import os
import statistics
import sys
import threading
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[1])]

import cv2
import numpy as np
from gpu_pipeline import EngineAlone
from support.engines import plan_path, write_plan

from trt_perception.backends.tensorrt.cuda.runtime_api import CudaSession, device_at
from trt_perception.backends.tensorrt.library.compat import load as load_tensorrt
from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.image.frame import Frame
from trt_perception.model.heads.yolo import DetectionSettings
from trt_perception.model.spec import load_model
from trt_perception.node.process.worker import FairWorker
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.tensorrt_options import RunOptions

SIZE = (640, 480)
MIB = 1 << 20
# Frames of each camera: one would stay in the processor's cache.
DIFFERENT = 4
WARM_UP_S = 0.2
LAUNCHES = 20
COLUMNS = ('batch', 'cameras', 'runs', 'images/s', 'engine images/s', 'ratio', 'frames in a batch', 'stages, ms')


def camera_frames(cameras):
    """Return for each camera its frames."""
    paths = sorted((HERE.parent / 'data' / 'photos').glob('*.jpg'))
    photos = [cv2.resize(cv2.imread(str(path)), SIZE) for path in paths]
    photos = photos or list(np.random.default_rng(0).integers(0, 255, (4, *SIZE[::-1], 3), np.uint8))
    # Each an array of its own.
    return [
        [Frame.from_bgr(np.ascontiguousarray(np.roll(photos[(camera + number) % len(photos)], 40 * number, axis=1)))
         for number in range(DIFFERENT)]
        for camera in range(cameras)]


class BusyEngine(EngineAlone):
    """Only the captured engine at one batch, launched so that the GPU never waits for the host."""

    def rate(self, seconds):
        """Return images a second."""
        count, limit = 0, 0.0
        with self.session.active('measuring'):
            # So many launches at once that the GPU never waits for the host.
            start = end = time.perf_counter()
            limit = start + seconds
            while end < limit:
                for _ in range(LAUNCHES):
                    self.graph.launch()
                self.session.synchronize()
                count += LAUNCHES
                end = time.perf_counter()
        return count * self.engine.batch / (end - start)

    def close(self):
        self.session.close()


class Feeder:
    """Cameras whose newest frame always waits, and the threads that process them; counts what is done.

    cameras: their number, None for threads that take full batches of any frames
    """

    def __init__(self, pipeline, frames, cameras, batch, runs):
        self._pipeline = pipeline
        self._frames = frames
        self._cameras = cameras
        self._batch = batch
        self._runs = runs
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._done = 0
        self._calls = 0
        self._stages = {}
        self.error = None

    def rate(self, seconds):
        """Return images a second, the frames of a call, and the stages' times in ms."""
        end = self._begin()
        try:
            self._stopped.wait(WARM_UP_S)
            with self._lock:
                first, calls, self._stages, start = self._done, self._calls, {}, time.perf_counter()
            self._stopped.wait(seconds)
            with self._lock:
                done, calls = self._done - first, self._calls - calls
                elapsed, stages = time.perf_counter() - start, self._stages
        finally:
            self._stopped.set()
            end()
        if self.error is not None:
            raise self.error
        if not done:
            raise RuntimeError(f'no image was processed in {elapsed:.1f} s')
        return done / elapsed, done / calls, {
            name: round(statistics.median(values), 3) for name, values in stages.items()}

    def _begin(self):
        if self._cameras is None:
            threads = [threading.Thread(target=self._full_batches) for _ in range(self._runs)]
            for thread in threads:
                thread.start()
            return lambda: [thread.join() for thread in threads]
        worker = FairWorker('benchmark', lambda items: self._handle(worker, items))
        worker.use(self._runs, self._batch, overlap=self._runs)
        for camera in range(self._cameras):
            worker.offer(camera, camera)
        return worker.close

    def _handle(self, worker, cameras):
        if self._stopped.is_set():
            return
        # The next image of each comes while this one is in work.
        for camera in cameras:
            worker.offer(camera, camera)
        self._run(cameras, worker)

    def _full_batches(self):
        while not self._stopped.is_set():
            self._run([next(self._numbers) % len(self._frames) for _ in range(self._batch)])

    def _run(self, cameras, worker=None):
        number = next(self._numbers)
        frames = [self._frames[camera][number % DIFFERENT] for camera in cameras]
        try:
            outputs = self._pipeline.run_batch(frames)
        except Exception as error:
            self.error = error
            self._stopped.set()
            return
        if worker is not None:
            worker.wait_for_turn()
        with self._lock:
            self._done += len(outputs)
            self._calls += 1
            for name, value in outputs[0].timings_ms.items():
                self._stages.setdefault(name, []).append(value)


def built(options, tensorrt, most):
    """Return the plan for batches up to `most`; build it if it is missing."""
    path = plan_path(options.plans, tensorrt, options.model, options.level, most)
    if not path.is_file():
        start = time.perf_counter()
        print(f'building the engine for batches up to {most} ...', flush=True)
        write_plan(path, tensorrt, options.model, options.level, most)
        print(f'  {time.perf_counter() - start:.0f} s', flush=True)
    return path.read_bytes()


def used_mib(session):
    with session.active('asking for memory'):
        free, total = session.memory()
    return (total - free) / MIB


def measure(options, spec, tensorrt, batch, plan):
    """Return the rows of one batch."""
    cameras = [*(count for count in options.cameras if count >= batch), None]
    rows = [
        {'batch': batch, 'cameras': count or 'any', 'runs': runs, 'rounds': []}
        for count in cameras for runs in options.runs]
    frames = camera_frames(max([*options.cameras, batch]))
    opened, engine, memory = {}, None, {}
    with CudaSession() as own:
        try:
            before = used_mib(own)
            engine = BusyEngine(spec, plan, tensorrt, batch)
            memory['engine'] = round(used_mib(own) - before, 1)
            for runs in options.runs:
                before = used_mib(own)
                try:
                    pipeline = DevicePipeline(
                        spec, lambda: plan, tensorrt,
                        RunOptions(max_batch=batch, concurrent_runs=runs, zero_copy=options.zero_copy),
                        PostprocessSettings(DetectionSettings(score_threshold=options.score)),
                        log=lambda severity, text: print(f'  {severity}: {text}', flush=True))
                    pipeline.open()
                    opened[runs] = pipeline
                    memory[f'{runs} runs'] = round(used_mib(own) - before, 1)
                except Exception as error:
                    traceback.print_exc()
                    for row in rows:
                        if row['runs'] == runs:
                            row['error'] = f'{type(error).__name__}: {error}'
            print(f'batch {batch}: GPU memory in MiB {json.dumps(memory)}', flush=True)
            for number in range(options.rounds):
                for row in rows:
                    if 'error' not in row:
                        one_round(options, row, engine, opened[row['runs']], frames)
                        last = row['rounds'][-1] if row['rounds'] else row.get('error')
                        print(f'  round {number + 1}: cameras {row["cameras"]}, runs {row["runs"]}: '
                              f'{json.dumps(last)}', flush=True)
            for row in rows:
                if row['runs'] in opened:
                    row['described'] = opened[row['runs']].describe()
                row['gpu_memory_mib'] = memory
        finally:
            for thing in (*opened.values(), engine):
                if thing is not None:
                    thing.close()
    return rows


def one_round(options, row, engine, pipeline, frames):
    try:
        cameras = None if row['cameras'] == 'any' else row['cameras']
        alone = engine.rate(options.seconds / 2)
        rate, together, stages = Feeder(
            pipeline, frames, cameras, row['batch'], row['runs']).rate(options.seconds)
        row['rounds'].append({
            'images_s': round(rate, 1), 'engine_images_s': round(alone, 1), 'ratio': round(rate / alone, 3),
            'together': round(together, 2), 'stages_ms': stages})
    except Exception as error:
        traceback.print_exc()
        row['error'] = f'{type(error).__name__}: {error}'


def line(row):
    """Return a line of the table: the medians of the rounds."""
    if not row.get('rounds'):
        values = [row['batch'], row['cameras'], row['runs'], row.get('error', 'not measured'), '', '', '', '']
    else:
        middle = {
            name: statistics.median(each[name] for each in row['rounds'])
            for name in ('images_s', 'engine_images_s', 'ratio', 'together')}
        stages = ', '.join(f'{name} {value}' for name, value in row['rounds'][-1]['stages_ms'].items())
        values = [
            row['batch'], row['cameras'], row['runs'], f'{middle["images_s"]:.0f}', f'{middle["engine_images_s"]:.0f}',
            f'{middle["ratio"]:.2f}', f'{middle["together"]:.1f}', stages]
    return f'| {" | ".join(map(str, values))} |'


def save(options, report):
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + '\n', encoding='utf-8')


def numbers(text):
    return [int(part) for part in text.split(',')]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', type=Path)
    parser.add_argument('--batches', type=numbers, default=[1, 4, 8], help='(default: 1,4,8)')
    parser.add_argument('--cameras', type=numbers, default=[1, 4, 8], help='(default: 1,4,8)')
    parser.add_argument('--runs', type=numbers, default=[1, 2], help='runs at the same time (default: 1,2)')
    parser.add_argument(
        '--zero-copy', choices=('auto', 'on', 'off'), default='auto', help='as the node parameter (default: auto)')
    parser.add_argument('--rounds', type=int, default=3, help='(default: %(default)s)')
    parser.add_argument('--seconds', type=float, default=1.0, help='of one row in one round (default: %(default)s)')
    parser.add_argument('--score', type=float, default=0.25, help=(
        'score threshold; choose one at which less than 1024 boxes are above it before NMS, as with a trained network: '
        'with more, the host selects (default: %(default)s)'))
    parser.add_argument('--level', type=int, default=3, help="TensorRT's optimisation level (default: %(default)s)")
    parser.add_argument('--plans', type=Path, default=Path('gpu_plans'), help='folder of plans (default: %(default)s)')
    parser.add_argument('--one-plan', action='store_true', help='one plan for all batches, built for the largest')
    parser.add_argument('--build-only', action='store_true', help='build the missing plans, measure nothing')
    parser.add_argument('--json', type=Path, help='file for the results')
    options = parser.parse_args()
    tensorrt, spec = load_tensorrt(), load_model(options.model)
    if not spec.dynamic_batch:
        parser.error(f'{options.model.name} has a fixed batch: expected a dynamic one')
    report = {
        'machine': {
            'gpu': device_at(0).name, 'tensorrt': tensorrt.identity, 'cores': len(os.sched_getaffinity(0)),
            'opencv_threads': cv2.getNumThreads(), 'python': sys.version.split()[0]},
        'model': options.model.name, 'level': options.level, 'score': options.score,
        'one_plan': options.one_plan, 'frame': list(SIZE),
        'rows': []}
    print(json.dumps(report['machine']), flush=True)
    for batch in options.batches:
        try:
            plan = built(options, tensorrt, max(options.batches) if options.one_plan else batch)
            if not options.build_only:
                report['rows'] += measure(options, spec, tensorrt, batch, plan)
        except Exception as error:
            traceback.print_exc()
            report['rows'].append(
                {'batch': batch, 'cameras': '', 'runs': '', 'error': f'{type(error).__name__}: {error}'})
        save(options, report)
    if not options.build_only:
        print(f'\n| {" | ".join(COLUMNS)} |\n|{"---|" * len(COLUMNS)}')
        print('\n'.join(map(line, report['rows'])), flush=True)


if __name__ == '__main__':
    main()
