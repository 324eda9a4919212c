# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measure a model's pipeline on this machine: each stage's p50, p95 and p99, in one run.

The frame is --image, or noise with the size --size. This command does not use ROS. test/benchmarks/node_benchmark.py in
the source tree measures the whole node.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SourceError, printable
from ..image.frame import Frame
from ..image.options import KEEP
from ..image.size import check_size
from ..node.statistics import PERCENTILES
from ..progress import ConsoleProgress, counted
from ..sources.open_source import open_source
from .files import Outputs, write_report
from .model_arguments import add_model_arguments, add_run_arguments, files_read, image_options, load, open_pipeline
from .numbers import positive

_WARM_UP = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    add_model_arguments(parser)
    add_run_arguments(parser)
    parser.add_argument('--image', metavar='FILE', help='use this image as the frame')
    parser.add_argument(
        '--size', type=_size, metavar='WIDTHxHEIGHT', help='resize the frame (default: 1280x720)')
    parser.add_argument(
        '--frames', type=positive, default=200, metavar='N', help='frames to measure (default: %(default)s)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures as one JSON object')


def run(options: argparse.Namespace) -> int:
    """Measure and print a table."""
    spec = load(options)
    frame = _frame(options)
    Outputs(*files_read(options, spec), options.image).file('--json', options.json)
    samples: dict[str, list[float]] = {}
    with open_pipeline(spec, options) as pipeline:
        for _ in range(_WARM_UP):
            pipeline.run(frame)
        with ConsoleProgress(unit='frames') as progress:
            for _ in counted(range(options.frames), 'benchmark', options.frames, progress):
                timings = pipeline.run(frame).timings_ms
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


def _frame(options: argparse.Namespace) -> Frame:
    if options.size:
        width, height = options.size
        check_size(width, height, '--size: an', options.max_image_pixels)
    if options.image:
        with open_source(options.image, options=image_options(options, KEEP)) as source:
            frame = next(iter(source), None)
        if frame is None:
            raise SourceError(f'{options.image}: expected an image, found none')
        pixels = frame.frame.bgr()
        if options.size:
            from ..dependencies import require
            pixels = require('cv2').resize(pixels, options.size)
        return Frame.from_bgr(pixels)
    width, height = options.size or (1280, 720)
    return Frame.from_bgr(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


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
