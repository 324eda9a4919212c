# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The progress of frames, and the watchdog of a frame that never ends."""

import itertools
import threading

import pytest

from trt_perception.node.monitoring.liveness import Liveness, Progress
from trt_perception.node.monitoring.twins import Twins
from trt_perception.node.monitoring.watchdog import Watchdog

SOON = 60.0  # seconds to wait for events that come at once


class Clock:
    """A clock that moves only on request."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def frame(liveness, clock, seconds, outcome='processed'):
    liveness.arrived()
    number = liveness.begin('inference')
    clock.now += seconds
    liveness.end(number, outcome)


def test_nothing_has_come(clock):
    liveness = Liveness(0.5, clock)
    clock.now += 100.0
    progress = liveness.report()
    assert (progress.frame, progress.in_work_s, progress.fruitless_s, progress.dropped) == (0, 0.0, 0.0, {})
    assert not progress.stuck


def run(liveness, clock, seconds, outcome):
    number = liveness.begin('reading the image')
    liveness.step(number, 'inference')
    clock.now += seconds
    liveness.end(number, outcome)


def test_the_usual_time_is_not_that_of_a_pause(clock):
    liveness = Liveness(0.5, clock)
    assert liveness.usual_s() == 0.5
    for _ in range(4):
        run(liveness, clock, 0.1, 'processed')
    # The process was stopped for ten seconds.
    run(liveness, clock, 10.0, 'stale')
    assert liveness.usual_s() == pytest.approx(0.2)
    # Images that were too old before the network ran, or could not be read, took no time.
    for outcome in ('stale', 'bad'):
        frame(liveness, clock, 0.0, outcome)
    assert liveness.usual_s() == pytest.approx(0.2)
    # A machine that stays slower: the results that came too late count, so the next ones are in time.
    for _ in range(6):
        run(liveness, clock, 0.3, 'stale')
    assert liveness.usual_s() == pytest.approx(0.6)


def test_a_frame_in_work(clock):
    liveness = Liveness(0.5, clock)
    liveness.arrived()
    number = liveness.begin('reading the image')
    liveness.step(number, 'inference')
    for _ in range(299):
        liveness.arrived()
    clock.now += 15.0
    progress = liveness.report()
    assert (progress.frame, progress.stage, progress.in_work_s, progress.waiting) == (1, 'inference', 15.0, 300)
    assert progress.stuck
    assert progress.reason == '300 images received, none processed for 15 s: inference has not returned'
    liveness.end(number, 'processed')
    assert not liveness.report().stuck


def test_of_two_frames_in_work_the_older_one_is_reported(clock):
    liveness = Liveness(0.5, clock)
    liveness.arrived()
    older = liveness.begin('reading the image')
    liveness.step(older, 'inference')
    clock.now += 2.0
    liveness.arrived()
    newer = liveness.begin('reading the image')
    clock.now += 1.0
    progress = liveness.report()
    assert (progress.frame, progress.stage, progress.in_work_s, progress.waiting) == (older, 'inference', 3.0, 2)
    liveness.end(older, 'processed')
    progress = liveness.report()
    assert (progress.frame, progress.stage, progress.in_work_s) == (newer, 'reading the image', 1.0)
    assert progress.waiting == 1
    # The image of the newer one came while the older one was in work, and has no result yet.
    clock.now += 4.0
    assert liveness.report().fruitless_s == 4.0
    liveness.step(newer, 'inference')
    liveness.end(newer, 'processed')
    assert (liveness.report().frame, liveness.report().fruitless_s, liveness.report().expected_s) == (0, 0.0, 5.0)


@pytest.mark.parametrize('first_s, limit_s', [(0.1, 5.0), (3.0, 9.0), (60.0, 15.0)])
def test_the_first_frame_is_reported_after_fifteen_seconds_at_most(clock, first_s, limit_s):
    assert Liveness(first_s, clock).report().limit_s == limit_s


def test_a_slow_model_is_not_stuck(clock):
    liveness = Liveness(0.1, clock)
    frame(liveness, clock, 12.0)
    progress = liveness.report()
    assert (progress.expected_s, progress.limit_s, progress.patience_s) == (12.0, 36.0, 36.0)
    # The slowest of ten counts.
    for _ in range(9):
        frame(liveness, clock, 0.1)
    assert liveness.report().expected_s == 12.0
    frame(liveness, clock, 0.1)
    assert liveness.report().expected_s == pytest.approx(0.1)
    assert liveness.report().limit_s == 5.0


def test_dropped_frames_say_nothing_about_the_time_of_a_frame(clock):
    liveness = Liveness(0.1, clock)
    frame(liveness, clock, 30.0, 'bad')
    assert liveness.report().expected_s == 0.1


@pytest.mark.parametrize('in_work_s, left_s', [(0.0, 10.0), (4.0, 6.0), (9.5, 2.0), (100.0, 2.0)])
def test_a_transition_waits_less_for_a_frame_that_is_old(in_work_s, left_s):
    assert Progress(frame=1, in_work_s=in_work_s, expected_s=0.1).patience_s == left_s


def test_time_and_images_without_a_result(clock):
    liveness = Liveness(0.1, clock)
    for outcome in ('bad', 'stale', 'bad'):
        frame(liveness, clock, 1.0, outcome)
    progress = liveness.report()
    assert progress.fruitless_s == 3.0
    assert progress.dropped == {'bad': 2, 'stale': 1}
    frame(liveness, clock, 1.0)
    progress = liveness.report()
    assert (progress.fruitless_s, progress.dropped) == (0.0, {})
    # No image, no complaint.
    clock.now += 50.0
    assert liveness.report().fruitless_s == 0.0


# Watchdog


class Watched:
    """A watchdog that looks at these frames, one after the other, with a clock that moves by `seconds` each time."""

    def __init__(self, timeout, frames, seconds):
        self.hung, self.looks = [], 0
        self.done = threading.Event()
        self._frames = iter(frames)
        self._seconds = itertools.count(0.0, seconds)
        self.watchdog = Watchdog(
            self._progress, lambda: timeout, self._on_hang, tick_s=0.001, clock=lambda: next(self._seconds))

    def _progress(self):
        progress = next(self._frames, None)
        if progress is None:
            self.done.set()
            return Progress()
        self.looks += 1
        return progress

    def _on_hang(self, progress):
        self.hung.append(progress)
        # As the node does it.
        self.watchdog.stop()
        self.done.set()


def look(number, expected_s=0.0):
    return Progress(frame=number, stage='inference', expected_s=expected_s)


def watch(timeout, frames, seconds=0.001):
    watched = Watched(timeout, frames, seconds)
    assert watched.done.wait(SOON)
    watched.watchdog.stop()
    return watched


def test_one_frame_for_too_long():
    watched = watch(0.02, [look(5)] * 100)
    assert watched.hung == [look(5)]
    # The time counts from the second look at the same frame.
    assert 20 <= watched.looks <= 24


def test_many_frames_are_no_hang():
    assert watch(0.02, [look(number) for number in range(1, 200)]).hung == []


def test_no_frame_is_no_hang():
    assert watch(0.02, [look(0)] * 200).hung == []


def test_no_limit():
    assert watch(0.0, [look(5)] * 200).hung == []


def test_a_slow_model_gets_more_time():
    assert watch(0.02, [look(5, expected_s=0.03)] * 140).hung == []
    assert watch(0.02, [look(5, expected_s=0.02)] * 140).hung == [look(5, 0.02)]


def test_a_pause_of_the_process_does_not_count():
    """Each step of the clock is an hour, as after SIGSTOP: it counts as two ticks of 1 ms."""
    assert watch(0.02, [look(5)] * 9, seconds=3600.0).hung == []


# Twins


def test_a_twin_that_lasts_is_reported_once_in_the_log(clock):
    logged = []
    twins = Twins(logged.append, clock)
    own, other = '/robot/detector', '/robot/camera'
    assert twins.update(own, [own, other]) == ''
    assert twins.update(own, [own, other, own]) == ''
    clock.now += 2.0
    reason = twins.update(own, [own, other, own])
    assert reason.startswith('another node is also named /robot/detector: ')
    assert twins.update(own, [own, own, own]).startswith('2 other nodes are also named /robot/detector: ')
    assert logged == [reason]
    # It ends, and comes again.
    assert twins.update(own, [own]) == ''
    twins.update(own, [own, own])
    clock.now += 2.0
    assert twins.update(own, [own, own]) == reason
    assert logged == [reason, reason]


def test_other_names_are_no_twins(clock):
    twins = Twins(pytest.fail, clock)
    for _ in range(3):
        clock.now += 5.0
        assert twins.update('/detector', ['/detector', '/a/detector', '/detector2', '/']) == ''
    # The own name is not discovered yet.
    assert twins.update('/detector', []) == ''
