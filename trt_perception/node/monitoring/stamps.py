# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Judges the stamps of the images: missing, of another clock, or all the same. Does not import ROS."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# A larger difference between stamps and clock means another clock, not a late frame.
CLOCK_SKEW_S = 10.0
_WINDOW_S = 10.0
# Of a camera at 30 Hz in the window.
_MAX_STAMPS = 300
# Fewer equal stamps may be chance: two publishers, or an image sent twice.
_FEWEST_EQUAL = 10
# A stamp below this, about 20 years after 1970, is a time since a start, of the driver or of the machine.
_EARLIEST_NS = 20 * 365 * 86400 * 10**9


@dataclass(frozen=True)
class RosTime:
    """The node's clock.

    simulated: use_sim_time is true; running: a time has come from /clock, or the clock is the system's
    published: some node publishes /clock
    """

    simulated: bool = False
    running: bool = True
    published: bool = False


@dataclass(frozen=True)
class StampReport:
    """The stamps of the images of the last seconds.

    stamp_ns: the last stamp; age_s: median age on arrival, negative for a stamp in the future
    equal: number of images that all have this stamp, 1 if they differ
    """

    stamp_ns: int
    age_s: float
    equal: int = 1


class Stamps:
    """Collects the stamps of the received images. Used by several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last: deque[tuple[float, int, int]] = deque(maxlen=_MAX_STAMPS)

    def add(self, stamp_ns: int, now_ns: int) -> None:
        """Add an image. now_ns: the time of the node's clock at its arrival."""
        with self._lock:
            self._last.append((self._clock(), stamp_ns, now_ns - stamp_ns))

    def report(self) -> StampReport | None:
        """Return the state now, None without an image in the last seconds."""
        oldest = self._clock() - _WINDOW_S
        with self._lock:
            recent = [(stamp, age) for received, stamp, age in self._last if received >= oldest]
        if not recent:
            return None
        stamp = recent[-1][0]
        equal = len(recent) if all(other == stamp for other, _ in recent) else 1
        return StampReport(stamp, float(np.median([age for _, age in recent])) / 1e9, equal)


def stamp_reason(stamps: StampReport | None, ros_time: RosTime) -> str:
    """Return why the stamps cannot be right and what to do, '' if they can."""
    if ros_time.simulated and not ros_time.running:
        clock = 'no message was received on /clock yet' if ros_time.published else 'no node publishes /clock'
        return (
            f'use_sim_time is true, but {clock}, so the time of this node stands still: start the simulator or '
            'ros2 bag play --clock, or set use_sim_time to false')
    if stamps is None:
        return ''
    if stamps.stamp_ns == 0:
        return (
            'image stamps are 0: the driver sets none, so results have no time, and ages are unknown; set the stamp in '
            'the driver, and leave max_age_ms at 0')
    if abs(stamps.age_s) > CLOCK_SKEW_S:
        return f'image stamps are {_span(stamps.age_s)} {_other_clock(stamps, ros_time)}'
    if stamps.equal >= _FEWEST_EQUAL:
        return (
            f'the last {stamps.equal} images have the same stamp: the driver does not set a new one, or sends the same '
            'image again')
    return ''


def _other_clock(stamps: StampReport, ros_time: RosTime) -> str:
    where = 'behind' if stamps.age_s > 0 else 'ahead of'
    if ros_time.simulated:
        return (
            f'{where} the time on /clock: set use_sim_time for the node that stamps the images too, and play only one '
            'bag or simulation')
    if ros_time.published:
        return (
            f"{where} this machine's clock, and /clock is published: for images of a simulation or a bag, set "
            'use_sim_time to true')
    if 0 < stamps.stamp_ns < _EARLIEST_NS:
        return (
            f"{where} this machine's clock, {_span(stamps.stamp_ns / 1e9)} after 1970: the driver stamps with the time "
            'since its start or since boot; configure it to use the system time. For a bag or a simulation publish '
            '/clock and set use_sim_time')
    return (
        f"{where} this machine's clock: synchronise the clocks of camera and machine (chronyc tracking). For a bag, "
        'play it with --clock and set use_sim_time to true')


def _span(seconds: float) -> str:
    seconds = abs(seconds)
    if seconds < 2 * 86400:
        return f'{seconds:.0f} s'
    if seconds < 2 * 365 * 86400:
        return f'{seconds / 86400:.0f} days'
    return f'{seconds / 86400 / 365.25:.0f} years'
