# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Lost frames, estimated from stamps: real losses show, everything else of a camera does not."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_perception.node.image_topics.gaps import GapEstimator

START = 1_700_000_000_000_000_000
# Standard deviation of the stamps, in the camera's shortest interval.
JITTER = [0.0, 0.03, 0.06, 0.1]


def estimate(seconds):
    gaps = GapEstimator()
    for second in seconds:
        gaps.add(START + round(second * 1e9))
    return gaps.missing_fraction()


def received(lost, jitter=0.0, rate=30.0, count=300, seed=0):
    """Return the stamps of a steady camera without those frames for which `lost(number)` is true, in seconds."""
    rng = np.random.default_rng(seed)
    return [
        (number + jitter * noise) / rate for number, noise in enumerate(rng.normal(size=count)) if not lost(number)]


# Real losses: which frames are lost, and the fraction that must show. The window is 240 frames.
LOSSES = {
    'every fourth': (lambda n: n % 4 == 3, 0.25),
    'every fifth': (lambda n: n % 5 == 3, 0.2),
    'every tenth': (lambda n: n % 10 == 9, 0.1),
    'three of twenty in a row': (lambda n: n % 20 < 3, 0.15),
    'five of thirty in a row': (lambda n: n % 30 < 5, 1 / 6),
    'seven of fifty in a row': (lambda n: n % 50 < 7, 0.14),
}


@pytest.mark.parametrize('rate', [5.0, 10.0, 30.0, 90.0])
@pytest.mark.parametrize('jitter', JITTER[:3])
@pytest.mark.parametrize('kind', LOSSES)
def test_losses_show(kind, jitter, rate):
    lost, fraction = LOSSES[kind]
    assert estimate(received(lost, jitter, rate)) == pytest.approx(fraction, abs=0.03)


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('jitter', JITTER[:3])
@pytest.mark.parametrize('part', [0.05, 0.1, 0.25, 0.4, 0.5, 0.6])
def test_random_losses_show(part, jitter, seed):
    rng = np.random.default_rng(100 + seed)
    lost = rng.random(1000) < part
    # Only the last 240 frames that arrive, and at most 60 s, are compared.
    kept = np.flatnonzero(~lost)[-240:]
    missing = 1 - len(kept) / (kept[-1] - kept[0] + 1)
    assert estimate(received(lambda n: lost[n], jitter, count=1000, seed=seed)) == pytest.approx(missing, abs=0.06)


def test_every_fourth_of_forty_frames_shows():
    assert estimate(received(lambda n: n % 4 == 3, count=40)) == pytest.approx(0.25, abs=0.02)


def steps(*parts):
    """Return intervals in seconds: each part is an interval, or (interval, times)."""
    return np.concatenate([np.repeat(*part) if isinstance(part, tuple) else [part] for part in parts])


def random_steps(seed, *makers):
    rng = np.random.default_rng(seed)
    return np.concatenate([maker(rng) for _ in range(30) for maker in makers])


# Intervals of cameras that lose nothing, in seconds.
HARMLESS = {
    'steady': steps((1 / 30, 300)),
    'a pause of a second': steps((1 / 30, 60), 1.0, (1 / 30, 60)),
    'pauses of a second': steps(*[(1 / 30, 60), 1.0] * 4),
    'pauses of a second at 10 Hz': steps(*[(0.1, 20), 1.0] * 6),
    'pauses of two seconds at 5 Hz': steps(*[(0.2, 20), 2.0] * 6),
    'pauses of any length': random_steps(
        1, lambda r: np.full(r.integers(10, 40), 1 / 30), lambda r: [r.uniform(0.1, 5)]),
    'the clock steps by 0.2 s': steps((1 / 30, 100), 0.2 + 1 / 30, (1 / 30, 100)),
    'the clock steps by an hour': steps((1 / 30, 100), 3600.0, (1 / 30, 100)),
    'the clock steps back': steps((1 / 30, 100), 0.01, (1 / 30, 100)),
    'from 10 to 3 Hz in the dark': steps((0.1, 100), (1 / 3, 60)),
    'just now from 10 to 3 Hz': steps((0.1, 100), (1 / 3, 5)),
    'from 30 to 15 Hz': steps((1 / 30, 100), (1 / 15, 60)),
    'just now from 30 to 15 Hz': steps((1 / 30, 100), (1 / 15, 5)),
    'from 15 to 30 Hz': steps((1 / 15, 60), (1 / 30, 100)),
    'from 30 to 10 Hz': steps((1 / 30, 100), (1 / 10, 60)),
    '30 and 15 Hz in turn': steps(*[(1 / 30, 20), (1 / 15, 15)] * 6),
    '10 and 3 Hz in turn': steps(*[(1 / 10, 12), (1 / 3, 8)] * 6),
    '30, 15, 10, 7.5 Hz': steps(*[(1 / rate, 30) for rate in (30, 15, 10, 7.5)]),
    'slower and slower': np.linspace(1 / 30, 1 / 8, 200),
    'exposure in steps': steps(*[(1 / rate, 20) for rate in (30, 24, 20, 15, 12, 10, 7.5)]),
    'alternating 33 and 66 ms': steps(*[0.033, 0.066] * 100),
    'alternating 33 and 50 ms': steps(*[0.033, 0.050] * 100),
    'alternating 40 and 60 ms': steps(*[0.040, 0.060] * 100),
    'alternating 20 and 80 ms': steps(*[0.020, 0.080] * 100),
    'alternating 33 and 100 ms': steps(*[0.033, 0.100] * 100),
    'two short and two long': steps(*[0.033, 0.033, 0.066, 0.066] * 50),
    'three different': steps(*[0.02, 0.04, 0.06] * 60),
    'bursts of three': steps(*[0.033, 0.033, 0.100] * 60),
    'bursts of four': steps(*[0.01, 0.01, 0.01, 0.07] * 50),
    'bursts of five': steps(*[0.005, 0.005, 0.005, 0.005, 0.18] * 50),
    'bursts of ten every second': steps(*[(0.005, 9), 0.955] * 20),
    'bursts of any length': random_steps(
        2, lambda r: np.full(r.integers(2, 8), 0.033), lambda r: [r.uniform(0.2, 2.0)]),
    'bursts that end at whole tenths': random_steps(
        3, lambda r: (lambda n: [*[0.01] * (n - 1), 0.1 - 0.01 * (n - 1)])(int(r.integers(2, 8)))),
    'triggered at random': np.random.default_rng(4).exponential(0.1, 250) + 0.02,
    'at any time': np.random.default_rng(5).uniform(0.1, 1.0, 250),
    'two cameras on a topic': np.diff(np.sort([*np.arange(120) / 30, *np.arange(120) / 30 + 0.0123])),
}


@pytest.mark.parametrize('jitter', JITTER)
@pytest.mark.parametrize('kind', HARMLESS)
def test_nothing_else_is_called_a_loss(kind, jitter):
    intervals = HARMLESS[kind]
    noise = np.random.default_rng(6).normal(0, jitter * np.min(intervals), len(intervals) + 1)
    stamps = np.cumsum([0, *intervals]) + noise
    # Whenever the diagnostics look.
    gaps = GapEstimator()
    seen = []
    for number, stamp in enumerate(stamps):
        gaps.add(START + round(stamp * 1e9))
        if number % 7 == 0:
            seen.append(gaps.missing_fraction())
    # The diagnostics warn above 0.1. An estimate of a moment may be wrong, two in a row may not.
    assert max(map(min, itertools.pairwise(seen))) <= 0.1, seen
    assert gaps.missing_fraction() == 0.0


@pytest.mark.parametrize('jitter', [0.1, 0.2, 0.4])
@pytest.mark.parametrize('seed', range(5))
def test_strong_jitter_is_no_loss(jitter, seed):
    """Stamps of a USB camera, set by the scheduling of the operating system."""
    noise = np.random.default_rng(seed).uniform(-jitter, jitter, 240)
    assert estimate((np.arange(240) + noise) / 30) == 0.0


@pytest.mark.parametrize('seed', range(5))
def test_late_stamps_are_no_loss(seed):
    """A late stamp makes a long interval and then a short one, which no loss does."""
    rng = np.random.default_rng(seed)
    late = (rng.random(240) < 0.1) * rng.uniform(0.2, 0.95, 240)
    assert estimate((np.arange(240) + late) / 30) == 0.0


@given(st.lists(st.integers(-10**18, 10**19 - 1), max_size=80))
def test_any_stamps_give_a_fraction(stamps):
    gaps = GapEstimator()
    for stamp in stamps:
        gaps.add(stamp % 2**62)
        assert 0.0 <= gaps.missing_fraction() < 1.0


@pytest.mark.parametrize('few', range(13))
def test_few_frames_tell_nothing(few):
    assert estimate([0.3 * n * n for n in range(few)]) == 0.0


def test_an_old_loss_of_a_slow_camera_is_forgotten():
    lossy = received(lambda n: n % 4 == 3, rate=1.0, count=60)
    assert estimate(lossy) == pytest.approx(0.25, abs=0.03)
    assert estimate([*lossy, *(lossy[-1] + np.arange(1, 62))]) == 0.0


def test_stamps_that_go_back_start_anew():
    gaps = GapEstimator()
    for number in [*(n for n in range(80) if n % 4 != 3), *range(40)]:  # a bag with gaps, then one without
        gaps.add(START + number * 33_333_333)
    assert gaps.missing_fraction() == 0.0


def test_a_camera_without_a_clock():
    gaps = GapEstimator()
    for _ in range(50):
        gaps.add(0)
    assert gaps.missing_fraction() == 0.0
