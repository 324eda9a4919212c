# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The assignment of boxes: against all permutations, and against scipy where it is installed."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trt_perception.tracking.assignment import best_pairs


def pairs_of(weights):
    """The pairs in a matrix of all weights."""
    return best_pairs(*(indices.ravel() for indices in np.indices(weights.shape)), weights.ravel())


def largest_sum(weights):
    """Try every matching."""
    if weights.shape[0] > weights.shape[1]:
        weights = weights.T
    rows, columns = weights.shape
    gains = np.maximum(weights, 0)
    return max(gains[range(rows), chosen].sum() for chosen in itertools.permutations(range(columns), rows))


def sizes():
    return st.tuples(st.integers(1, 5), st.integers(1, 5))


# Few values, so that there are ties.
@given(sizes().flatmap(lambda size: arrays(float, size, elements=st.sampled_from([-0.5, 0.0, 0.25, 0.5, 0.75, 1.0]))))
def test_the_sum_is_the_largest_of_all_matchings(weights):
    rows, columns = pairs_of(weights)
    assert len(set(rows)) == len(set(columns)) == len(rows) == len(columns)
    assert (weights[rows, columns] > 0).all()
    assert weights[rows, columns].sum() == largest_sum(weights)


@pytest.mark.parametrize('size', [(50, 50), (20, 60), (60, 20), (120, 100)])
def test_as_scipy(size):
    optimize = pytest.importorskip('scipy.optimize')
    rng = np.random.default_rng(sum(size))
    for share in (0.02, 0.1, 0.5, 1.0):
        weights = np.where(rng.random(size) < share, rng.random(size), -1.0)
        rows, columns = pairs_of(weights)
        expected = np.maximum(weights, 0)
        assert weights[rows, columns].sum() == pytest.approx(
            expected[optimize.linear_sum_assignment(expected, maximize=True)].sum(), abs=1e-9)


def test_a_good_pair_is_given_up_for_two():
    """Greedy would take 0.9, and leave 0.0 for the other row."""
    rows, columns = pairs_of(np.array([[0.9, 0.8], [0.7, 0.0]]))
    assert sorted(zip(rows.tolist(), columns.tolist())) == [(0, 1), (1, 0)]


def test_a_row_may_stay_without_a_partner():
    """Two rows want the same column, and the second has no other."""
    rows, columns = pairs_of(np.array([[0.9, -0.1], [0.8, -0.1]]))
    assert (rows.tolist(), columns.tolist()) == ([0], [0])


@pytest.mark.parametrize('size', [(0, 0), (0, 3), (3, 0), (2, 2)])
def test_nothing_to_pair(size):
    rows, columns = pairs_of(np.zeros(size))
    assert len(rows) == len(columns) == 0
