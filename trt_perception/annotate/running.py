# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the images of a bag, or of a part of it, and runs the model on them, in order."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator

from ..errors import FrameError, SourceError
from ..image.options import ImageOptions
from ..pipeline.interface import Pipeline
from ..results.results import Result
from ..sources.bag_metadata import BagTopic
from ..sources.bag_reader import BagReader
from ..sources.bag_recording import WHOLE, BagPart, recorded
from .item import BagImage
from .overlap import batches, in_threads, prepared_ahead
from .reading import Numbered, numbered, read_image

# Images that are decoded, or being decoded, while the network runs: enough for a batch and the next one.
_AHEAD = 4
_DECODERS = 2
# An image with its result, or why there is none.
Answer = tuple[BagImage | None, Result | SourceError]


class DamagedPlace(SourceError):
    """A damaged or missing part of the files of a bag; other SourceErrors are of one message."""


def read_images(
    bag: BagReader, topics: list[BagTopic], options: ImageOptions, part: BagPart = WHOLE, ahead: int = _AHEAD,
) -> Generator[BagImage | SourceError, None, None]:
    """Yield each image, or what is wrong with a message or a place of the bag, in order.

    ahead: images that are read in advance, in other threads. Raises as `recorded`.
    """
    return prepared_ahead(
        _items(bag, topics, part),
        lambda item: item if isinstance(item, SourceError) else read_image(item, options), _DECODERS, ahead)


def run_images(
    bag: BagReader, topics: list[BagTopic], pipeline: Pipeline, options: ImageOptions, part: BagPart = WHOLE,
) -> Generator[Answer, None, None]:
    """Yield each image with its result, or the error of a message or a place, in order.

    Raises SourceError if the bag cannot be read for a reason that may pass, EngineError.
    """
    def work(batch: list[BagImage | SourceError]) -> list[Answer]:
        good = [image for image in batch if isinstance(image, BagImage)]
        results = iter(_results(pipeline, good))
        return [(image, next(results)) if isinstance(image, BagImage) else (None, image) for image in batch]

    ahead = max(_AHEAD, 2 * pipeline.max_batch * pipeline.concurrent_runs)
    with contextlib.closing(read_images(bag, topics, options, part, ahead)) as images:
        # A damaged place does not count, so that each batch has the same messages if the bag is split.
        together = batches(images, pipeline.max_batch, lambda item: not isinstance(item, DamagedPlace))
        for done in in_threads(together, work, pipeline.concurrent_runs):
            yield from done


def _items(bag: BagReader, topics: list[BagTopic], part: BagPart) -> Iterator[Numbered | DamagedPlace]:
    """Yield the messages, and the damaged places where they are."""
    places: list[DamagedPlace] = []
    messages = numbered(recorded(bag, topics, lambda error: places.append(DamagedPlace(*error.args)), part), part.first)
    for message in messages:
        yield from places
        places.clear()
        yield message
    yield from places


def _results(pipeline: Pipeline, images: list[BagImage]) -> list[Result | SourceError]:
    if len(images) > 1:
        # Of a batch with a frame that does not fit, the others are run one by one.
        with contextlib.suppress(FrameError):
            return [output.result for output in pipeline.run_batch([image.frame for image in images])]
    return [_result(pipeline, image) for image in images]


def _result(pipeline: Pipeline, image: BagImage) -> Result | SourceError:
    try:
        return pipeline.run(image.frame).result
    except FrameError as error:
        return SourceError(f'frame {image.index} of {image.topic}: {error}')
