# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A promised time is longer on a busy machine, also if it became busy after the promise."""

from support import promises
from support.promises import Promise


def test_a_machine_that_becomes_busy(monkeypatch):
    times = iter([0.5, 3.0])
    monkeypatch.setattr(promises, '_time_of', lambda program: next(times))
    promise = Promise(2.0)
    assert promise.allows(2.9)
    # Only now it is measured again.
    assert str(promise) == '3.00 s'
    assert promise.allows(7.9) and str(promise) == '8.00 s'


def test_an_action_that_takes_too_long(monkeypatch):
    monkeypatch.setattr(promises, '_time_of', lambda program: 0.5)
    promise = Promise(2.0)
    assert not promise.allows(3.0) and promise.allows(2.9)


def test_the_work_that_is_measured_runs():
    assert Promise(60.0).allows(1.0) and not Promise(0.0).allows(3600.0)
