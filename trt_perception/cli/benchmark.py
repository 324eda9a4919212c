# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measure a model's pipeline on this machine: each stage's p50, p95 and p99, in one run.

The frames are those of --source, the picture --image, or noise with the size --size. With --against, backends and
precisions are compared on the same frames, in turns, each in a child process:

  trt_perception benchmark yolov3-tiny --against onnxruntime,tensorrt --precision fp32,fp16 --source bikes --plot p.png
  trt_perception benchmark yolov3-tiny --source bikes --report for_the_project

With --ros, the node is measured in its own process, with images over DDS from another process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..catalogue.resolve import resolve_video
from ..errors import ParameterError, one_line, printable
from ..image.frame import Frame
from ..image.options import DROP, KEEP
from ..image.size import check_size
from ..measure.variant import DISTINCT
from ..model.spec import ModelSpec
from ..node.monitoring.statistics import PERCENTILES
from ..progress import ConsoleProgress, counted
from .comparison_options import add_comparison_arguments, is_comparison
from .files import Outputs, write_report
from .model_arguments import add_model_arguments, add_run_arguments, files_read, image_options, load, open_pipeline
from .numbers import positive
from .ros_figures import ROS_SECONDS, add_ros_arguments, measure_node
from .together import require_beside

_WARM_UP = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    add_model_arguments(parser)
    add_run_arguments(parser, several_precisions=True)
    frames = parser.add_mutually_exclusive_group()
    frames.add_argument('--image', metavar='FILE', help='use this image as the frame')
    frames.add_argument(
        '--source', metavar='SOURCE',
        help=f'use up to {DISTINCT} frames of this folder of images, video or bag, evenly spaced')
    parser.add_argument('--topic', metavar='TOPIC', help='image topic of a bag that has several')
    parser.add_argument(
        '--size', type=_size, metavar='WIDTHxHEIGHT', help='resize the frame (default: 1280x720)')
    parser.add_argument(
        '--frames', type=positive, default=200, metavar='N', help='frames to measure (default: %(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures as one JSON object')
    add_comparison_arguments(parser)
    add_ros_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Measure and print a table."""
    spec = load(options)
    if options.against and options.backend != 'auto':
        raise ParameterError('--against names the backends to compare: leave out --backend')
    if not options.ros:
        require_beside('--ros', {'--ros-seconds': options.ros_seconds != ROS_SECONDS})
    source = _source(options)
    if options.ros and not is_comparison(options):
        outputs = Outputs(*files_read(options, spec), options.image, source)
        outputs.file('--json', options.json)
        return _measure_node(options, spec, source)
    if not is_comparison(options):
        options.precision = options.precision[0] if options.precision else None
        frames = [Frame.from_bgr(pixels) for pixels in _frames(options, source)]
        Outputs(*files_read(options, spec), options.image, source).file('--json', options.json)
        return _measure(options, spec, frames)
    outputs = Outputs(*files_read(options, spec), options.image, source, options.pytorch, *(p for _, p in options.file))
    outputs.file('--json', options.json)
    name = Path(options.source).name if options.source else Path(options.image).name if options.image else 'noise'
    from .comparison import run_comparison
    return run_comparison(options, spec, outputs, lambda: _frames(options, source), name)


def _measure_node(options: argparse.Namespace, spec: ModelSpec, source: str | None) -> int:
    """Measure only the node, over DDS."""
    from ..measure.machine import machine, state
    from ..measure.table import print_table
    figures = measure_node(options, spec, _frames(options, source))
    facts = {**machine(), **state()}
    print_table(figures.rows())
    print(figures.note())
    for fact, value in facts.items():
        print(f'{fact}: {printable(value)}')
    if options.json:
        report = {'model': spec.path.name, 'sha256': spec.sha256, 'machine': facts, 'ros': figures.as_dict()}
        write_report('--json', options.json, json.dumps(report, indent=2) + '\n')
    return 0 if figures.highest else 1


def _measure(options: argparse.Namespace, spec: ModelSpec, frames: Sequence[Frame]) -> int:
    """Measure the pipeline in this process."""
    frame = frames[0]
    samples: dict[str, list[float]] = {}
    with open_pipeline(spec, options) as pipeline:
        for _ in range(_WARM_UP):
            pipeline.run(frame)
        with ConsoleProgress(unit='frames') as progress:
            for index in counted(range(options.frames), 'benchmark', options.frames, progress):
                timings = pipeline.run(frames[index % len(frames)]).timings_ms
                for stage, value in {**timings, 'total': sum(timings.values())}.items():
                    samples.setdefault(stage, []).append(value)
        description = pipeline.describe()
    stages = {
        stage: [round(float(p), 3) for p in np.percentile(values, PERCENTILES)]
        for stage, values in samples.items()}
    report: dict[str, Any] = {
        'model': spec.path.name, 'sha256': spec.sha256, 'input_shape': list(spec.input_shape),
        'frame': [frame.width, frame.height, frame.encoding], 'frames': options.frames,
        'machine': f'{platform.machine()}, {os.cpu_count()} cores, {platform.system()}',
        **description, 'stages_ms': stages}
    _print(report)
    if options.json:
        write_report('--json', options.json, json.dumps(report, indent=2) + '\n')
    return 0


def _source(options: argparse.Namespace) -> str | None:
    """Return the path of --source, None without it; fetches a catalogue video that is missing."""
    if options.topic and not options.source:
        raise ParameterError('--topic is the image topic of a bag: give the bag with --source')
    if not options.source:
        return None
    with ConsoleProgress() as progress:
        return str(resolve_video(options.source, progress=progress))


def _frames(options: argparse.Namespace, source: str | None) -> Iterator[np.ndarray]:
    """Yield the frames, (height, width, 3) uint8 BGR: of the source or the image, or one of noise."""
    from ..measure.frames import read_frames
    if options.size:
        width, height = options.size
        check_size(width, height, '--size: an', options.max_image_pixels)
    if source:
        yield from read_frames(
            source, options.topic, options.size, min(options.frames, DISTINCT), image_options(options, DROP),
            lambda text: print(f'warning: {one_line(text)}', file=sys.stderr))
    elif options.image:
        # A damaged image is measured too: its content does not matter.
        yield from read_frames(options.image, '', options.size, 1, image_options(options, KEEP))
    else:
        width, height = options.size or (1280, 720)
        yield np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def _print(report: dict[str, Any]) -> None:
    width, height, encoding = report['frame']
    print(f"{printable(report['model'])} {report['input_shape']} on {report['backend']} {report['backend_version']} "
          f"({report['device']}, {report['machine']}), {width}x{height} {encoding}, {report['frames']} frames")
    print(f"{'stage':<12} {'p50 ms':>9} {'p95 ms':>9} {'p99 ms':>9}")
    for stage, values in report['stages_ms'].items():
        print(f'{stage:<12} ' + ' '.join(f'{value:9.3f}' for value in values))
    stages = report['stages_ms']
    if 'infer' in stages:
        around = stages['preprocess'][0] + stages['postprocess'][0]
        print(f"preprocess + postprocess: {around / stages['infer'][0]:.1%} of the inference (p50)")


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split('x'))
        if width < 1 or height < 1:
            raise ValueError
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text}: expected WIDTHxHEIGHT, such as 1280x720') from None
    return width, height
