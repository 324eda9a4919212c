# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decides which worker does what next. It knows neither Ray nor bags, so a simulation can use it too.

A bag is surveyed first: hashed, and split into parts if it is large. Then its parts run, on any workers, and one
worker writes its outputs. A bag with one part is annotated as a whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

SURVEY, WHOLE, PART, FINISH = 'survey', 'whole', 'part', 'finish'
# So many times is a task tried, on different workers if there are several. With 3, a simulated fleet of 1,000 workers
# that die every 6 hours lost 5 of 10,000 bags by chance, and none with 5.
ATTEMPTS = 5
# A task that takes this many times the usual time gets a second worker, if one has nothing else to do.
SLOW = 3.0
_SLOW_LEAST_S = 20.0
_SLOW_AGAIN_S = 1.0
_KNOWN_LEAST = 3
# With so many bags for each worker, the last ones do not matter.
_BAGS_OF_A_WORKER = 2
_KNOWN_MOST = 99
# How far an idle worker looks for a task that did not fail on it.
_LOOK = 16


@dataclass(frozen=True)
class Task:
    """A piece of work. images: that it processes, about; part: number of the part of its bag, for PART."""

    bag: int
    kind: str
    part: int = 0
    images: int = 0


@dataclass
class _Attempts:
    failures: int = 0
    failed_on: set[int] = field(default_factory=set)
    running: dict[int, float] = field(default_factory=dict)


class Schedule:
    """The tasks of all bags. Workers are numbers; times are seconds of any clock that goes on."""

    def __init__(self, images: Sequence[int], backups: bool = True) -> None:
        """Start with a survey of each bag.

        images: of each bag, about; backups: slow tasks get a second worker
        """
        self._images = images
        self._backups = backups
        self._surveys = deque(range(len(images)))
        self._work: deque[Task] = deque()
        self._finishes: deque[Task] = deque()
        self._attempts: dict[Task, _Attempts] = {}
        self._open: dict[int, int] = {}
        self._left = set(range(len(images)))
        self._seconds: dict[str, deque[float]] = {}
        self._workers: set[int] = set()
        self._slow_again = float('-inf')

    @property
    def is_finished(self) -> bool:
        """Whether nothing is left to do."""
        return not self._left

    @property
    def has_waiting(self) -> bool:
        """Whether a task waits for a worker."""
        return bool(self._finishes or self._work or self._surveys)

    @property
    def should_split(self) -> bool:
        """Whether a bag that is surveyed next should be split: the bags that wait do not keep all workers busy.

        A bag in one piece costs less: its outputs are written while the network runs.
        """
        return len(self._surveys) < _BAGS_OF_A_WORKER * len(self._workers)

    def join(self, worker: int) -> None:
        """Add a worker."""
        self._workers.add(worker)

    def lost(self, worker: int) -> None:
        """Remove a worker. Its task is reported as failed apart from that."""
        self._workers.discard(worker)

    def next(self, worker: int, now: float) -> Task | None:
        """Return the next task of a worker, None if there is nothing to do for it now.

        What completes a bag comes first, so few bags are open at a time.
        """
        task = self._waiting(self._finishes, worker) or self._waiting(self._work, worker)
        if task is None and self._surveys:
            bag = self._surveys.popleft()
            task = Task(bag, SURVEY, 0, self._images[bag])
        if task is None and self._backups:
            task = self._slow(worker, now)
        if task is not None:
            self._attempts.setdefault(task, _Attempts()).running[worker] = now
        return task

    def surveyed(self, bag: int, parts: Sequence[int]) -> None:
        """Continue with a bag. parts: images of each part; () if nothing is to be done for it."""
        if bag not in self._left:
            return
        if not parts:
            self._left.discard(bag)
        elif len(parts) == 1:
            self._work.append(Task(bag, WHOLE, 0, parts[0]))
        else:
            self._open[bag] = len(parts)
            self._work.extend(Task(bag, PART, number, images) for number, images in enumerate(parts))

    def done(self, task: Task, worker: int, now: float) -> bool:
        """Report the end of a task. False if another worker was earlier, or the bag was dropped: its result is left."""
        attempts = self._attempts.pop(task, None)
        if attempts is None:
            return False
        if task.images and worker in attempts.running:
            known = self._seconds.setdefault(task.kind, deque(maxlen=_KNOWN_MOST))
            known.append((now - attempts.running[worker]) / task.images)
        if task.bag not in self._left:
            return False
        if task.kind == PART:
            self._open[task.bag] -= 1
            if not self._open[task.bag]:
                self._finishes.append(Task(task.bag, FINISH, 0, self._images[task.bag]))
        elif task.kind != SURVEY:
            self._left.discard(task.bag)
        return True

    def failed(self, task: Task, worker: int) -> bool:
        """Report that a task failed, or that its worker died. True if it was tried often enough."""
        attempts = self._attempts.get(task)
        if attempts is None or task.bag not in self._left:
            return False
        attempts.failures += 1
        attempts.failed_on.add(worker)
        attempts.running.pop(worker, None)
        if attempts.running:
            return False
        if attempts.failures >= ATTEMPTS:
            return True
        (self._finishes if task.kind == FINISH else self._work).appendleft(task)
        return False

    def drop(self, bag: int) -> None:
        """Give a bag up; what still runs of it is of no use."""
        self._left.discard(bag)
        self._work = deque(task for task in self._work if task.bag != bag)
        self._finishes = deque(task for task in self._finishes if task.bag != bag)
        self._surveys = deque(other for other in self._surveys if other != bag)

    def _waiting(self, queue: deque[Task], worker: int) -> Task | None:
        for place in range(min(len(queue), _LOOK)):
            task = queue[place]
            attempts = self._attempts.get(task)
            # If it failed on all workers, the same ones try it again.
            if attempts is None or worker not in attempts.failed_on or self._workers <= attempts.failed_on:
                del queue[place]
                return task
        return None

    def _slow(self, worker: int, now: float) -> Task | None:
        if now < self._slow_again:
            return None
        slowest, most = None, SLOW
        usual = {
            kind: median(known) for kind, known in self._seconds.items() if len(known) >= _KNOWN_LEAST}
        for task, attempts in self._attempts.items():
            if len(attempts.running) != 1 or worker in attempts.running or task.bag not in self._left:
                continue
            [started] = attempts.running.values()
            expected = usual.get(task.kind, 0.0) * task.images
            if expected and now - started > max(_SLOW_LEAST_S, most * expected):
                slowest, most = task, (now - started) / expected
        if slowest is None:
            # All idle workers of a large fleet ask.
            self._slow_again = now + _SLOW_AGAIN_S
        return slowest
