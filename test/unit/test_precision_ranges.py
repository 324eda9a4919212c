# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from trt_perception.errors import CalibrationError
from trt_perception.precision.ranges import METHODS, NUM_BINS, Histogram, threshold


def histogram_of(values):
    values = np.asarray(values, np.float32)
    histogram = Histogram(float(np.abs(values).max()))
    for part in np.array_split(values, 3):
        histogram.add(part)
    return histogram


def quantised(values, limit):
    scale = limit / 127
    return np.clip(np.rint(values / scale), -127, 127) * scale


def test_minmax_is_the_largest_absolute_value():
    assert threshold(histogram_of([0.5, -3.0, 2.0]), 'minmax') == 3.0


def test_percentile_leaves_out_one_value_in_ten_thousand():
    values = np.linspace(0, 1, 100_000)
    values[-5:] = 50.0  # 0.005 per cent
    assert threshold(histogram_of(values), 'percentile') == pytest.approx(1.0, abs=50 / NUM_BINS)
    values[-20:] = 50.0  # 0.02 per cent
    assert threshold(histogram_of(values), 'percentile') == 50.0


def test_mse_is_as_good_as_trying_all_thresholds():
    values = np.random.default_rng(0).laplace(size=50_000).astype(np.float32)
    chosen = threshold(histogram_of(values), 'mse')
    errors = {limit: np.mean((values - quantised(values, limit)) ** 2) for limit in np.linspace(2, 12, 200)}
    assert np.mean((values - quantised(values, chosen)) ** 2) <= 1.02 * min(errors.values())
    assert chosen < np.abs(values).max()


def test_entropy_keeps_a_uniform_distribution_whole():
    assert threshold(histogram_of(np.random.default_rng(0).uniform(-4, 4, 100_000)), 'entropy') > 3.9


def test_entropy_clips_a_lone_outlier():
    values = np.random.default_rng(0).normal(size=100_000)
    values[0] = 100.0
    assert 2.0 < threshold(histogram_of(values), 'entropy') < 20.0


@pytest.mark.parametrize('method', METHODS)
def test_zeros_do_not_count(method):
    values = np.random.default_rng(1).normal(size=10_000)
    with_zeros = np.concatenate([values, np.zeros(90_000)])
    assert threshold(histogram_of(with_zeros), method) == threshold(histogram_of(values), method)


@pytest.mark.parametrize('method', METHODS)
def test_a_tensor_that_is_always_zero_gets_a_threshold_above_zero(method):
    assert threshold(histogram_of(np.zeros(10)), method) > 0


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('largest', [1e-45, 1e-37, 5e-31])
def test_a_tensor_that_is_all_but_zero_is_as_one_that_is_zero(method, largest):
    values = np.random.default_rng(1).uniform(0, largest, 100)
    values[0] = largest
    assert threshold(histogram_of(values), method) == threshold(histogram_of(np.zeros(10)), method)


def test_order_and_parts_do_not_matter():
    values = np.random.default_rng(2).normal(size=9_000).astype(np.float32)
    forward, backward = Histogram(5.0), Histogram(5.0)
    forward.add(values.reshape(3, 30, 100))
    for part in np.array_split(values[::-1], 7):
        backward.add(part)
    assert np.array_equal(forward.counts, backward.counts)
    assert forward.counts.sum() == 9_000


def test_unknown_method():
    with pytest.raises(CalibrationError, match="'average': expected one of minmax, entropy"):
        threshold(histogram_of([1.0]), 'average')
