# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A worker: one process with one open model, which does one task after the other."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ..annotate.annotate_bag import annotate_bag
from ..annotate.errors import AnnotateError, writing
from ..annotate.known_files import BagFile, KnownFiles
from ..annotate.missed import OtherModel
from ..annotate.one_bag import Lines, OpenBag, record_of
from ..annotate.options import NEEDS_PIXELS, AnnotateOptions
from ..annotate.running import Answer, read_images, run_images
from ..annotate.sealing import seal
from ..annotate.store import content_of, run_of
from ..annotate.stored_answers import stored_answers, with_pixels, write_answer, write_end
from ..errors import EngineError, PerceptionError, SourceError, one_line, reason
from ..pipeline.interface import Pipeline
from ..sources.bag_parts import parts_of
from ..unfinished import temporary_folder
from . import messages
from .messages import Annotated, Failure, Ready, Span, Survey
from .remote import RemoteBag, RemoteResults

_Done = TypeVar('_Done')


@dataclass(frozen=True)
class Opened:
    """What a worker has open. pipeline: of its thread; other: of --coco-missed-by; warnings: of opening them"""

    pipeline: Pipeline
    options: AnnotateOptions
    other: OtherModel | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Order:
    """How a worker begins; it is pickled.

    folder: the current folder, for relative paths; output: the folder of the store, None in object storage
    run: store.run_of the settings, which the worker must have too
    opener: opens the model
    """

    folder: str
    output: Path | None
    run: str
    opener: Callable[[], AbstractContextManager[Opened]]


def _answered(method: Callable[..., _Done]) -> Callable[..., _Done | Failure]:
    """Return errors as a Failure: exceptions of libraries could not be pickled."""
    @functools.wraps(method)
    def call(*arguments: Any) -> _Done | Failure:
        try:
            return method(*arguments)
        except AnnotateError as error:
            return Failure(messages.OUTPUT, str(error))
        except SourceError as error:
            return Failure(messages.BAG, str(error))
        except EngineError as error:
            return Failure(messages.WORKER, str(error), replace=True)
        except PerceptionError as error:
            return Failure(messages.WORKER, str(error))
        except MemoryError as error:
            return Failure(messages.WORKER, f'out of memory: {one_line(error)}', replace=True)
        except Exception as error:
            return Failure(messages.WORKER, f'unexpected error: {one_line(repr(error), 500)}', replace=True)

    return call


class Worker:
    """Does tasks. Each method returns a Failure instead of an exception."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._stack = contextlib.ExitStack()
        self._opened: Opened | None = None

    @_answered
    def open(self) -> Ready:
        """Open the model. The engine is built now, if the cache has none for this kind of machine."""
        host = socket.gethostname()
        order = self._order
        try:
            os.chdir(order.folder)
        except OSError as error:
            raise PerceptionError(
                f'{order.folder} on {host}: {reason(error)}: the folder must be on storage that all machines have '
                'under the same path') from error
        if order.output is not None and not order.output.is_dir():
            raise PerceptionError(
                f'--output {order.output} is not there on {host}: it must be on storage that all machines have under '
                'the same path')
        self._opened = self._stack.enter_context(order.opener())
        if run_of(self._opened.options.settings) != order.run:
            raise PerceptionError(
                f'the model or its settings on {host} differ from those of this command: the model file, and the '
                'version of trt_perception, must be the same on all machines')
        return Ready(host, self._opened.warnings)

    @_answered
    def survey(self, path: Path, size: int) -> Survey:
        """Read a bag: the hash of its files, and its parts of `size` images."""
        opened = self._needed()
        bag = OpenBag.of(path, opened.options)
        files = KnownFiles().files_of(bag.reader.storage_files)
        parts = parts_of(bag.reader, bag.topics, size, opened.pipeline.max_batch)
        total = sum(topic.count for topic in bag.topics)
        begins = [sum(part.first.values()) for part in parts]
        images = [max(stop - start, 0) for start, stop in zip(begins, [*begins[1:], max(total, begins[-1])])]
        return Survey(bag.run, files, parts, images)

    @_answered
    def run_part(self, path: Path, survey: Survey, number: int, target: Path) -> Span:
        """Write the results of a part of a bag into a file, for `finish`."""
        opened = self._needed()
        bag = OpenBag.of(path, opened.options)
        span = _Spanned(run_images(
            bag.reader, bag.topics, opened.pipeline, opened.options.images, survey.parts[number]))
        unfinished = target.with_name(f'{target.name}.{socket.gethostname()}.{os.getpid()}')
        with writing(target.parents[1]), unfinished.open('w', encoding='utf-8') as file:
            with contextlib.closing(span.answers()) as answers:
                for answer in answers:
                    write_answer(file, answer)
            write_end(file)
        with writing(target.parents[1]):
            unfinished.replace(target)
        return span.found

    @_answered
    def annotate(self, path: Path, survey: Survey, folder: Path) -> Annotated:
        """Run the model on a bag and write all outputs into an empty folder."""
        opened = self._needed()
        bag = OpenBag.of(path, opened.options)
        return self._written(opened, bag, survey.files, folder, run_images(
            bag.reader, bag.topics, opened.pipeline, opened.options.images))

    @_answered
    def finish(self, path: Path, survey: Survey, parts: Sequence[Path], folder: Path) -> Annotated:
        """Write all outputs of a bag into an empty folder, from the results of its parts."""
        opened = self._needed()
        bag = OpenBag.of(path, opened.options)
        answers = stored_answers(parts)
        if NEEDS_PIXELS & set(opened.options.formats):
            answers = with_pixels(answers, read_images(bag.reader, bag.topics, opened.options.images))
        return self._written(opened, bag, survey.files, folder, answers)

    @_answered
    def annotate_remote(self, remote: RemoteBag, output: str, name: str) -> Annotated:
        """Download a bag, annotate it, and upload the results. Needs room for both in TMPDIR."""
        opened = self._needed()
        with temporary_folder() as temporary:
            (temporary / 'bag').mkdir()
            path = remote.fetched(temporary / 'bag')
            folder = temporary / 'results' / name
            folder.mkdir(parents=True)
            try:
                bag = OpenBag.of(path, opened.options)
                files = KnownFiles().files_of(bag.reader.storage_files)
                done = self._written(opened, bag, files, folder, run_images(
                    bag.reader, bag.topics, opened.pipeline, opened.options.images), remote)
            except SourceError as error:
                raise SourceError(str(error).replace(str(path), remote.url)) from error
            RemoteResults(output).put(folder, name)
        return done

    def close(self) -> None:
        """Close the model."""
        self._opened = None
        self._stack.close()

    def _written(
        self, opened: Opened, bag: OpenBag, files: list[BagFile], folder: Path,
        answers: Generator[Answer, None, None], remote: RemoteBag | None = None,
    ) -> Annotated:
        provenance = bag.provenance(content_of(files), opened.options, opened.pipeline, opened.other)
        reported: list[str] = []
        if remote is not None:
            provenance['bag'] = remote.url
        lines = Lines(reported.append)
        span = _Spanned(answers)
        counts = annotate_bag(
            bag.reader, bag.topics, opened.pipeline, folder, opened.options, provenance, lines, other=opened.other,
            answers=span.answers())
        lines.end()
        record = record_of(provenance, counts, lines.shown, files)
        if remote is not None:
            record['files'] = remote.described({file.path.name: file.sha256 for file in files})
            # The temporary folder has another name each time.
            record['problems'] = [line.replace(str(bag.reader.path), remote.url) for line in record['problems']]
            reported = [line.replace(str(bag.reader.path), remote.url) for line in reported]
        with writing(folder.parents[1]):
            record = seal(folder, record)
        return Annotated(counts, record, reported, span.found)

    def _needed(self) -> Opened:
        if self._opened is None:
            raise PerceptionError('the model of this worker is not open')
        return self._opened


class _Spanned:
    """Answers, and the times of their images."""

    def __init__(self, answers: Generator[Answer, None, None]) -> None:
        self._answers = answers
        self.found = Span()

    def answers(self) -> Generator[Answer, None, None]:
        """Yield them."""
        with contextlib.closing(self._answers):
            for image, result in self._answers:
                if image is not None:
                    self.found = self.found.joined(Span(1, image.log_ns, image.log_ns))
                yield image, result
