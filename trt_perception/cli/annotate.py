# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Run a model on every image of recordings, and write the results as a bag, JSON, COCO, Parquet or video.

  trt_perception annotate BAG... --model nanodet-g --output results

Each bag gets a folder in --output: annotations/ is a rosbag2 (MCAP) with vision_msgs and foxglove_msgs/ImageAnnotations
at the times of the images, results.jsonl has a JSON line for each image, coco/ has some images as JPEG with the boxes
for labelling, and annotation.json has the model's hash, versions, settings and counts. The recordings are not changed.

After an interruption, run the same command again: it skips the bags that are finished with the same content and
settings. A message that cannot be read is reported, counted and left out; then the exit code is 1. docs/annotate.md.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from ..annotate.annotate import Outcome, annotate
from ..annotate.known_files import content_of_frames
from ..annotate.options import BAG, COCO, FORMATS, JSON, AnnotateOptions
from ..annotate.rate import Rate
from ..annotate.store import Store
from ..annotate.tracks import Tracking
from ..errors import ParameterError, one_line, printable
from ..fleet.worker import Opened
from ..image.options import KEEP
from ..model.spec import ModelSpec
from ..pipeline.interface import Pipeline
from ..progress import ConsoleProgress
from ..sources.bag_paths import folder_of_storage_file
from .annotate_fleet import add_fleet_arguments, check_fleet, is_remote, path_or_url, run_fleet, run_remote
from .coco_arguments import add_coco_arguments, chosen_images
from .files import OutputError, Outputs
from .missed_by import load_other, other_model, other_settings
from .model_arguments import (
    add_model_arguments,
    add_run_arguments,
    files_read,
    image_options,
    load,
    open_pipeline,
    settings,
)
from .numbers import whole
from .parameter_options import add_parameter
from .together import require_beside
from .tracks import require_tracking

# On the CPU so many images run at the same time, each on one core, if the machine has so many. That takes less time for
# all of them than one after the other on all cores.
_AT_ONCE = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    parser.add_argument(
        'bags', nargs='+', type=path_or_url, metavar='BAG',
        help='a rosbag2 (folder, .mcap or .db3 file) or a ROS 1 .bag file; a path, or a URL such as s3://bucket/day1')
    add_model_arguments(parser, as_option=True)
    add_run_arguments(parser)
    parser.add_argument(
        '--output', required=True, type=path_or_url, metavar='DIR', help='folder for the results, a path or a URL')
    parser.add_argument(
        '--topic', action='append', default=[], metavar='TOPIC',
        help='an image topic; for several topics give the option several times (default: all image topics of a bag)')
    parser.add_argument(
        '--formats', type=_formats, default=(BAG, JSON), metavar='F[,F]',
        help=f'what to write: {", ".join(FORMATS)} (default: {BAG},{JSON}); parquet needs pyarrow')
    parser.add_argument(
        '--no-image-annotations', action='store_true', help='leave foxglove_msgs/ImageAnnotations out of the bag')
    parser.add_argument(
        '--merge', action='store_true',
        help='also copy all messages of the recording into the bag, so one file has everything')
    add_parameter(parser, '--tracking', 'tracking')
    add_parameter(parser, '--tracking-buffer', 'tracking_buffer', metavar='SECONDS')
    add_parameter(parser, '--tracking-low-score', 'tracking_low_score', metavar='S')
    parser.add_argument(
        '--concurrent', type=whole(0, 64), default=0, metavar='N',
        help='images that run at the same time (default: on ONNX Runtime one for each thread, otherwise 1)')
    parser.add_argument(
        '--max-batch', type=whole(1, 64), default=1, metavar='N',
        help='images that ONNX Runtime runs as one batch, if the model has a dynamic batch (default: %(default)s)')
    add_parameter(parser, '--damaged-images', 'damaged_images', KEEP, default=KEEP)
    add_coco_arguments(parser)
    add_fleet_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Annotate; 0 if every image of every bag was read and processed."""
    check_fleet(options)
    spec = load(options)
    other = load_other(options, spec)
    if options.tracking and spec.task != 'detection':
        raise ParameterError(
            f'--tracking needs a detector, but {spec.path.name} is a classifier: leave --tracking out')
    if BAG not in options.formats:
        require_beside(f'the format {BAG}', {'--no-image-annotations': options.no_image_annotations})
    if options.merge and BAG not in options.formats:
        raise ParameterError(f'--merge copies the recording into the bag of the results: add {BAG} to --formats')
    remote = is_remote(options)
    if not remote:
        _check_output(options, spec, other)
    wanted = _options(options, spec, other)
    outcomes: list[Outcome] = []
    out = sys.stdout  # Not that of the time of printing: Ray prints too.
    with contextlib.ExitStack() as stack:
        console = stack.enter_context(ConsoleProgress(unit='images'))

        def report(line: str) -> None:
            console.close()
            print(f'trt_perception: {one_line(line)}', file=sys.stderr)

        def finished(outcome: Outcome) -> None:
            console.close()
            outcomes.append(outcome)
            print(_summary(outcome), file=out, flush=True)

        if remote:
            run_remote(options, wanted, opened_worker, report, finished, console)
            return _code(outcomes)
        store = stack.enter_context(Store.opened(options.output))
        if options.ray:
            run_fleet(options, store, wanted, opened_worker, report, finished, console)
        else:
            compared = None if other is None else stack.enter_context(other_model(options, spec, other))
            annotate(
                options.bags, store, lambda: _pipeline(options, spec, wanted, stack), wanted, report, finished,
                Rate(console), compared)
    return _code(outcomes)


def _code(outcomes: Sequence[Outcome]) -> int:
    return 0 if all(outcome.folder is not None and not outcome.counts.problems for outcome in outcomes) else 1


@contextlib.contextmanager
def opened_worker(options: argparse.Namespace) -> Iterator[Opened]:
    """Yield what a worker of --ray has open, with the warnings that `run` would print."""
    printed = io.StringIO()
    with contextlib.ExitStack() as stack:
        with contextlib.redirect_stderr(printed):
            spec = load(options)
            other = load_other(options, spec)
            wanted = _options(options, spec, other)
            pipeline = _pipeline(options, spec, wanted, stack)
            compared = None if other is None else stack.enter_context(other_model(options, spec, other))
        warnings = [line for line in printed.getvalue().splitlines() if line.startswith(('warning:', 'error:'))]
        yield Opened(pipeline, wanted, compared, tuple(warnings))


def _pipeline(
    options: argparse.Namespace, spec: ModelSpec, wanted: AnnotateOptions, stack: contextlib.ExitStack,
) -> Pipeline:
    """Return the open pipeline, which the stack closes."""
    opened = stack.enter_context(open_pipeline(
        spec, options, cameras=_AT_ONCE, concurrent_runs=options.concurrent, max_batch=options.max_batch))
    if wanted.tracking is not None:
        opened.settings = opened.settings.down_to(wanted.tracking.low_score)
    return opened


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(',')))
    for name in names:
        if name not in FORMATS:
            raise argparse.ArgumentTypeError(f"invalid choice: '{name}' (choose from {', '.join(FORMATS)})")
    return names


def _check_output(options: argparse.Namespace, spec: ModelSpec, other: ModelSpec | None) -> None:
    """Raise OutputError if the results would lie in a bag, or could replace something that is read."""
    others = [] if other is None else [other.path]
    Outputs(*files_read(options, spec), *options.bags, *others).folder('--output', options.output)
    output = options.output.resolve()
    for bag in options.bags:
        folder = bag if bag.is_dir() else folder_of_storage_file(bag)
        if folder is not None and folder.resolve() in output.parents:
            raise OutputError(
                f'--output {options.output} is in the bag {folder}, which this command reads: choose another folder')


def _options(options: argparse.Namespace, spec: ModelSpec, other: ModelSpec | None) -> AnnotateOptions:
    require_tracking(options)
    images = image_options(options, options.damaged_images)
    selection = chosen_images(options, spec)
    thresholds = settings(options, spec)
    tracking = Tracking(
        options.tracking_buffer, thresholds.detection.score_threshold, options.tracking_low_score,
    ) if options.tracking else None
    values: dict[str, Any] = {
        'model_sha256': spec.sha256, 'names': list(spec.names), 'head': repr(spec.head),
        'preprocessing': repr(spec.preprocessing), 'input': [spec.width, spec.height],
        'backend': options.backend, 'precision': options.precision or spec.stored_precision,
        'calibration': [options.calibration, options.calibration_topic, options.calibration_samples,
                        options.calibration_method] if options.calibration else None,
        # They decide which layers are in int8, and whether the model is accurate enough to be run.
        'calibration_content': content_of_frames(options.calibration) if options.calibration else None,
        'min_agreement': options.min_agreement,
        'thresholds': repr(thresholds), 'images': asdict(images), 'formats': sorted(options.formats),
        'image_annotations': not options.no_image_annotations,
        'merge': options.merge,
        'tracking': asdict(tracking) if tracking is not None else None,
        'selection': asdict(selection) if COCO in options.formats else None,
        'missed_by': other_settings(options, other)}
    about = {'model': spec.path.name, **({} if other is None else {'missed_by': other.path.name})}
    return AnnotateOptions(
        tuple(options.topic), options.formats, not options.no_image_annotations, options.merge, selection, tracking,
        images, values, about)


def _summary(outcome: Outcome) -> str:
    counts = outcome.counts
    name = printable(outcome.bag)
    if outcome.folder is None:
        return f'{name}: not annotated'
    what = ', '.join(_parts(outcome))
    return f'{name}: {"already annotated, " if outcome.skipped else ""}{counts.images} images, {what}' \
           f' -> {printable(outcome.folder)}'


def _parts(outcome: Outcome) -> Iterator[str]:
    counts = outcome.counts
    yield f'{counts.objects} results'
    if counts.bad:
        yield f'{counts.bad} bad messages'
    if counts.damaged:
        yield f'{counts.damaged} damaged images'
    if counts.places:
        yield f'{counts.places} damaged parts'
