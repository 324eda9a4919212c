# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Follows the frames through the worker: whether frames that come in also come out. Does not import ROS."""

from __future__ import annotations

import itertools
import math
import statistics
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

# A frame in work for longer is reported, and a transition waits at least this long for it. Both times are longer for a
# model whose frames take long.
STUCK_S = 5.0
# The first frame is reported after this time, although its usual time is not known yet.
_FIRST_STUCK_S = 15.0
PATIENCE_S = 10.0
_LONGER = 3.0
# A frame may have been paused with the whole process: a transition gives each frame at least this time.
_LEAST_PATIENCE_S = 2.0
# The slowest of so many frames is the expected time of the next one.
_FRAMES = 10


@dataclass(frozen=True)
class Progress:
    """The progress of the frames at one moment.

    frame: number of the frame that is longest in work, 0 if there is none; stage: the step of this frame, such as
        'inference'
    in_work_s: seconds since the worker took it; waiting: images received since then, with itself
    expected_s: the usual time of a frame: the slowest of the last ones, or an upper limit for the first one
    limit_s: the frame in work is stuck after this time
    fruitless_s: seconds since the first image that came after the last result, 0.0 if there is none
    dropped: images since the last result by outcome: stale, bad, failed
    """

    frame: int = 0
    stage: str = ''
    in_work_s: float = 0.0
    waiting: int = 0
    expected_s: float = 0.0
    limit_s: float = STUCK_S
    fruitless_s: float = 0.0
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def stuck(self) -> bool:
        """Whether the frame in work takes so long that something is wrong."""
        return self.frame > 0 and self.in_work_s >= self.limit_s

    @property
    def reason(self) -> str:
        """Describe a stuck frame in one line."""
        images = '1 image' if self.waiting == 1 else f'{self.waiting} images'
        return f'{images} received, none processed for {self.in_work_s:.0f} s: {self.stage} has not returned'

    @property
    def patience_s(self) -> float:
        """Seconds that a transition waits for the frame in work."""
        left = max(PATIENCE_S, _LONGER * self.expected_s) - self.in_work_s
        return max(left, _LEAST_PATIENCE_S, self.expected_s)


@dataclass
class _InWork:
    """A frame in work.

    received: the images before it; ran: whether it got past the first step
    """

    began: float
    received: int
    stage: str
    ran: bool = False


class Liveness:
    """Collects the progress of the frames of an active node. Used by several threads."""

    def __init__(
        self, first_s: float = 0.0, clock: Callable[[], float] = time.monotonic, numbers: Iterator[int] | None = None,
    ) -> None:
        """Start.

        first_s: an upper limit of the usual time of the first frame, in seconds
        numbers: gives the numbers of the frames, if several cameras share them
        """
        self._numbers = itertools.count(1) if numbers is None else numbers
        self._first_s = first_s
        self._clock = clock
        self._lock = threading.Lock()
        self._durations: deque[float] = deque(maxlen=_FRAMES)
        # Also of frames whose result came too late.
        self._runs: deque[float] = deque(maxlen=_FRAMES)
        self._received = 0
        # By number, the one that began first at the front.
        self._in_work: dict[int, _InWork] = {}
        self._fruitless_since: float | None = None
        self._dropped: Counter[str] = Counter()

    def arrived(self) -> None:
        """Count a received image."""
        with self._lock:
            self._received += 1
            if self._fruitless_since is None:
                self._fruitless_since = self._clock()

    def forgive(self) -> None:
        """Forget the images without a result: none were wanted for a while."""
        with self._lock:
            self._fruitless_since = None
            self._dropped.clear()

    def usual_s(self) -> float:
        """Return a time in seconds that few frames exceed: twice the median, or the upper limit of the first one.

        A pause of the process changes it little. A machine that stays slower changes it soon.
        """
        with self._lock:
            return 2 * statistics.median(self._runs) if self._runs else self._first_s

    def begin(self, stage: str) -> int:
        """The worker has taken a frame. Returns its number."""
        with self._lock:
            number = next(self._numbers)
            self._in_work[number] = _InWork(self._clock(), self._received, stage)
            return number

    def step(self, number: int, stage: str) -> None:
        """This frame has reached this stage."""
        with self._lock:
            frame = self._in_work[number]
            frame.stage, frame.ran = stage, True

    def end(self, number: int, outcome: str) -> None:
        """This frame is done. outcome: processed, stale, bad or failed."""
        with self._lock:
            now, frame = self._clock(), self._in_work.pop(number)
            if frame.ran and outcome in ('processed', 'stale'):
                self._runs.append(now - frame.began)
            if outcome == 'processed':
                self._durations.append(now - frame.began)
                self._fruitless_since = now if self._received > frame.received else None
                self._dropped.clear()
            else:
                self._dropped[outcome] += 1

    def report(self) -> Progress:
        """Return the state now."""
        with self._lock:
            now = self._clock()
            expected = max(self._durations, default=self._first_s)
            most = math.inf if self._durations else _FIRST_STUCK_S
            number, frame = next(iter(self._in_work.items()), (0, _InWork(now, self._received, '')))
            return Progress(
                frame=number, stage=frame.stage, in_work_s=now - frame.began,
                waiting=self._received - frame.received + 1, expected_s=expected,
                limit_s=min(max(STUCK_S, _LONGER * expected), most),
                fruitless_s=0.0 if self._fruitless_since is None else now - self._fruitless_since,
                dropped=dict(self._dropped))
