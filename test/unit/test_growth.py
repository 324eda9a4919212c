# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The judgement of test/reliability/soak.py, with processes whose growth is known."""

from types import SimpleNamespace

import numpy as np
import pytest
from support.growth import Growth


def samples(
    count, mib, descriptors=lambda step: 40, threads=lambda step: 20, step_kib=1.0, files=lambda step: 100,
    segments=lambda step: 2, images_mib=0.0,
):
    growth = Growth(step_kib, images_mib)
    for step in range(1, count + 1):
        growth.sample(step, SimpleNamespace(
            private_mib=lambda step=step: mib(step), file_mib=lambda step=step: files(step),
            segments=lambda step=step: segments(step), descriptors=lambda step=step: descriptors(step),
            threads=lambda step=step: threads(step)))
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


def test_images_that_wait_at_once():
    """More of them do late on a busy machine: that is no leak, up to their size."""
    def mib(step):
        return 200 + 5 * (step > 60)

    assert samples(120, mib).faults()
    assert samples(120, mib, images_mib=3.6).faults() == []
    fault, = samples(120, lambda step: 200 + step * 900 / 1024, images_mib=3.6).faults()
    assert fault.startswith('mib grew by ')


def test_mapped_files():
    fault, = samples(30, lambda step: 200, files=lambda step: 100 + step, step_kib=8).faults()
    assert fault.startswith('file_mib grew by 14')


def test_shared_memory_of_participants_that_left():
    """As measured: the segments of up to four, at the end of a short run by chance."""
    left = {16: 1, 17: 4, 18: 4, 19: 4}
    fast = samples(19, lambda step: 126, segments=lambda step: 2 + min(step, 9), step_kib=8)
    assert fast.faults() == []
    assert samples(19, lambda step: 126, segments=lambda step: 2 + left.get(step, 0), step_kib=8).faults() == []
    fault, = samples(19, lambda step: 126, segments=lambda step: 2 + step, step_kib=8).faults()
    assert fault.startswith('segments grew by 6 ')


def test_descriptors_and_threads():
    faults = samples(30, lambda step: 200, lambda step: 40 + step, lambda step: 20 + step // 2).faults()
    assert [fault.split()[0] for fault in faults] == ['descriptors', 'threads']


def test_too_few_samples_are_no_proof():
    with pytest.raises(AssertionError, match='18 samples are too few'):
        samples(18, lambda step: 200).faults()
