# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Run a model on images, folders, videos, bags, cameras and network streams.

Prints the results. --json writes one JSON object for each frame. --draw writes the frames with their results. Frame
numbers start at 0. A frame or a source that cannot be read is reported and skipped. The readable part of a damaged
image is processed, and the damage is reported. In both cases the exit code is 1.

--tracking gives each object an id that stays the same from frame to frame: `id` in the JSON lines, #12 in the text and
the pictures (docs/tracking.md). The images of a folder are tracked like a video with 30 frames per second:

  trt_perception predict yolov3-tiny vtest.avi --tracking --json tracks.jsonl --draw pictures

For a camera or a stream, predict processes the newest frame. If the connection is lost, predict opens it again. Ctrl-C,
--max-frames or --duration ends the run:

  trt_perception predict yolov3-tiny 0 --draw pictures --max-frames 100
  trt_perception predict yolov3-tiny rtsp://user:password@192.168.1.20/stream1 --json - --duration 60

--compare finds the step in which the results differ from those of a notebook (docs/preprocessing.md). The exit code is
1 if a step differs:

  trt_perception predict alexnet.onnx --compare notebook.npz
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..catalogue.catalog import catalog_names
from ..catalogue.resolve import resolve_video
from ..errors import EngineError, ParameterError, PerceptionError, SourceError, one_line, printable
from ..image.encodings import ENCODINGS
from ..image.options import DROP, KEEP
from ..image.watch import nearly_black
from ..parameters.table import Values
from ..pipeline.interface import Pipeline
from ..progress import ConsoleProgress, counted
from ..results.json_lines import result_record
from ..sources.live import LiveOptions
from ..sources.live_names import is_live, shown
from ..sources.open_source import open_source
from ..sources.source import Source, SourceFrame
from .drawings import Drawings
from .files import OutputError, Outputs
from .growing_file import GrowingFile
from .model_arguments import add_model_arguments, add_run_arguments, files_read, image_options, load, open_pipeline
from .notebook import compare_with_notebook, image_of, read_notebook
from .numbers import above_zero, positive
from .parameter_options import add_parameter
from .together import require_beside
from .tracks import SourceTracks, require_tracking


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    add_model_arguments(parser)
    sources = parser.add_argument(
        'sources', nargs='+', metavar='SOURCE',
        help='an image, a folder of images and videos, a video, a bag, a camera (0 or /dev/video0), the URL of a '
             'stream, or a video of the catalogue, such as bikes')
    add_run_arguments(parser)
    add_parameter(parser, '--tracking', 'tracking')
    add_parameter(parser, '--tracking-buffer', 'tracking_buffer', metavar='SECONDS')
    add_parameter(parser, '--tracking-low-score', 'tracking_low_score', metavar='S')
    parser.add_argument('--topic', help='image topic of a bag that has several')
    add_parameter(parser, '--damaged-images', 'damaged_images', KEEP, default=KEEP)
    parser.add_argument(
        '--json', metavar='FILE',
        help="write JSON lines; '-' for standard output. An older file stays "
             'until all sources are processed, with a camera or a stream until the first line')
    parser.add_argument(
        '--draw', metavar='DIR',
        help='write each frame with its results as a PNG; with the masks of a segmentation model')
    parser.add_argument(
        '--compare', metavar='FILE.npz', type=Path, action=_without(sources),
        help='tell in which step the results differ from a notebook. The file has the arrays image (RGB) or image_bgr, '
             'input, and output (the raw one). Without an image in the file, SOURCE is the image')
    parser.add_argument(
        '--max-frames', type=positive, metavar='N', help='process at most N frames of each source')
    parser.add_argument(
        '--duration', type=above_zero, metavar='SECONDS', help='read each camera or stream for this time only')


def _without(positional: argparse.Action) -> type[argparse.Action]:
    """Return the action of an option with which the positional argument may be left out."""
    class Store(argparse.Action):
        def __call__(
            self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any,
            option_string: str | None = None,
        ) -> None:
            setattr(namespace, self.dest, values)
            positional.required = False

    return Store


def run(options: argparse.Namespace) -> int:
    """Run; 0 if every frame was read and processed."""
    if options.compare is not None:
        return _compare(options)
    require_tracking(options)
    if not any(map(is_live, options.sources)):
        require_beside('a camera or a stream', {'--duration': options.duration is not None})
    spec = load(options)
    sources = [_source(name) for name in options.sources]
    outputs = Outputs(*files_read(options, spec), *sources)
    if options.json and options.json != '-':
        if options.json.endswith('/'):
            # Path leaves it out.
            raise OutputError(f'--json {options.json}: it is a folder; expected the name of a file to write')
        outputs.file('--json', Path(options.json))
    drawings = Drawings(options.draw, spec, outputs) if options.draw else None
    with _output(options) as output, open_pipeline(spec, options) as pipeline:
        run = _Run(options, pipeline, output, drawings)
        for name in sources:
            run.source(name)
    return 1 if run.failures else 0


def _source(name: str) -> str:
    """Return the path of a catalogue video, which is fetched if it is missing; any other text as it is."""
    if name not in catalog_names('video'):
        return name
    with ConsoleProgress() as progress:
        return str(resolve_video(name, progress=progress))


def _compare(options: argparse.Namespace) -> int:
    """Compare with a notebook's arrays; 0 if no step differs."""
    for name in ('json', 'draw', 'tracking', 'tracking_buffer', 'tracking_low_score', 'max_frames', 'duration'):
        if getattr(options, name) not in (None, False, getattr(Values(), name, None)):
            option = f'--{name.replace("_", "-")}'
            raise ParameterError(f'--compare looks at one image and prints what differs: leave {option} out')
    arrays = read_notebook(options.compare)
    frame = image_of(arrays)
    sources = options.sources or []
    if len(sources) != (frame is None):
        raise ParameterError(
            f'--compare takes {"one image as SOURCE" if frame is None else "the image of its file, and no SOURCE"}')
    spec = load(options)
    if frame is None:
        with open_source(_source(sources[0]), options.topic, options=image_options(options, DROP)) as source:
            frame = next(iter(source)).frame
    with open_pipeline(spec, options) as pipeline:
        result = pipeline.run(frame).result
        report = compare_with_notebook(pipeline.spec, arrays, frame, result, pipeline.settings)
    for line in report.lines:
        print(printable(line))
    return 1 if report.different else 0


class _Run:
    """Processes sources one after the other. What cannot be read or processed is reported and counted."""

    def __init__(
        self, options: argparse.Namespace, pipeline: Pipeline, output: Callable[[str], None] | None,
        drawings: Drawings | None,
    ) -> None:
        self._options = options
        self._pipeline = pipeline
        self._output = output
        self._drawings = drawings
        self._tracks: SourceTracks | None = None
        if options.tracking:
            self._tracks = SourceTracks(pipeline, options.tracking_buffer, options.tracking_low_score)
        self.failures = 0

    def source(self, name: str) -> None:
        """Process a source to its end."""
        options = LiveOptions(self._options.duration, lambda text: print(one_line(text), file=sys.stderr))
        images = image_options(self._options, self._options.damaged_images)
        try:
            source = open_source(name, self._options.topic, self._failed, images, options)
        except (PerceptionError, MemoryError) as error:
            self._failed(error)
            return
        for note in source.notes:
            print(f'note: {printable(note)}', file=sys.stderr)
        if self._tracks is not None:
            self._tracks.start()
        label = shown(name) if is_live(name) else Path(name).name or name
        with source, ConsoleProgress(unit='frames') as progress:
            for number, item in enumerate(counted(self._frames(source, label), label, source.len_hint, progress), 1):
                self._frame(item)
                if number == self._options.max_frames:
                    break

    def _frames(self, source: Source, label: str) -> Iterator[SourceFrame]:
        """Yield the frames. An error ends this source, not the others."""
        try:
            yield from source
        except PerceptionError as error:
            self._failed(error)
        except MemoryError as error:
            self._failed(SourceError(f'{label}: out of memory: {error}'))

    def _frame(self, item: SourceFrame) -> None:
        if item.frame.damage:
            self._failed(SourceError(f'{item.source} frame {item.index}: {item.frame.damage}'))
        # Black images of 8 bits are usual at the start of a video. With 16 bits, an option may be missing.
        sixteen_bits = ENCODINGS[item.frame.encoding].sample_bytes == 2
        if item.index == 0 and sixteen_bits and (dark := nearly_black(item.frame)):
            print(f'warning: {printable(item.source)}: {dark}', file=sys.stderr)
        try:
            # Masks are only drawn.
            with_masks = self._drawings is not None and self._pipeline.spec.has_masks
            done = self._pipeline.run(item.frame, masks=True) if with_masks else self._pipeline.run(item.frame)
        except PerceptionError as error:
            if isinstance(error, EngineError) and error.fatal:
                raise
            self._failed(SourceError(f'{item.source} frame {item.index}: {error}'))
            return
        result = done.result if self._tracks is None else self._tracks.update(item, done.result)
        record = result_record(
            item.source, item.index, item.frame.width, item.frame.height, result, self._pipeline.spec.name_of,
            done.timings_ms, item.stamp_ns)
        if self._output is not None:
            self._output(json.dumps(record))
        if self._options.json != '-':
            print(_summary(record), flush=True)
        if self._drawings is not None:
            self._drawings.draw(item, result)

    def _failed(self, error: BaseException) -> None:
        self.failures += 1
        print(f'trt_perception: {one_line(error)}', file=sys.stderr)


@contextlib.contextmanager
def _output(options: argparse.Namespace) -> Iterator[Callable[[str], None] | None]:
    """Yield what writes a line to --json: it is in the file, or with the reader of the pipe, when the call returns."""
    if not options.json:
        yield None
    elif options.json == '-':
        yield lambda line: print(line, flush=True)
    else:
        # A camera or a stream is ended by the user, so its file is never complete.
        endless = any(map(is_live, options.sources))
        with GrowingFile('--json', Path(options.json), endless) as file:
            yield file.line


def _summary(record: dict[str, Any]) -> str:
    found = record['detections'] if 'detections' in record else record['classifications']
    text = ', '.join(
        f"{'#' + entry['id'] + ' ' if entry.get('id') else ''}{printable(entry['class_id'])} {entry['score']:.2f}"
        for entry in found) or 'nothing'
    return f"{printable(record['source'])} {record['frame']}: {text} ({record['timings_ms']['infer']:.1f} ms)"
