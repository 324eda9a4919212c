# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The search for the highest rate, on machines with a known limit, and the usage of a process as /proc has it."""

import os
import subprocess
import sys

import pytest

from trt_perception.measure.process_usage import (
    cpu_seconds,
    memory_mb,
    peak_memory_mb,
    proportional_memory_mb,
)
from trt_perception.measure.rates import measure_rates
from trt_perception.progress import silent


class Machine:
    """A node that processes `limit` frames a second, and a camera that sends at most `camera` of them."""

    def __init__(self, limit, camera=1e9):
        self.limit = limit
        self.camera = camera
        self.rates = []

    def feed(self, width, height, rate, frames, label, image, progress):
        self.rates.append(rate)
        sent_hz = min(rate, self.camera)
        results = int(frames * min(1.0, self.limit / sent_hz))
        return {
            'sent': frames, 'rate_hz': sent_hz, 'resident_mb': [90.0, 100.0], 'cpu_percent': 50.0,
            'ages_ms': [5.0 + index % 2 for index in range(results)]}


def measured(machine):
    return measure_rates(machine, 640, 480, 'image.npy', 100.0, silent)


@pytest.mark.parametrize('limit', [2.0, 7.0, 22.0, 45.0, 100.0, 500.0])
def test_the_highest_rate_is_found(limit):
    """With 5 % loss it is up to 1 / 0.95 of what the node processes; the search ends within 5 % of that."""
    figures = measured(Machine(limit))
    assert limit / 1.06 < figures.highest.rate_hz < limit / 0.95
    assert figures.highest.lost < 0.05 and not figures.limited_by_camera


def test_a_slow_camera_is_not_the_limit_of_the_node():
    figures = measured(Machine(1000.0, camera=90.0))
    assert figures.limited_by_camera and figures.highest.sent_hz == 90.0
    assert 'cannot send faster' in figures.note()
    figures = measured(Machine(1000.0, camera=40.0))
    assert figures.limited_by_camera and figures.highest.sent_hz == 40.0


@pytest.mark.parametrize('pauses, highest', [(1, 20.0), (99, 10.0)])
def test_a_pause_of_a_camera_that_sent_faster_is_not_its_limit(pauses, highest):
    """Other programs disturb one run: it is repeated. It says nothing about the camera, even if all are disturbed."""
    class Pauses(Machine):
        def feed(self, width, height, rate, *others):
            fed = super().feed(width, height, rate, *others)
            if rate not in (10.0, 30.0, 60.0) and self.rates.count(rate) <= pauses:
                fed.update(rate_hz=0.8 * rate, ages_ms=[5.0] * fed['sent'])
            return fed

    figures = measured(Pauses(20.0))
    assert not figures.limited_by_camera and 'cannot send faster' not in figures.note()
    assert highest / 1.06 < figures.highest.rate_hz < highest / 0.95


def test_no_rate_is_good():
    figures = measured(Machine(0.1))
    assert figures.highest is None
    assert figures.note() == 'no rate from 0.5 Hz on has less than 5 % loss'


def test_the_fixed_rates_and_the_table():
    machine = Machine(45.0)
    figures = measured(machine)
    # The first run is not counted.
    assert machine.rates[:4] == [10.0, 10.0, 30.0, 60.0]
    assert [(one.rate_hz, one.sent, one.results, one.lost) for one in figures.fixed] == [
        (10.0, 1000, 1000, 0.0), (30.0, 3000, 3000, 0.0), (60.0, 6000, 4500, 0.25)]
    assert figures.fixed[0].latency_ms == (5.5, 6.0, 6.0) and figures.fixed[0].memory_mb == 100.0
    rows = figures.rows()
    assert rows[3] == ('60 Hz', '60.0', '45.0', '25.0', '5.5', '6.0', '6.0', '50', '100')
    assert {len(row) for row in rows} == {9}


def test_usage_of_a_process():
    code = (
        "import time; block = bytearray(b'x' * 120_000_000); del block\n"
        'end = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n'
        "print('ready', flush=True); input()")
    with subprocess.Popen(
            [sys.executable, '-c', code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == 'ready\n'
        assert 120 < peak_memory_mb(process.pid) < 300
        assert memory_mb(process.pid) < peak_memory_mb(process.pid) - 60
        assert 0.25 < cpu_seconds(process.pid) < 5
        # Its libraries are shared with this process.
        assert 1 < proportional_memory_mb(process.pid) <= memory_mb(process.pid) + 0.1
        process.communicate('\n')
    assert (peak_memory_mb(process.pid), cpu_seconds(process.pid)) == (None, None)
    assert proportional_memory_mb(process.pid) is None
    assert memory_mb(os.getpid()) > 5
