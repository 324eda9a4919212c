# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The words for stamps that cannot be right: each cause has its own."""

import pytest

from trt_perception.node.monitoring.stamps import RosTime, StampReport, Stamps, stamp_reason

NOW_NS = 1_800_000_000 * 10**9  # 2027
SYSTEM = RosTime()


def reason(stamp_ns, now_ns=NOW_NS, ros_time=SYSTEM, equal=1):
    return stamp_reason(StampReport(stamp_ns, (now_ns - stamp_ns) / 1e9, equal), ros_time)


@pytest.mark.parametrize('late_s', [-9.0, 0.0, 0.05, 9.0])
def test_good_stamps(late_s):
    assert reason(NOW_NS - int(late_s * 1e9)) == ''
    assert stamp_reason(None, SYSTEM) == ''


def test_no_stamp():
    assert reason(0).startswith('image stamps are 0: the driver sets none')
    # Also in simulated time, which starts at 0.
    assert reason(0, 5 * 10**9, RosTime(simulated=True)).startswith('image stamps are 0: ')


def test_behind_and_ahead():
    behind, ahead = reason(NOW_NS - 3600 * 10**9), reason(NOW_NS + 3 * 365 * 86400 * 10**9)
    assert behind.startswith("image stamps are 3600 s behind this machine's clock: synchronise the clocks")
    assert ahead.startswith("image stamps are 3 years ahead of this machine's clock: synchronise the clocks")
    assert reason(NOW_NS - 10 * 86400 * 10**9).startswith('image stamps are 10 days behind')


def test_the_time_since_a_start():
    text = reason(7200 * 10**9)
    assert text.startswith("image stamps are 57 years behind this machine's clock, 7200 s after 1970: ")
    assert 'since its start or since boot' in text


def test_images_of_a_simulation_without_use_sim_time():
    text = reason(12 * 10**9, ros_time=RosTime(published=True))
    assert '/clock is published' in text and 'set use_sim_time to true' in text


def test_use_sim_time_without_a_clock():
    for stamps in (None, StampReport(NOW_NS, -NOW_NS / 1e9)):
        text = stamp_reason(stamps, RosTime(simulated=True, running=False))
        assert text.startswith('use_sim_time is true, but no node publishes /clock, so the time of this node stands ')
        assert 'set use_sim_time to false' in text and 'set use_sim_time to true' not in text
    text = stamp_reason(None, RosTime(simulated=True, running=False, published=True))
    assert text.startswith('use_sim_time is true, but no message was received on /clock yet')


def test_system_stamps_in_simulated_time():
    text = reason(NOW_NS, 60 * 10**9, RosTime(simulated=True, published=True))
    assert text.startswith('image stamps are 57 years ahead of the time on /clock: ')
    assert 'to true' not in text


def test_the_same_stamp_again_and_again():
    assert reason(NOW_NS, equal=9) == ''
    assert reason(NOW_NS, equal=10).startswith('the last 10 images have the same stamp: ')


def test_every_reason_is_one_line():
    for ros_time in (SYSTEM, RosTime(published=True), RosTime(simulated=True), RosTime(True, False)):
        for stamp in (0, 1, 5 * 10**9, NOW_NS, 2 * NOW_NS, -5 * 10**9):
            text = reason(stamp, ros_time=ros_time)
            assert '\n' not in text and len(text) < 400


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_only_the_last_seconds_count():
    clock = Clock()
    stamps = Stamps(clock)
    assert stamps.report() is None
    for _ in range(20):
        stamps.add(0, NOW_NS)
    clock.now += 8.0
    assert stamps.report() == StampReport(0, NOW_NS / 1e9, 20)
    stamps.add(NOW_NS - 10**9, NOW_NS)
    assert stamps.report() == StampReport(NOW_NS - 10**9, NOW_NS / 1e9, 1)
    clock.now += 8.0
    assert stamps.report() == StampReport(NOW_NS - 10**9, 1.0, 1)
    clock.now += 8.0
    assert stamps.report() is None
