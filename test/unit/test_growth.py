# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The judgement of test/reliability/soak.py, with processes whose growth is known."""

from types import SimpleNamespace

import numpy as np
import pytest
from support.growth import Growth


def samples(count, mib, descriptors=lambda step: 40, threads=lambda step: 20, step_kib=1.0, shared=lambda step: 100):
    growth = Growth(step_kib)
    for step in range(1, count + 1):
        growth.sample(step, SimpleNamespace(
            resident_mib=lambda step=step: mib(step) + shared(step), shared_mib=lambda step=step: shared(step),
            descriptors=lambda step=step: descriptors(step), threads=lambda step=step: threads(step)))
    return growth


def test_pools_that_fill_and_noise_are_no_leak():
    noise = np.random.default_rng(0).normal(0, 1, 1001)
    growth = samples(1000, lambda step: 200 + min(step, 300) / 5 + noise[step], threads=lambda step: min(step, 22))
    assert growth.faults() == []
    assert growth.summary()['steps'] == 1000 - 334
    # One late step: a pool.
    assert samples(1000, lambda step: 200 + 3 * (step > 900)).faults() == []


@pytest.mark.parametrize('kib', [10, 900])
def test_a_leak_in_each_step_shows(kib):
    noise = np.random.default_rng(1).normal(0, 1, 1001)
    fault, = samples(1000, lambda step: 200 + step * kib / 1024 + noise[step]).faults()
    assert fault.startswith('mib grew by ')
    # An image in each cycle, already in the short run.
    assert samples(30, lambda step: 200 + step * 900 / 1024, step_kib=8).faults()


def test_shared_memory_of_participants_that_left():
    """As measured: the segments of up to four, at the end of a short run by chance."""
    left = {15: 0, 16: 0, 17: 3.6, 18: 14.4, 19: 18.0}
    assert samples(19, lambda step: 126, shared=lambda step: 184 + left.get(step, 0), step_kib=8).faults() == []
    fault, = samples(19, lambda step: 126, shared=lambda step: 184 + 3.6 * step, step_kib=8).faults()
    assert fault.startswith('shared_mib grew by 32.4 ')


def test_descriptors_and_threads():
    faults = samples(30, lambda step: 200, lambda step: 40 + step, lambda step: 20 + step // 2).faults()
    assert [fault.split()[0] for fault in faults] == ['descriptors', 'threads']


def test_too_few_samples_are_no_proof():
    with pytest.raises(AssertionError, match='18 samples are too few'):
        samples(18, lambda step: 200).faults()
