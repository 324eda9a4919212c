# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Annotates one bag: reading, network and writing overlap, and every image is processed, in order."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import SourceError
from ..pipeline.interface import Pipeline
from ..progress import ProgressCallback, silent
from ..sources.bag_metadata import BagTopic
from ..sources.bag_reader import BagReader
from .bag_output import BagOutput
from .coco_output import CocoOutput
from .errors import writing
from .item import Annotated
from .json_output import JsonLines
from .merging import Losses
from .missed import OtherModel
from .options import BAG, COCO, JSON, PARQUET, VIDEO, AnnotateOptions
from .overlap import Behind
from .parquet_output import ParquetOutput
from .running import Answer, DamagedPlace, run_images
from .tracks import BagTracks
from .video_output import VideoOutput

# Results that wait to be written. With COCO each has its image.
_BEHIND = 8
# What comes after the last result.
_END = 'end'


class Output(Protocol):
    """One file, or one folder, that results are written into, in order."""

    def write(self, item: Annotated) -> None:
        """Append a result."""

    def finish(self) -> None:
        """Complete the file. No other method is called after it."""

    def abort(self) -> None:
        """Close the file as it is. Raises nothing."""


@dataclass
class Counts:
    """What was done with the messages of a bag.

    images: processed; objects: found in them; bad: messages that could not be read or processed; damaged: images of
    which a part was read, which are among `images` too; places: damaged or missing parts of the files
    """

    images: int = 0
    objects: int = 0
    bad: int = 0
    damaged: int = 0
    places: int = 0

    @property
    def problems(self) -> int:
        """The number of all of them."""
        return self.bad + self.damaged + self.places


def annotate_bag(
    bag: BagReader, topics: list[BagTopic], pipeline: Pipeline, folder: Path, options: AnnotateOptions,
    provenance: Mapping[str, Any], report: Callable[[SourceError], None], progress: ProgressCallback = silent,
    other: OtherModel | None = None, answers: Generator[Answer, None, None] | None = None,
) -> Counts:
    """Write the results of all images of some topics into an empty folder.

    bag: opened with `cut_off`; topics: see reading.chosen_topics; pipeline: open, of this thread
    provenance: JSON values with `run` and `bag`, for all outputs
    report: called with each message, and each part of the bag, that cannot be read, in order
    progress: called after each image with the name of the bag, the number done, and the number that metadata.yaml has
    other: COCO takes only images of which this model misses an object
    answers: the images with their results, if the model was run before

    Raises SourceError if the bag cannot be read for a reason that may pass, AnnotateError if an output cannot be
    written, EngineError.
    """
    counts = Counts()
    losses = Losses(report)
    lost = losses.reader()
    total = sum(topic.count for topic in topics)
    tracks = None if options.tracking is None else BagTracks(options.tracking)
    with contextlib.ExitStack() as stack:
        outputs = _outputs(bag, topics, pipeline, folder, options, provenance, other, losses)
        for output in outputs:
            stack.callback(output.abort)
        with Behind(lambda item: _write(item, outputs, folder), _BEHIND) as writer:
            found = stack.enter_context(contextlib.closing(
                run_images(bag, topics, pipeline, options.images) if answers is None else answers))
            progress(bag.path.name, 0, total)
            for image, result in found:
                if isinstance(result, DamagedPlace):
                    lost(result)
                elif isinstance(result, SourceError):
                    counts.bad += 1
                    report(SourceError(f'{bag.path}: {result}'))
                else:
                    assert image is not None
                    if tracks is not None:
                        result = tracks.update(image, result)
                    if image.frame.damage:
                        counts.damaged += 1
                        report(SourceError(f'{bag.path}: frame {image.index} of {image.topic}: {image.frame.damage}'))
                    counts.images += 1
                    counts.objects += len(result)
                    writer.put(Annotated(image, result))
                progress(bag.path.name, counts.images + counts.bad, total)
            # By the thread that wrote: with old versions of rosbags, SQLite is read by the thread that opened it.
            writer.put(_END)
        stack.pop_all()
    if not losses.count:
        # Otherwise the damaged places say it.
        copies = [output.missing() for output in outputs if isinstance(output, BagOutput)]
        for missing in (bag.missing(topics, counts.images + counts.bad), *copies):
            if missing is not None:
                lost(missing)
    counts.places = losses.count
    return counts


def _outputs(
    bag: BagReader, topics: list[BagTopic], pipeline: Pipeline, folder: Path, options: AnnotateOptions,
    provenance: Mapping[str, Any], other: OtherModel | None, losses: Losses,
) -> list[Output]:
    outputs: list[Output] = []
    names = [topic.name for topic in topics]
    with writing(folder.parents[1]):
        if BAG in options.formats:
            outputs.append(BagOutput(
                folder / 'annotations', pipeline.spec, names, provenance,
                options.annotations, bag if options.merge else None, losses.reader()))
        if JSON in options.formats:
            outputs.append(JsonLines(
                folder / 'results.jsonl', pipeline.spec, str(provenance['bag']), str(provenance['run'])))
        if COCO in options.formats:
            outputs.append(CocoOutput(
                folder / 'coco', pipeline.spec, names, options.selection, provenance, other))
        if PARQUET in options.formats:
            outputs.append(ParquetOutput(folder / 'results.parquet', pipeline.spec, provenance))
        if VIDEO in options.formats:
            outputs.append(VideoOutput(folder / 'video', pipeline.spec, names, provenance))
    return outputs


def _write(item: Annotated | str, outputs: list[Output], folder: Path) -> None:
    with writing(folder.parents[1]):
        for output in outputs:
            if isinstance(item, Annotated):
                output.write(item)
            else:
                output.finish()
