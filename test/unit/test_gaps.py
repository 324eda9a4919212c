# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_perception.node.gaps import GapEstimator

PERIOD = 33_333_333  # 30 Hz, in nanoseconds
START = 1_700_000_000_000_000_000


def estimate(numbers, jitter=None, window=60):
    gaps = GapEstimator(window)
    for i, number in enumerate(numbers):
        gaps.add(START + int(number) * PERIOD + (0 if jitter is None else int(jitter[i])))
    return gaps.missing_fraction()


def test_nothing_is_missing():
    assert estimate(range(60)) == 0.0


def test_every_fourth_frame_is_missing():
    # 60 received frames 0 1 2 4 5 6 8 ... span 79 numbers: 19 are missing.
    numbers = [n for n in range(100) if n % 4 != 3][:60]
    assert estimate(numbers) == pytest.approx(19 / 79)


def test_a_long_gap_counts_all_its_frames():
    # 10 frames, 90 missing, 10 frames
    assert estimate([*range(10), *range(100, 110)]) == pytest.approx(90 / 110)


@pytest.mark.parametrize('few', range(10))
def test_few_frames_tell_nothing(few):
    assert estimate([3 * n * n for n in range(few)]) == 0.0


def test_jitter_is_no_gap():
    rng = np.random.default_rng(2)
    assert estimate(range(60), rng.uniform(-0.1, 0.1, 60) * PERIOD) == 0.0


def test_strong_jitter_is_no_gap():
    # Stamps of a USB camera, set by the scheduling of the operating system.
    rng = np.random.default_rng(3)
    assert estimate(range(60), rng.uniform(-0.2, 0.2, 60) * PERIOD) == 0.0


@pytest.mark.parametrize('seed', range(20))
def test_a_triggered_camera_has_no_period(seed):
    intervals = np.random.default_rng(seed).exponential(1.0, 60) + 0.2
    gaps = GapEstimator()
    for seconds in np.cumsum(intervals):
        gaps.add(START + int(seconds * 1e9))
    assert gaps.missing_fraction() == 0.0


def test_gaps_are_seen_through_jitter():
    numbers = [n for n in range(100) if n % 4 != 3][:60]
    rng = np.random.default_rng(3)
    assert estimate(numbers, rng.uniform(-0.08, 0.08, 60) * PERIOD) == pytest.approx(19 / 79)


def test_most_frames_are_missing():
    # Of 13 frames 5 arrive: after one comes the next frame, after four the third next.
    numbers = np.cumsum([0] + [1, 3, 3, 3, 3] * 11)
    assert estimate(numbers) == pytest.approx(88 / 144)


@pytest.mark.parametrize('seed', range(5))
def test_a_camera_without_a_rate_is_not_accused(seed):
    # Irregular triggers: intervals from a tenth of a second to one second
    steps = np.random.default_rng(seed).uniform(3, 30, 60)
    assert estimate(np.zeros(60), np.cumsum(steps) * PERIOD) == 0.0


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.6))
def test_random_losses_are_seen(seed, part):
    rng = np.random.default_rng(seed)
    numbers = np.flatnonzero(rng.random(400) >= part)[:60]
    missing = numbers[-1] - numbers[0] + 1 - len(numbers)
    truth = missing / (missing + len(numbers))
    # The 10th percentile of the intervals is the period if at least a tenth of them is one period long.
    if np.sum(np.diff(numbers) == 1) >= 8:
        assert estimate(numbers) == pytest.approx(truth)


def test_only_the_window_counts():
    numbers = [*range(0, 60, 2), *range(60, 200)]
    assert estimate(numbers) == 0.0


def test_stamps_that_go_back_start_anew():
    gaps = GapEstimator()
    for number in [*range(0, 40, 3), *range(20)]:  # a bag with gaps, then one without
        gaps.add(START + number * PERIOD)
    assert gaps.missing_fraction() == 0.0


def test_a_camera_without_a_clock():
    gaps = GapEstimator()
    for _ in range(50):
        gaps.add(0)
    assert gaps.missing_fraction() == 0.0
