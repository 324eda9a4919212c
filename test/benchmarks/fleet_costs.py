# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the parts of the work of a fleet cost apart from the network: the figures of docs/fleet.md.

    PYTHONPATH=.:test .venv/bin/python test/benchmarks/fleet_costs.py [--images 300] [--ray]

CPU time of one thread, of a bag of JPEG images (1280x720, quality 90, of the test photos) with 20 objects in each:
hashing, finding the parts, reading with decoding, writing the results of a part, writing the outputs from them. Of the
scheduler: the CPU time of a task, and with --ray the time of an empty call of an actor. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from support.bags import write_bag
from support.tiny_models import color_detector

from trt_perception.annotate.annotate_bag import annotate_bag
from trt_perception.annotate.known_files import KnownFiles
from trt_perception.annotate.one_bag import OpenBag
from trt_perception.annotate.options import AnnotateOptions
from trt_perception.annotate.reading import numbered, read_image
from trt_perception.annotate.running import Answer
from trt_perception.annotate.stored_answers import stored_answers, write_answer, write_end
from trt_perception.backends.create import create_pipeline
from trt_perception.fleet.schedule import Schedule
from trt_perception.image.options import DEFAULT
from trt_perception.model.spec import load_model
from trt_perception.results.results import Detections
from trt_perception.sources.bag_parts import parts_of
from trt_perception.sources.bag_recording import recorded

PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'
KIND = 'sensor_msgs/msg/CompressedImage'
OBJECTS = 20


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of a call in this thread, and its result."""
    began = time.thread_time()
    result = work()
    return time.thread_time() - began, result


def make_bag(path: Path, count: int) -> None:
    """Write a bag."""
    photos = [cv2.resize(cv2.imread(str(file)), (1280, 720)) for file in sorted(PHOTOS.glob('*.jpg'))]
    messages = []
    for index in range(count):
        data = cv2.imencode('.jpg', photos[index % len(photos)], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].reshape(-1)
        messages.append((KIND, 10**18 + index * 10**7, 10**18, {'format': 'bgr8; jpeg compressed bgr8', 'data': data}))
    write_bag(path, {'/camera/image/compressed': messages})


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--images', type=int, default=300)
    parser.add_argument('--ray', action='store_true')
    options = parser.parse_args()
    found: dict[str, float] = {}
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_bag(folder / 'bag', options.images)
        bag = OpenBag.of(folder / 'bag', AnnotateOptions())
        [file] = bag.reader.storage_files
        size = file.stat().st_size
        found['bytes_of_an_image'] = size / options.images
        cv2.setNumThreads(1)
        found['hash_gb_per_s'] = size / 1e9 / cpu(lambda: KnownFiles().files_of([file]))[0]
        found['parts_gb_per_s'] = size / 1e9 / cpu(lambda: parts_of(bag.reader, bag.topics, 50))[0]

        messages = list(numbered(recorded(bag.reader, bag.topics, print), {}))
        seconds, images = cpu(lambda: [read_image(message, DEFAULT) for message in messages])
        found['decode_ms'] = 1e3 * seconds / options.images
        answers: list[Answer] = []
        for image in images:
            boxes = random.uniform(0, 700, (OBJECTS, 4)).astype(np.float32)
            answers.append((image, Detections(
                boxes, random.random(OBJECTS, np.float32), random.integers(0, 2, OBJECTS))))

        def write() -> None:
            with (folder / 'part').open('w') as part:
                for answer in answers:
                    write_answer(part, answer)
                write_end(part)

        found['part_write_ms'] = 1e3 * cpu(write)[0] / options.images
        found['part_bytes'] = (folder / 'part').stat().st_size / options.images

        color_detector(folder / 'm.onnx')
        pipeline = create_pipeline(load_model(folder / 'm.onnx'))
        pipeline.open()
        target = folder / 'out' / '.x' / 'bag'
        target.mkdir(parents=True)

        def again() -> Generator[Answer, None, None]:
            yield from stored_answers([folder / 'part'])

        # Other threads write, so the time of the process counts.
        before = time.process_time()
        annotate_bag(
            bag.reader, bag.topics, pipeline, target, AnnotateOptions(), {'run': '', 'bag': ''}, print, answers=again())
        found['outputs_ms'] = 1e3 * (time.process_time() - before) / options.images
        found['output_bytes'] = sum(
            path.stat().st_size for path in target.rglob('*') if path.is_file()) / options.images
        pipeline.close()
    found['schedule_us'] = schedule_us()
    if options.ray:
        found['ray_call_ms'] = ray_call_ms()
    print(json.dumps({key: round(value, 4) for key, value in found.items()}))
    return 0


def schedule_us(bags: int = 2000, parts: int = 20, workers: int = 100) -> float:
    """Return the CPU time of a task in the scheduler, in microseconds."""
    def work() -> int:
        schedule = Schedule([parts * 5000] * bags)
        now, tasks = 0.0, 0
        for worker in range(workers):
            schedule.join(worker)
        while not schedule.is_finished:
            running = [(worker, task) for worker in range(workers) if (task := schedule.next(worker, now)) is not None]
            now += 10.0
            for worker, task in running:
                tasks += 1
                if schedule.done(task, worker, now) and task.kind == 'survey':
                    schedule.surveyed(task.bag, [5000] * parts)
        return tasks

    seconds, tasks = cpu(work)
    return 1e6 * seconds / tasks


def ray_call_ms(calls: int = 500) -> float:
    """Return the time of a call of an actor, with its answer, in milliseconds; the median."""
    import ray

    from trt_perception.fleet.ray_crew import LOCAL, connected

    class Nothing:
        def call(self, value: object) -> object:
            return value

    with connected(LOCAL):
        actor = ray.remote(Nothing).remote()
        times = []
        for _ in range(calls):
            began = time.perf_counter()
            ray.get(actor.call.remote(('a/path', list(range(20)))))
            times.append(time.perf_counter() - began)
    return 1e3 * sorted(times)[calls // 2]


if __name__ == '__main__':
    raise SystemExit(main())
