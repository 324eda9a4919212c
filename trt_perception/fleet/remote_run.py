# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The driver for bags in object storage: a bag is one task, which downloads it and uploads its results."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from .. import __version__
from ..annotate.annotate import Outcome
from ..annotate.annotate_bag import Counts
from ..annotate.errors import AnnotateError
from ..annotate.options import AnnotateOptions
from ..errors import EngineError, SourceError
from ..progress import ProgressCallback, silent
from .crew import Crew, Died
from .messages import BAG, OUTPUT, Annotated, Failure, Ready
from .progress import FleetProgress, Summary, WorkerFigures
from .remote import RemoteBag, RemoteResults
from .schedule import ATTEMPTS

_WAIT_S = 1.0
_MOST_FAILED_STARTS = 3


def annotate_remote(
    bags: Sequence[str], output: str, crew: Callable[[], AbstractContextManager[Crew]], options: AnnotateOptions,
    report: Callable[[str], None], finished: Callable[[Outcome], None], progress: ProgressCallback = silent,
) -> Summary:
    """Annotate bags of object storage, or of a file system, into a folder of one. Raises as annotate_fleet.

    bags, output: URLs or paths. A bag is skipped if its files, by size and mark, and the settings are those of a
    complete result.
    """
    summary = Summary(bags=len(bags))
    results = RemoteResults(output)
    records = results.finished()
    settings = json.loads(json.dumps({**options.settings, 'version': __version__}))
    wanted: list[tuple[RemoteBag, str]] = []
    names: Counter[str] = Counter()
    for url in dict.fromkeys(bags):
        try:
            bag = RemoteBag.of(url)
        except SourceError as error:
            summary.failed += 1
            report(str(error))
            finished(Outcome(url, None, Counts()))
            continue
        names[bag.name] += 1
        # The content is not known before the download.
        name = bag.name if names[bag.name] == 1 else f'{bag.name}-{hashlib.sha256(url.encode()).hexdigest()[:8]}'
        record = records.get(name)
        if record is not None and record['bag'] == url and _same_settings(record['settings'], settings) and [
                (entry['path'], entry['state']) for entry in record['files']] == [
                (entry['path'], entry['state']) for entry in bag.described({})]:
            summary.skipped += 1
            finished(Outcome(url, f'{output.rstrip("/")}/{name}', Counts(**record['counts']), skipped=True))
        else:
            wanted.append((bag, name))
    if wanted:
        driver = _Driver(wanted, output, summary, report, finished)
        with crew() as workers:
            driver.run(workers, progress)
    return summary


def _same_settings(old: dict[str, object], new: dict[str, object]) -> bool:
    """Compare settings without the topics of the bag, which are known when it was opened."""
    return {key: value for key, value in old.items() if key != 'topics'} == new


class _Driver:
    _crew: Crew

    def __init__(
        self, wanted: list[tuple[RemoteBag, str]], output: str, summary: Summary, report: Callable[[str], None],
        finished: Callable[[Outcome], None],
    ) -> None:
        self._wanted = wanted
        self._output = output.rstrip('/')
        self._summary = summary
        self._report = report
        self._finished = finished
        self._waiting = deque(range(len(wanted)))
        self._failures: Counter[int] = Counter()
        self._running: dict[int, tuple[int, float]] = {}
        self._starting: set[int] = set()
        self._failed_starts = 0
        self._figures: dict[int, WorkerFigures] = {}
        self._idle: list[int] = []
        self._left = len(wanted)

    def run(self, crew: Crew, progress: ProgressCallback) -> None:
        self._crew = crew
        began = time.monotonic()
        shown = FleetProgress(progress, self._summary.bags)
        while self._left:
            while len(self._figures) + len(self._starting) < min(crew.wanted(), self._left):
                self._starting.add(crew.start())
            while self._idle and self._waiting:
                worker, number = self._idle.pop(), self._waiting.popleft()
                self._running[worker] = number, time.monotonic()
                crew.submit(worker, 'annotate_remote', (self._wanted[number][0], self._output, self._wanted[number][1]))
            # How many images a bag has is known when it was downloaded.
            shown.show(self._summary.bags - self._left, len(self._figures), self._summary.images, None)
            for event in crew.wait(_WAIT_S):
                if event.worker in self._starting:
                    self._handle_start(event.worker, event.answer)
                elif isinstance(event.answer, Annotated):
                    self._complete(event.worker, event.answer)
                else:
                    self._handle_failure(event.worker, event.answer)
        self._summary.seconds = time.monotonic() - began

    def _handle_start(self, worker: int, answer: Ready | Failure | Died) -> None:
        self._starting.discard(worker)
        if isinstance(answer, Ready):
            self._figures[worker] = WorkerFigures(answer.host)
            self._summary.workers.append(self._figures[worker])
            self._idle.append(worker)
            return
        self._crew.stop(worker)
        self._failed_starts += 1
        if self._failed_starts >= _MOST_FAILED_STARTS:
            raise EngineError(answer.text)

    def _complete(self, worker: int, answer: Annotated) -> None:
        number, started = self._running.pop(worker)
        bag, name = self._wanted[number]
        self._idle.append(worker)
        self._figures[worker].busy_s += time.monotonic() - started
        self._figures[worker].images += answer.span.images
        self._summary.images += answer.span.images
        self._summary.recording_s += (answer.span.last_ns - answer.span.first_ns) / 1e9
        for line in answer.lines:
            self._report(line)
        self._left -= 1
        self._finished(Outcome(bag.url, f'{self._output}/{name}', answer.counts))

    def _handle_failure(self, worker: int, answer: Failure | Died) -> None:
        number, _ = self._running.pop(worker)
        url = self._wanted[number][0].url
        self._summary.retries += 1
        self._failures[number] += 1
        if isinstance(answer, Died) or answer.replace:
            del self._figures[worker]
            self._crew.stop(worker)
            self._report(f'{url}: a worker died: {answer.text}; its task is done again')
        else:
            self._idle.append(worker)
        if self._failures[number] < ATTEMPTS:
            # Other bags come first: what failed may be better later.
            self._waiting.append(number)
            return
        if isinstance(answer, Failure) and answer.what == OUTPUT:
            raise AnnotateError(answer.text)
        if isinstance(answer, Failure) and answer.what != BAG:
            raise EngineError(answer.text)
        self._left -= 1
        self._summary.failed += 1
        self._report(answer.text if isinstance(answer, Failure) else f'{url}: its workers died')
        self._finished(Outcome(url, None, Counts()))
