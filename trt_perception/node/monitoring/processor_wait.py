# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How long the threads of this process wait for a processor, because other programs use them. Does not import ROS."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TASKS = Path('/proc/self/task')
_WINDOW_S = 10.0
# Each sample reads a file for each thread.
_PERIOD_S = 1.0
# A machine with four busy programs on two processors gives a node with two threads a third of them: it waits for two
# thirds of its time. Without other programs, a node with as many threads as processors waits for a few percent.
MUCH = 0.4
# A process that has nearly all processors waits for its own threads.
_NEARLY_ALL = 0.8


@dataclass(frozen=True)
class ProcessorWait:
    """The last seconds of this process.

    waited: part of the time in which its threads could run that they waited for a processor, 0..1
    used: part of the time of all its processors that it had, 0..1
    """

    waited: float = 0.0
    used: float = 0.0

    @property
    def is_much(self) -> bool:
        """Whether other programs, or a limit of the container, take the processors that this process needs."""
        return self.waited >= MUCH and self.used < _NEARLY_ALL


class ProcessorClock:
    """Measures a ProcessorWait over the last seconds. Used by several threads.

    Linux counts in /proc/PID/task/TID/schedstat the nanoseconds that a thread ran, and those that it waited in the
    queue of a processor (Documentation/scheduler/sched-stats.rst). Without these files nothing is measured.
    """

    def __init__(self, tasks: Path = _TASKS, clock: Callable[[], float] = time.monotonic) -> None:
        self._tasks = tasks
        self._clock = clock
        self._lock = threading.Lock()
        self._threads: dict[str, tuple[int, int]] = {}
        # Time, and how much the threads had run and waited since the sample before, in nanoseconds.
        self._samples: deque[tuple[float, int, int]] = deque()

    def wait(self) -> ProcessorWait:
        """Return the wait over the last seconds. Reads the files if the last time was a second ago."""
        with self._lock:
            now = self._clock()
            if not self._samples or now - self._samples[-1][0] >= _PERIOD_S:
                self._sample(now)
            while len(self._samples) > 2 and self._samples[1][0] <= now - _WINDOW_S:
                self._samples.popleft()
            # What the first sample counts was before the window.
            later = list(self._samples)[1:]
            if not later:
                return ProcessorWait()
            ran, waited = sum(sample[1] for sample in later), sum(sample[2] for sample in later)
            seconds = later[-1][0] - self._samples[0][0]
            return ProcessorWait(
                waited / (ran + waited) if ran + waited else 0.0,
                ran / 1e9 / (seconds * len(os.sched_getaffinity(0))) if seconds > 0 else 0.0)

    def _sample(self, now: float) -> None:
        threads = self._read()
        # A new thread counts from its start; what a thread did between the last sample and its end is not known.
        ran, waited = (
            sum(times[part] - self._threads.get(name, (0, 0))[part] for name, times in threads.items())
            for part in (0, 1))
        self._threads = threads
        self._samples.append((now, ran, waited))

    def _read(self) -> dict[str, tuple[int, int]]:
        found = {}
        try:
            threads = list(self._tasks.iterdir())
        except OSError:
            return {}
        for thread in threads:
            try:
                ran, waited, _ = (thread / 'schedstat').read_text().split()
                found[thread.name] = int(ran), int(waited)
            except (OSError, ValueError):
                # The thread has ended, or the kernel does not count.
                continue
        return found
