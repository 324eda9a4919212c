# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Stamp to result over DDS at fixed rates, and the highest rate at which the node loses less than 5 % of the frames.

The figures are those of NVIDIA's ros2_benchmark: latency percentiles at fixed publisher rates, and the peak throughput,
found by halving the interval of rates, with the same bound of 5 % for lost frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from ..progress import ProgressCallback

RATES_HZ = (10.0, 30.0, 60.0)
LOST_BOUND = 0.05
# The search ends if the highest good rate and the lowest bad rate differ by less.
_CLOSE = 1.05
_STEPS = 10
_LOWEST_HZ, _HIGHEST_HZ = 0.5, 2000.0
# Slower than this part of its rate, the camera is the limit, not the node.
_CAMERA_KEEPS_UP = 0.95
_FEWEST_FRAMES = 10
_HEADINGS = ('', 'sent Hz', 'results Hz', 'lost %', 'p50 ms', 'p95 ms', 'p99 ms', 'CPU %', 'memory MB')


class Fed(Protocol):
    """Sends images at a rate; the method of NodeRun."""

    def feed(
        self, width: int, height: int, rate: float, frames: int, label: str, image: str, progress: ProgressCallback,
    ) -> dict[str, Any]:
        """Run a camera to its end."""


@dataclass(frozen=True)
class AtRate:
    """One run.

    rate_hz: of the camera, as asked for; sent_hz: as it was
    lost: part of the sent frames without a result, 0..1; frames that a newer one replaced are lost too
    latency_ms: p50, p95 and p99 from the image's stamp to the result in another process; () without a result
    cpu_percent: of the node's process, 100 is one core; memory_mb: its largest resident memory
    """

    rate_hz: float
    sent_hz: float
    sent: int
    results: int
    lost: float
    latency_ms: tuple[float, ...]
    cpu_percent: float
    memory_mb: float

    @property
    def camera_kept_up(self) -> bool:
        """Whether the camera reached its rate."""
        return self.sent_hz >= _CAMERA_KEEPS_UP * self.rate_hz

    @property
    def good(self) -> bool:
        """Whether less than 5 % of the frames were lost."""
        return self.lost < LOST_BOUND


@dataclass(frozen=True)
class RosFigures:
    """All runs.

    highest: the run at the highest rate with less than 5 % loss, None if no rate had that
    limited_by_camera: whether the camera could not send faster, so that the node's limit is higher
    """

    fixed: tuple[AtRate, ...]
    highest: AtRate | None
    limited_by_camera: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON values."""
        return asdict(self)

    def rows(self) -> list[Sequence[str]]:
        """Return the table, with its headings."""
        named = [(f'{one.rate_hz:g} Hz', one) for one in self.fixed]
        if self.highest is not None:
            bound = 'or more' if self.limited_by_camera else 'at most'
            named.append((f'{self.highest.rate_hz:.1f} Hz {bound}', self.highest))
        return [_HEADINGS, *(_row(name, one) for name, one in named)]

    def note(self) -> str:
        """Return what the last row is, in one sentence."""
        if self.highest is None:
            return f'no rate from {_LOWEST_HZ:g} Hz on has less than 5 % loss'
        reason = '; the camera of the benchmark cannot send faster' if self.limited_by_camera else ''
        return f'highest rate with less than 5 % loss: {self.highest.rate_hz:.1f} Hz{reason}'


def measure_rates(
    node: Fed, width: int, height: int, image: str, seconds: float, progress: ProgressCallback,
) -> RosFigures:
    """Measure at RATES_HZ for `seconds` each, then search for the highest rate.

    image: npy file of a (height, width, 3) uint8 BGR image
    """
    def at(rate: float) -> AtRate:
        return _at_rate(node, (width, height), rate, image, seconds, progress)

    # Not counted: the first frames are slower.
    at(RATES_HZ[0])
    fixed = tuple(at(rate) for rate in RATES_HZ)
    highest, limited = _search(fixed, at)
    return RosFigures(fixed, highest, limited)


def _search(fixed: Sequence[AtRate], at: Any) -> tuple[AtRate | None, bool]:
    best = max((one for one in fixed if one.good and one.camera_kept_up), key=lambda one: one.rate_hz, default=None)
    too_fast = min((one.rate_hz for one in fixed if not one.good), default=0.0)
    fastest_hz = max(one.sent_hz for one in fixed)
    for _ in range(_STEPS):
        if best is not None and too_fast and too_fast < _CLOSE * best.rate_hz:
            break
        low = best.rate_hz if best is not None else 0.0
        rate = (low * too_fast) ** 0.5 if low and too_fast else low * 2 if low else (too_fast or fixed[0].rate_hz) / 2
        if not _LOWEST_HZ <= rate <= _HIGHEST_HZ:
            break
        one: AtRate = at(rate)
        if one.good and not one.camera_kept_up:
            if fastest_hz > rate:
                # It sent faster before, so something disturbed it in this run: again.
                continue
            return (one if best is None or one.sent_hz > best.sent_hz else best), True
        if one.good:
            best = one
        else:
            too_fast = rate
    return best, False


def _at_rate(
    node: Fed, size: tuple[int, int], rate: float, image: str, seconds: float, progress: ProgressCallback,
) -> AtRate:
    frames = max(_FEWEST_FRAMES, round(rate * seconds))
    fed = node.feed(*size, rate, frames, f'{rate:.4g} Hz over DDS', image, progress)
    ages = fed['ages_ms']
    return AtRate(
        rate, round(fed['rate_hz'], 2), fed['sent'], len(ages), round(max(0.0, 1 - len(ages) / fed['sent']), 4),
        tuple(round(float(value), 2) for value in np.percentile(ages, (50, 95, 99))) if ages else (),
        fed['cpu_percent'], max(fed['resident_mb']))


def _row(name: str, one: AtRate) -> Sequence[str]:
    latency = [f'{value:.1f}' for value in one.latency_ms] or ['-'] * 3
    return (
        name, f'{one.sent_hz:.1f}', f'{one.sent_hz * (1 - one.lost):.1f}', f'{100 * one.lost:.1f}', *latency,
        f'{one.cpu_percent:.0f}', f'{one.memory_mb:.0f}')
