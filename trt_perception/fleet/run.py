# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The driver: gives tasks to workers until all bags are annotated."""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ..annotate.annotate import Outcome
from ..annotate.annotate_bag import Counts
from ..annotate.errors import AnnotateError
from ..annotate.one_bag import OpenBag
from ..annotate.options import AnnotateOptions
from ..annotate.store import Store, content_of
from ..errors import EngineError, SourceError
from ..progress import ProgressCallback, silent
from .bags_in_work import BagInWork, BagsInWork
from .crew import Crew, Died, Event
from .messages import BAG, OUTPUT, Annotated, Failure, Ready, Span, Survey
from .progress import FleetProgress, Summary, WorkerFigures
from .schedule import FINISH, PART, SURVEY, WHOLE, Schedule, Task

PART_IMAGES = 5000
_WAIT_S = 1.0
# So many workers may fail to open the model, or die of it, while none has opened it.
_MOST_FAILED_STARTS = 3


def annotate_fleet(
    bags: Sequence[Path], store: Store, crew: Callable[[], AbstractContextManager[Crew]], options: AnnotateOptions,
    part_images: int, report: Callable[[str], None], finished: Callable[[Outcome], None],
    progress: ProgressCallback = silent,
) -> Summary:
    """Annotate bags into the folder of a store with many workers. The results are those of `annotate`.

    crew: gives the workers; called if a bag is not finished yet
    part_images: a bag with more images is split into parts of so many; 0 for PART_IMAGES, when there are not enough
        bags left to keep all workers busy
    report, finished: as for `annotate`; bags are finished in any order

    Raises AnnotateError if the folder cannot be written, EngineError if no worker can open the model.
    """
    # Each bag in work has a lock, which is an open file.
    with contextlib.suppress(ValueError, OSError):
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    driver = _Driver(bags, store, options, part_images, report, finished)
    if not driver.is_finished:
        with crew() as workers:
            driver.run(workers, progress)
    return driver.summary


class _Driver:
    _crew: Crew

    def __init__(
        self, bags: Sequence[Path], store: Store, options: AnnotateOptions, part_images: int,
        report: Callable[[str], None], finished: Callable[[Outcome], None],
    ) -> None:
        self.summary = Summary(bags=len(bags))
        self._store = store
        self._part_images = part_images
        self._report = report
        self._finished = finished
        self._work = BagsInWork(store)
        for path in bags:
            self._add(path, options)
        self._schedule = Schedule([bag.images for bag in self._work.bags])
        self._figures: dict[int, WorkerFigures] = {}
        self._tasks: dict[int, tuple[Task, float, Path]] = {}
        self._idle: set[int] = set()
        self._starting: set[int] = set()
        self._failed_starts = 0
        self._most = sys.maxsize
        self._warned: set[str] = set()
        self._images = 0
        # Images of all bags that are not skipped, as far as they are known.
        self._total = sum(bag.images for bag in self._work.bags)

    @property
    def is_finished(self) -> bool:
        return self._schedule.is_finished

    def run(self, crew: Crew, progress: ProgressCallback) -> None:
        self._crew = crew
        began = time.monotonic()
        shown = FleetProgress(progress, self.summary.bags)
        with self._work:
            while not self._schedule.is_finished:
                while len(self._figures) + len(self._starting) < min(self._crew.wanted(), self._most):
                    self._starting.add(self._crew.start())
                for worker in sorted(self._idle):
                    self._give(worker)
                shown.show(self.summary.bags - self._work.left, len(self._figures), self._images, self._total)
                for event in self._crew.wait(_WAIT_S):
                    self._handle(event)
        self.summary.seconds = time.monotonic() - began

    def _add(self, path: Path, options: AnnotateOptions) -> None:
        """Look at a bag: it is skipped, or cannot be read, or is work."""
        try:
            bag = OpenBag.of(path, options)
        except SourceError as error:
            self._not_annotated(path, str(error))
            return
        files = self._store.files.unchanged(bag.reader.storage_files)
        found = None if files is None else self._store.finished(content_of(files), bag.run)
        if found is not None:
            self._skip(path, found.folder, Counts(**found.record['counts']))
        else:
            self._work.add(path, bag.name, bag.run, sum(topic.count for topic in bag.topics))

    def _give(self, worker: int) -> None:
        """Give an idle worker its next task, if there is one."""
        task = self._schedule.next(worker, time.monotonic())
        if task is None:
            return
        self._idle.discard(worker)
        bag = self._work.bags[task.bag]
        target = Path()
        arguments: tuple[Any, ...]
        if task.kind == SURVEY:
            size = self._part_images or (PART_IMAGES if self._schedule.should_split else sys.maxsize)
            method, arguments = 'survey', (bag.path, size)
        elif task.kind == PART:
            target = bag.part(task.part)
            method, arguments = 'run_part', (bag.path, bag.survey, task.part, target)
        else:
            target = bag.new_folder(self._store)
            method, arguments = 'annotate', (bag.path, bag.survey, target)
            if task.kind == FINISH:
                method, arguments = 'finish', (bag.path, bag.survey, bag.parts(), target)
        self._tasks[worker] = task, time.monotonic(), target
        self._crew.submit(worker, method, arguments)

    def _handle(self, event: Event) -> None:
        worker, answer = event.worker, event.answer
        if worker in self._starting:
            self._handle_start(worker, answer)
            return
        task, started, target = self._tasks.pop(worker)
        if isinstance(answer, Died | Failure):
            self._handle_failure(worker, task, answer)
            return
        now = time.monotonic()
        self._idle.add(worker)
        figures = self._figures[worker]
        figures.busy_s += now - started
        if task.kind in (WHOLE, PART):
            figures.images += answer.span.images if isinstance(answer, Annotated) else answer.images
        if not self._schedule.done(task, worker, now):
            return
        bag = self._work.bags[task.bag]
        if isinstance(answer, Survey):
            self._count(bag, sum(answer.images))
            self._go_on(self._work.surveyed(bag, answer))
        elif isinstance(answer, Span):
            self._images += answer.images
        else:
            assert isinstance(answer, Annotated)
            self._images += answer.span.images if task.kind == WHOLE else 0
            self._complete(bag, answer, target)

    def _count(self, bag: BagInWork, images: int) -> None:
        self._total += images - bag.images
        bag.images = images

    def _go_on(self, ready: list[BagInWork]) -> None:
        """Go on with bags whose content is known."""
        waiting = deque(ready)
        while waiting:
            bag = waiting.popleft()
            content = content_of(bag.survey.files)
            found = self._store.finished(content, bag.run)
            if found is not None:
                self._schedule.surveyed(bag.number, [])
                self._count(bag, 0)
                self._skip(bag.path, found.folder, Counts(**found.record['counts']))
                waiting.extend(self._work.close(bag))
            else:
                bag.place = self._store.place_for(bag.name, content)
                self._schedule.surveyed(bag.number, bag.survey.images)

    def _complete(self, bag: BagInWork, answer: Annotated, folder: Path) -> None:
        self._store.put(folder, bag.place, answer.record)
        for line in answer.lines:
            self._report(line)
        self.summary.images += answer.span.images
        self.summary.recording_s += (answer.span.last_ns - answer.span.first_ns) / 1e9
        self._finished(Outcome(bag.path, bag.place, answer.counts))
        self._go_on(self._work.close(bag))

    def _handle_start(self, worker: int, answer: Any) -> None:
        self._starting.discard(worker)
        if isinstance(answer, Ready):
            self._failed_starts = 0
            self._figures[worker] = WorkerFigures(answer.host)
            self.summary.workers.append(self._figures[worker])
            self._schedule.join(worker)
            self._idle.add(worker)
            for line in answer.warnings:
                self._warn(f'on {answer.host}: {line}')
            return
        text = answer.text if isinstance(answer, Failure) else f'a worker died while it opened the model: {answer.text}'
        self._crew.stop(worker)
        self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS:
            if not self._figures:
                raise EngineError(text)
            # The others do the work.
            self._most = len(self._figures)
        self._warn(text)

    def _handle_failure(self, worker: int, task: Task, answer: Died | Failure) -> None:
        self.summary.retries += 1
        text = answer.text
        given_up = self._schedule.failed(task, worker)
        if isinstance(answer, Died) or answer.replace:
            host = self._figures.pop(worker).host
            self._schedule.lost(worker)
            self._crew.stop(worker)
            text = f'a worker on {host} died: {text}' if isinstance(answer, Died) else text
            self._report(f'{text}; its task is done again')
        else:
            self._idle.add(worker)
        if not given_up:
            return
        if isinstance(answer, Failure) and answer.what == OUTPUT:
            raise AnnotateError(text)
        if isinstance(answer, Failure) and answer.what != BAG:
            raise EngineError(text)
        bag = self._work.bags[task.bag]
        self._schedule.drop(bag.number)
        self._count(bag, 0)
        self._not_annotated(bag.path, text if isinstance(answer, Failure) else f'{bag.path}: {text}')
        self._go_on(self._work.close(bag))

    def _warn(self, line: str) -> None:
        if line not in self._warned:
            self._warned.add(line)
            self._report(line)

    def _skip(self, path: Path, folder: Path, counts: Counts) -> None:
        self.summary.skipped += 1
        self._finished(Outcome(path, folder, counts, skipped=True))

    def _not_annotated(self, path: Path, text: str) -> None:
        self.summary.failed += 1
        self._report(text)
        self._finished(Outcome(path, None, Counts()))
