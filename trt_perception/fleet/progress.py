# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How far a fleet is, and what it did."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median

from ..annotate.rate import WRITING, duration
from ..progress import ProgressCallback

_UPDATE_S = 5.0
# More workers are summed up.
_MOST_WORKERS = 16


@dataclass
class WorkerFigures:
    """What a worker did. host: its machine; busy_s: seconds of its finished tasks; images: that it ran"""

    host: str
    busy_s: float = 0.0
    images: int = 0

    @property
    def rate(self) -> float:
        """Images in a second of work."""
        return self.images / self.busy_s if self.busy_s else 0.0


@dataclass
class Summary:
    """What a run did.

    bags: all; skipped: that were finished before; failed: that could not be annotated
    images, recording_s: of the bags that this run annotated; retries: tasks that failed or lost their worker
    """

    bags: int = 0
    skipped: int = 0
    failed: int = 0
    images: int = 0
    recording_s: float = 0.0
    retries: int = 0
    seconds: float = 0.0
    workers: list[WorkerFigures] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield it as text."""
        rate = self.images / self.seconds if self.seconds else 0.0
        yield (
            f'{self.bags} bags ({self.skipped} already annotated, {self.failed} not annotated), {self.images} images, '
            f'{self.recording_s / 3600:.2f} hours of recording, in {duration(self.seconds)}: {rate:.1f} images/s; '
            f'retries: {self.retries}')
        used = [worker for worker in self.workers if worker.images]
        if len(used) <= _MOST_WORKERS:
            for number, worker in enumerate(used, 1):
                yield (
                    f'worker {number} on {worker.host}: {worker.images} images, {worker.rate:.1f} images/s while busy, '
                    f'{duration(worker.busy_s)} busy')
        else:
            rates = sorted(worker.rate for worker in used)
            yield (
                f'{len(used)} workers on {len({worker.host for worker in used})} machines: {rates[0]:.1f} to '
                f'{rates[-1]:.1f} images/s while busy, median {median(rates):.1f}')


class FleetProgress:
    """Shows bags, images, rate and time left; the text changes every five seconds, since each is a line in a log."""

    def __init__(
        self, progress: ProgressCallback, bags: int, clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock. bags: all, also those that are finished"""
        self._progress = progress
        self._bags = bags
        self._clock = clock
        self._started = clock()
        self._changed = float('-inf')
        self._text = ''
        self._kind = False, False

    def show(self, bags_done: int, workers: int, images: int, total: int | None) -> None:
        """Report the state. images: done by this run; total: of all bags that are not skipped, None if not known"""
        now = self._clock()
        # The outputs of a bag that was split are written after its last image.
        is_writing = bool(images) and total is not None and images >= total and bags_done < self._bags
        doing = WRITING if is_writing else (
            f'{workers} workers' if workers else 'waiting for a worker that has opened the model')
        kind = is_writing, workers > 0
        if now - self._changed >= _UPDATE_S or kind != self._kind:
            self._changed, self._kind = now, kind
            rate = images / (now - self._started) if now > self._started else 0.0
            left = '' if is_writing or not rate or total is None else f', {duration((total - images) / rate)} left'
            self._text = f'{bags_done} of {self._bags} bags done, {doing}, {rate:.1f} images/s{left}'
        # With the total, the progress would look like one that is at its end.
        self._progress(self._text, images, None if is_writing else total)
