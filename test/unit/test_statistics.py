# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import threading

import numpy as np
import pytest

from trt_perception.node.monitoring.statistics import Statistics


class Clock:
    """A clock that moves only on request."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def statistics(clock):
    return Statistics(10.0, clock)


def test_nothing_yet(statistics):
    snapshot = statistics.snapshot()
    assert (snapshot.stages, snapshot.rates, snapshot.counts) == ({}, {}, {})
    assert statistics.counted('received') == 0


def test_percentiles(statistics):
    for value in range(101):
        statistics.record({'infer': float(value), 'publish': 2.0})
    stages = statistics.snapshot().stages
    assert stages['infer'] == (50.0, 95.0, 99.0)
    assert stages['publish'] == (2.0, 2.0, 2.0)


def test_percentiles_of_few_samples_lie_between_them(statistics):
    statistics.record({'infer': 10.0})
    statistics.record({'infer': 20.0})
    assert statistics.snapshot().stages['infer'] == pytest.approx((15.0, 19.5, 19.9))


def test_stages_forget_what_is_older_than_the_window(statistics, clock):
    statistics.record({'infer': 100.0})
    clock.now += 6.0
    statistics.record({'infer': 10.0})
    assert statistics.snapshot().stages['infer'][0] == 55.0
    clock.now += 5.0  # the first is 11 s old, the second 5 s
    assert statistics.snapshot().stages['infer'] == (10.0, 10.0, 10.0)
    clock.now += 6.0
    assert 'infer' not in statistics.snapshot().stages


def test_counts_are_forever_and_rates_are_not(statistics, clock):
    for _ in range(50):
        clock.now += 0.1
        statistics.count('received')
    # 50 events in the 5 s since the start
    assert statistics.snapshot().rates['received'] == pytest.approx(10.0)
    for _ in range(200):
        clock.now += 0.05
        statistics.count('received')
    # The window now has the last 10 s: 200 events at 20 Hz, and perhaps the one at its very beginning.
    assert statistics.snapshot().rates['received'] == pytest.approx(20.0, abs=0.11)
    clock.now += 11.0
    snapshot = statistics.snapshot()
    assert snapshot.rates['received'] == 0.0
    assert snapshot.counts['received'] == 250
    assert statistics.counted('received') == 250


def test_the_first_event_is_no_rate_of_thousands(statistics, clock):
    clock.now += 0.001
    statistics.count('received')
    assert statistics.snapshot().rates['received'] == 1.0


def test_rates_above_what_the_memory_holds(statistics, clock):
    # 400 Hz for 10 s are 4000 events. Only the last ones are kept, but the rate must be right.
    for _ in range(4000):
        clock.now += 1 / 400
        statistics.count('received')
    snapshot = statistics.snapshot()
    assert snapshot.rates['received'] == pytest.approx(400.0, rel=0.01)
    assert snapshot.counts['received'] == 4000


def test_events_are_apart(statistics, clock):
    clock.now += 2.0
    statistics.count('bad')
    statistics.count('received')
    statistics.count('received')
    snapshot = statistics.snapshot()
    assert snapshot.counts == {'bad': 1, 'received': 2}
    assert snapshot.rates == {'bad': 0.5, 'received': 1.0}


def test_reset(statistics, clock):
    statistics.count('received')
    statistics.record({'infer': 1.0})
    clock.now += 100.0
    statistics.reset()
    snapshot = statistics.snapshot()
    assert (snapshot.stages, snapshot.rates, snapshot.counts) == ({}, {}, {})
    clock.now += 2.0
    statistics.count('received')
    # Rates count from the reset.
    assert statistics.snapshot().rates['received'] == 0.5


def test_a_snapshot_does_not_change_any_more(statistics):
    statistics.count('received')
    snapshot = statistics.snapshot()
    statistics.count('received')
    assert snapshot.counts == {'received': 1}


def test_threads_lose_no_event():
    statistics = Statistics()
    start = threading.Barrier(4)

    def work():
        start.wait()
        for _ in range(500):
            statistics.count('received')
            statistics.record({'infer': 1.0})

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        statistics.snapshot()
    for thread in threads:
        thread.join()
    assert statistics.counted('received') == 2000
    np.testing.assert_array_equal(statistics.snapshot().stages['infer'], [1.0] * 3)
