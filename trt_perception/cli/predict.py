# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Run a model on images, folders, videos and rosbag2 recordings.

Prints the results. --json writes one JSON object for each frame, --draw writes the frames with their results. Frame
numbers start at 0. A frame that cannot be read is reported and skipped; what can be read of a damaged image is
processed, and reported. In both cases the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ..dependencies import require
from ..errors import PerceptionError, SourceError, printable
from ..image.options import KEEP
from ..image.watch import nearly_black
from ..model.spec import ModelSpec
from ..progress import ConsoleProgress, counted
from ..results.draw import draw_classifications, draw_detections
from ..results.json_lines import result_record
from ..results.results import Detections, Result
from ..sources.open_source import open_source
from ..sources.source import SourceFrame
from .files import check_report
from .model_arguments import add_model_arguments, add_run_arguments, image_options, load, open_pipeline
from .parameter_options import add_parameter


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    add_model_arguments(parser)
    parser.add_argument(
        'sources', nargs='+', metavar='SOURCE', help='an image, a folder of images, a video or a rosbag2')
    add_run_arguments(parser)
    parser.add_argument('--topic', help='image topic of a bag that has several')
    add_parameter(parser, '--damaged-images', 'damaged_images', KEEP, default=KEEP)
    parser.add_argument('--json', metavar='FILE', help="write JSON lines; '-' for standard output")
    parser.add_argument('--draw', metavar='DIR', help='write each frame with its results as a PNG')


def run(options: argparse.Namespace) -> int:
    """Run; 0 if every frame was read and processed."""
    spec = load(options)
    failures: list[str] = []

    def failed(error: PerceptionError) -> None:
        failures.append(str(error))
        print(f'trt_perception: {" ".join(str(error).split())}', file=sys.stderr)

    if options.json and options.json != '-':
        check_report('--json', Path(options.json), spec.path, options.calibration, *options.sources)
    folder = _folder(options.draw)
    images = image_options(options, options.damaged_images)
    drawn: set[Path] = set()
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(_output(options.json))
        pipeline = stack.enter_context(open_pipeline(spec, options))
        for path in options.sources:
            try:
                frames = stack.enter_context(open_source(path, options.topic, failed, images))
            except SourceError as error:
                failed(error)
                continue
            with ConsoleProgress(unit='frames') as progress:
                for item in counted(frames, Path(path).name, frames.len_hint, progress):
                    if item.frame.damage:
                        failed(SourceError(f'{item.source} frame {item.index}: {item.frame.damage}'))
                    _warn_of_darkness(item)
                    try:
                        done = pipeline.run(item.frame)
                    except PerceptionError as error:
                        failed(SourceError(f'{item.source} frame {item.index}: {error}'))
                        continue
                    record = result_record(
                        item.source, item.index, item.frame.width, item.frame.height, done.result,
                        spec.name_of, done.timings_ms)
                    if output is not None:
                        output.write(json.dumps(record) + '\n')
                    if options.json != '-':
                        print(_summary(record))
                    if folder is not None:
                        _draw(folder, item, done.result, spec, drawn)
    return 1 if failures else 0


def _warn_of_darkness(item: SourceFrame) -> None:
    """Print one line if the first frame of a source is nearly black."""
    dark = nearly_black(item.frame) if item.index == 0 else ''
    if dark:
        print(f'warning: {printable(item.source)}: {dark}', file=sys.stderr)


def _folder(name: str | None) -> Path | None:
    if not name:
        return None
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = 'it is a file; expected a folder' if folder.is_file() else error.strerror
        raise SourceError(f'--draw {name}: {reason}') from error
    return folder


@contextlib.contextmanager
def _output(name: str | None) -> Iterator[TextIO | None]:
    if not name:
        yield None
    elif name == '-':
        yield sys.stdout
    else:
        try:
            # Closed below. A Path would write 'results/' as a file of that name.
            file = open(name, 'w', encoding='utf-8')  # noqa: PTH123, SIM115
        except OSError as error:
            raise SourceError(f'--json {name}: {error.strerror}') from error
        try:
            with file:
                yield file
        except OSError as error:
            if error.filename is not None:
                raise
            # A full disk raises when the file is written or closed.
            raise SourceError(f'--json {name}: {error.strerror}') from error


def _summary(record: dict[str, Any]) -> str:
    found = record['detections'] if 'detections' in record else record['classifications']
    text = ', '.join(f"{entry['class_id']} {entry['score']:.2f}" for entry in found) or 'nothing'
    return f"{printable(record['source'])} {record['frame']}: {text} ({record['timings_ms']['infer']:.1f} ms)"


def _draw(folder: Path, item: SourceFrame, result: Result, spec: ModelSpec, drawn: set[Path]) -> None:
    cv2 = require('cv2')
    picture: np.ndarray
    if isinstance(result, Detections):
        picture = draw_detections(item.frame.bgr(), result, spec.names)
    else:
        picture = draw_classifications(item.frame.bgr(), result, spec.names)
    stem = f'{Path(item.source).stem}_{item.index:06d}'
    path, count = folder / f'{stem}.png', 1
    # Sources in different folders may have the same name.
    while path in drawn:
        count += 1
        path = folder / f'{stem}_{count}.png'
    drawn.add(path)
    if not cv2.imwrite(str(path), picture):
        raise SourceError(f'cannot write {path}: check the space left and the permissions')
