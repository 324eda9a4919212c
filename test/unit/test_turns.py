# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The order of networks on several streams, by the driver calls that make it."""

from types import SimpleNamespace

import pytest

from trt_perception.backends.tensorrt.run.turns import Turns


class Driver:
    def __init__(self):
        self.calls, self.made = [], 0

    def create_event(self):
        self.made += 1
        return self.made

    def destroy_event(self, event):
        self.calls.append(('destroy', event))

    def record_event(self, event, stream):
        self.calls.append(('record', event, stream))

    def wait_event(self, stream, event):
        self.calls.append(('wait', stream, event))


@pytest.fixture
def driver():
    return Driver()


@pytest.fixture
def turns(driver):
    return Turns(SimpleNamespace(driver=driver, adopt=lambda resource: resource))


def test_a_network_waits_for_the_one_that_was_launched_before(driver, turns):
    first, second = turns.join(), turns.join()

    def take(turn, stream):
        driver.calls.clear()
        turn.take(stream, lambda: driver.calls.append('launch'))
        return driver.calls

    assert take(first, 11) == ['launch', ('record', 1, 11)]
    assert take(second, 12) == [('wait', 12, 1), 'launch', ('record', 2, 12)]
    assert take(first, 11) == [('wait', 11, 2), 'launch', ('record', 1, 11)]
    # The work of one stream is in order anyway.
    assert take(first, 11) == ['launch', ('record', 1, 11)]


def test_a_network_that_cannot_be_launched_does_not_block_the_next(driver, turns):
    first, second = turns.join(), turns.join()

    def fail():
        raise ValueError('no')

    with pytest.raises(ValueError, match='no'):
        first.take(11, fail)
    second.take(12, lambda: None)
    # Event 1 was never recorded, so CUDA does not wait for it.
    assert driver.calls == [('wait', 12, 1), ('record', 2, 12)]


def test_events_are_destroyed_once(driver, turns):
    turn = turns.join()
    turn.free()
    turn.free()
    assert driver.calls == [('destroy', 1)]
