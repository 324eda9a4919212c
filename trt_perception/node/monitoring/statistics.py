# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Rolling latency percentiles, rates and counters, shared by threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

PERCENTILES = (50, 95, 99)
# Samples of a stage at 100 Hz in a window of 10 s.
_MAX_SAMPLES = 1000
# Percentiles and rates cover the last seconds, this many.
WINDOW_S = 10.0


@dataclass(frozen=True)
class Snapshot:
    """Statistics at one moment.

    stages: stage name -> (p50, p95, p99) in milliseconds over the window; stages without a sample are absent
    rates: event name -> events per second over the window
    counts: event name -> events since the last reset
    """

    stages: Mapping[str, tuple[float, ...]]
    rates: Mapping[str, float]
    counts: Mapping[str, int]


class Statistics:
    """Collects stage times and events. Percentiles and rates cover the last `window_s` seconds."""

    def __init__(
        self, window_s: float = WINDOW_S, clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window = window_s
        self._clock = clock
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._stages: dict[str, deque[tuple[float, float]]] = {}
            self._events: dict[str, deque[float]] = {}
            self._counts: dict[str, int] = {}
            self._started = self._clock()

    def record(self, timings_ms: Mapping[str, float]) -> None:
        """Add one sample for each stage, in milliseconds."""
        now = self._clock()
        with self._lock:
            for stage, value in timings_ms.items():
                samples = self._stages.get(stage)
                if samples is None:
                    samples = self._stages[stage] = deque(maxlen=_MAX_SAMPLES)
                samples.append((now, value))

    def count(self, event: str) -> None:
        """Count one event."""
        now = self._clock()
        with self._lock:
            self._counts[event] = self._counts.get(event, 0) + 1
            times = self._events.get(event)
            if times is None:
                times = self._events[event] = deque(maxlen=_MAX_SAMPLES)
            times.append(now)

    def counted(self, event: str) -> int:
        """Return the count of `event` since the last reset."""
        with self._lock:
            return self._counts.get(event, 0)

    def snapshot(self) -> Snapshot:
        """Return percentiles and rates over the window, and all counts."""
        now = self._clock()
        oldest = now - self._window
        with self._lock:
            stages = {}
            for stage, samples in self._stages.items():
                while samples and samples[0][0] < oldest:
                    samples.popleft()
                if samples:
                    values = np.percentile([value for _, value in samples], PERCENTILES)
                    stages[stage] = tuple(float(value) for value in values)
            rates = {}
            for event, times in self._events.items():
                while times and times[0] < oldest:
                    times.popleft()
                # Right after a reset the window is shorter; a full deque covers less than the window.
                since = max(oldest, self._started)
                if len(times) == times.maxlen:
                    since = max(since, times[0])
                # A window much shorter than 1 s would turn the first event into a rate of thousands.
                rates[event] = len(times) / max(now - since, 1.0)
            return Snapshot(stages, rates, dict(self._counts))
