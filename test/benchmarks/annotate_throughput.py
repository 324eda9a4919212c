# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares `annotate` with the bare network on the same images, in turns, because speeds drift.

    PYTHONPATH=.:test .venv/bin/python test/benchmarks/annotate_throughput.py [--images 5000] [--kind raw]

Each turn annotates a bag of --turn images into a new folder, and runs the network on the same images in memory, with
the same threads, in changing order. The images are those of the catalogue video, or photos with --size. The figures are
the median of the ratios of the turns, and the ratio for all images together. The processor time of each image, of all
threads, depends less on other programs.
At the end, with --whole, one bag has all images, and the peak of the memory is shown.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from trt_perception.annotate.annotate import annotate
from trt_perception.annotate.options import FORMATS, AnnotateOptions
from trt_perception.annotate.overlap import batches, in_threads
from trt_perception.annotate.store import Store
from trt_perception.backends.create import create_pipeline
from trt_perception.catalogue.resolve import resolve_model, resolve_video
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.monitor import Monitor
from trt_perception.pipeline.interface import Pipeline
from trt_perception.pipeline.options import PipelineOptions
from trt_perception.sources.open_source import open_source

PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'
START_NS = 1_700_000_000 * 10**9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--model', default='nanodet-g')
    parser.add_argument('--images', type=int, default=5000)
    parser.add_argument('--turn', type=int, default=250)
    parser.add_argument('--size', type=lambda text: tuple(map(int, text.split('x'))), default=None, metavar='WxH')
    parser.add_argument('--kind', choices=('raw', 'jpeg'), default='raw')
    parser.add_argument('--formats', default='bag,json', help=f'of {",".join(FORMATS)}')
    parser.add_argument('--merge', action='store_true')
    parser.add_argument('--folder', type=Path, default=None, help='for the bags (default: the temporary folder)')
    parser.add_argument('--whole', action='store_true')
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        bag = folder / 'bag'
        frames = _write(bag, options.turn, options.turn, options.size, options.kind)
        pipeline = stack.enter_context(_opened(options.model))
        wanted = AnnotateOptions(formats=tuple(options.formats.split(',')), merge=options.merge)
        numbers = itertools.count()

        def annotated(path: Path) -> None:
            with Store.opened(folder / f'out{next(numbers)}') as store:
                annotate([path], store, lambda: pipeline, wanted, print, lambda outcome: None)

        def bare(path: Path) -> None:
            for _ in in_threads(batches(frames, 1), lambda batch: pipeline.run(batch[0]), pipeline.concurrent_runs):
                pass

        bare(bag)
        turns: list[dict[str, Any]] = []
        for turn in range(max(1, options.images // options.turn)):
            ways: list[Callable[[Path], None]] = [annotated, bare] if turn % 2 else [bare, annotated]
            found = {way.__name__: _measured(way, bag, options.turn) for way in ways}
            turns.append(found)
            print(f'{turn}: annotate {found["annotated"][0]:.1f} images/s, network {found["bare"][0]:.1f}', flush=True)
        report = {
            'ratio': round(statistics.median(t['annotated'][0] / t['bare'][0] for t in turns), 3),
            'ratio_of_totals': round(
                sum(1 / t['bare'][0] for t in turns) / sum(1 / t['annotated'][0] for t in turns), 3),
            'turns': len(turns), 'load': os.getloadavg()[1],
            **{f'{name}_images_per_s': round(statistics.median(t[name][0] for t in turns), 1) for name in turns[0]},
            **{f'{name}_cpu_ms': round(statistics.median(t[name][1] for t in turns), 2) for name in turns[0]}}
        if options.whole:
            del frames
            whole = folder / 'whole'
            _write(whole, options.images, options.turn, options.size, options.kind)
            before = _peak_mb()
            report['whole_images_per_s'] = round(_measured(annotated, whole, options.images)[0], 1)
            report['peak_mb'] = [before, _peak_mb()]
        print(json.dumps(report))


def _measured(way: Callable[[Path], None], bag: Path, count: int) -> tuple[float, float]:
    """Return images/s, and milliseconds of processor time for each image."""
    started, processor = time.perf_counter(), time.process_time()
    way(bag)
    return count / (time.perf_counter() - started), 1e3 * (time.process_time() - processor) / count


@contextlib.contextmanager
def _opened(model: str) -> Iterator[Pipeline]:
    spec = load_model(resolve_model(model))
    pipeline = create_pipeline(spec, PipelineOptions(cameras=64), None, Monitor())
    pipeline.open()
    try:
        yield pipeline
    finally:
        pipeline.close()


def _pictures(size: tuple[int, int] | None, count: int) -> list[np.ndarray]:
    if size is None:
        with open_source(str(resolve_video('bikes'))) as source:
            return [item.frame.bgr() for item in itertools.islice(source, count)]
    photos = [cv2.resize(cv2.imread(str(path)), size) for path in sorted(PHOTOS.glob('*.jpg'))]
    return [np.roll(photos[number % len(photos)], 7 * number, axis=1) for number in range(count)]


def _write(bag: Path, count: int, different: int, size: tuple[int, int] | None, kind: str) -> list[Frame]:
    """Write a bag of `count` images, of which the first ones differ; return the first ones."""
    from rosbags import rosbag2
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    types = store.types
    pictures = _pictures(size, different)
    name = 'sensor_msgs/msg/Image' if kind == 'raw' else 'sensor_msgs/msg/CompressedImage'
    with rosbag2.Writer(bag, version=8, storage_plugin=rosbag2.StoragePlugin.MCAP) as writer:
        connection = writer.add_connection('/image', name, typestore=store)
        for number in range(count):
            pixels = pictures[number % len(pictures)]
            height, width = pixels.shape[:2]
            stamp_ns = START_NS + number * 33_000_000
            stamp = types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 10**9))
            header = types['std_msgs/msg/Header'](stamp, 'camera')
            message = (
                types[name](header, height, width, 'bgr8', 0, 3 * width, np.ascontiguousarray(pixels).reshape(-1))
                if kind == 'raw' else types[name](header, 'jpeg', cv2.imencode('.jpg', pixels)[1].reshape(-1)))
            writer.write(connection, stamp_ns, store.serialize_cdr(message, name))
    return [Frame.from_bgr(pixels) for pixels in pictures]


def _peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


if __name__ == '__main__':
    main()
