# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which images a limit lets through: at the limit on average, evenly, and without a rush after a pause."""

import numpy as np
import pytest

from trt_perception.node.image_topics.rate_limit import RateLimit


def accepted(times, rate_hz):
    limit = RateLimit()
    return [number for number, time in enumerate(times) if limit.accepts(time, rate_hz)]


@pytest.mark.parametrize('camera_hz, limit_hz, each', [(30, 10, 3), (30, 30, 1), (15, 30, 1), (60, 15, 4), (30, 1, 30)])
def test_even_rates(camera_hz, limit_hz, each):
    # Eighths are exact in binary.
    times = np.arange(240) * 0.125
    assert accepted(times, limit_hz / camera_hz * 8) == list(range(0, 240, each))


def test_a_rate_that_is_no_divisor_is_met_on_average():
    # 25 of 30 images a second.
    numbers = accepted(np.arange(3000) / 30, 25)
    assert len(numbers) == pytest.approx(2500, abs=2)
    assert set(np.diff(numbers)) == {1, 2}


def test_jitter_does_not_lower_the_rate():
    random = np.random.default_rng(1)
    times = np.arange(3000) / 30 + random.uniform(-0.01, 0.01, 3000)
    assert len(accepted(times, 10)) == pytest.approx(1000, abs=2)


def test_no_rush_after_a_pause():
    times = [*np.arange(30) / 30, *(100 + np.arange(30) / 30)]
    numbers = accepted(times, 2)
    assert [number for number in numbers if number < 30] == [0, 15]
    assert [number - 30 for number in numbers if number >= 30] == [0, 15]


def test_a_limit_that_is_raised_takes_effect_at_once():
    limit = RateLimit()
    assert limit.accepts(0.0, 0.1)
    assert not limit.accepts(1.0, 0.1)
    assert not limit.accepts(1.1, 10)
    assert limit.accepts(1.21, 10)
