# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections get the depth image of their time; and the health of the node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trt_perception.node.depth.health import Condition, Input, assess
from trt_perception.node.depth.pairing import MaskJoin, Pairing, Stamped
from trt_perception.node.monitoring.health import Level


def stamped(stamp_ns):
    return Stamped(stamp_ns, str(stamp_ns).encode())


def pair_of(outcome):
    return outcome.pair and (outcome.pair.detections.stamp_ns, outcome.pair.depth.stamp_ns)


def test_the_same_stamp_is_paired_at_once():
    pairing = Pairing(50, 10)
    assert pair_of(pairing.add_depth(stamped(1000))) is None
    assert pair_of(pairing.add_detections(stamped(1000))) == (1000, 1000)


def test_the_nearest_one_is_taken():
    pairing = Pairing(50, 10)
    for stamp in (1000, 1033, 1066, 1100):
        pairing.add_depth(stamped(stamp))
    assert pair_of(pairing.add_detections(stamped(1040))) == (1040, 1033)
    assert pair_of(pairing.add_detections(stamped(1060))) == (1060, 1066)


def test_it_waits_for_a_nearer_one():
    pairing = Pairing(50, 10)
    pairing.add_depth(stamped(1000))
    assert pair_of(pairing.add_detections(stamped(1030))) is None
    assert pair_of(pairing.add_depth(stamped(1033))) == (1030, 1033)
    assert pair_of(pairing.add_depth(stamped(1066))) is None


def test_newer_detections_end_the_wait():
    """The depth images are slow: the older detections take the last one, and the newer ones wait."""
    pairing = Pairing(50, 10)
    pairing.add_depth(stamped(1000))
    pairing.add_detections(stamped(1020))
    outcome = pairing.add_detections(stamped(1070))
    assert (pair_of(outcome), outcome.unmatched) == ((1020, 1000), 0)
    # These are too far from both.
    outcome = pairing.add_depth(stamped(1200))
    assert (pair_of(outcome), outcome.unmatched, outcome.difference_ns) == (None, 1, 70)


def test_without_depth_images_the_older_detections_are_unmatched():
    pairing = Pairing(50, 10)
    assert pairing.add_detections(stamped(1000)).unmatched == 0
    outcome = pairing.add_detections(stamped(1100))
    assert (pair_of(outcome), outcome.unmatched, outcome.difference_ns) == (None, 1, None)


def test_only_the_last_depth_images_are_kept():
    pairing = Pairing(50, 3)
    for stamp in range(1000, 2000, 100):
        pairing.add_depth(stamped(stamp))
    outcome = pairing.add_detections(stamped(1000))
    assert (pair_of(outcome), outcome.unmatched, outcome.difference_ns) == (None, 1, 700)


def test_the_time_goes_back():
    pairing = Pairing(50, 10)
    pairing.add_depth(stamped(9000))
    pairing.add_depth(stamped(1000))
    assert pair_of(pairing.add_detections(stamped(1020))) is None
    assert pair_of(pairing.add_depth(stamped(1050))) == (1020, 1000)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 300)), max_size=40))
def test_every_detection_is_settled_once_and_no_pair_is_too_far_apart(messages):
    pairing, seen, waiting, settled = Pairing(20, 4), 0, 0, 0
    for is_depth, stamp in messages:
        outcome = (pairing.add_depth if is_depth else pairing.add_detections)(stamped(stamp))
        seen += not is_depth
        settled += outcome.unmatched + (outcome.pair is not None)
        if outcome.pair is not None:
            assert abs(outcome.pair.detections.stamp_ns - outcome.pair.depth.stamp_ns) <= 20
        waiting = seen - settled
        assert waiting in (0, 1)


def test_detections_that_wait_are_dropped_once():
    pairing, join = Pairing(50, 10), MaskJoin(5)
    for waiting in (pairing, join):
        assert waiting.drop() == 0
        waiting.add_detections(stamped(1000))
        assert (waiting.drop(), waiting.drop()) == (1, 0)
    assert pair_of(pairing.add_depth(stamped(1000))) is None
    assert join.add_masks(stamped(1000)) is None


# Masks


def test_masks_come_before_or_after_their_detections():
    join = MaskJoin(5)
    assert join.add_detections(stamped(1000)) == (None, False)
    assert join.add_masks(stamped(900)) is None
    joined = join.add_masks(stamped(1000))
    assert (joined.stamp_ns, joined.masks) == (1000, b'1000')
    assert join.add_masks(stamped(1100)) is None
    joined, lost = join.add_detections(stamped(1100))
    assert (joined.masks, lost) == (b'1100', False)


def test_the_masks_of_a_pause_come_before_their_detections():
    join = MaskJoin(5)
    for stamp in range(1000, 1600, 100):
        assert join.add_masks(stamped(stamp)) is None
    # The oldest is not kept.
    assert join.add_detections(stamped(1000)) == (None, False)
    for stamp, lost in ((1100, True), (1200, False), (1400, False), (1500, False)):
        joined, was_lost = join.add_detections(stamped(stamp))
        assert (joined.stamp_ns, joined.masks, was_lost) == (stamp, str(stamp).encode(), lost)
    # Those of 1300 were not kept for longer than those after them.
    assert join.add_detections(stamped(1300)) == (None, False)


def test_newer_detections_do_not_wait_for_older_masks():
    join = MaskJoin(5)
    join.add_detections(stamped(1000))
    assert join.add_detections(stamped(1100)) == (None, True)
    assert join.add_masks(stamped(1000)) is None
    assert join.add_masks(stamped(1100)).stamp_ns == 1100
    assert join.add_detections(stamped(1200)) == (None, False)


# Health


def condition(**changes):
    inputs = tuple(Input(topic, 1, 0.1) for topic in ('/detections', '/depth', '/camera_info'))
    return Condition(**{
        'state': 'active', 'error': '', 'inputs': inputs, 'rates': {'received': 10.0, 'processed': 10.0},
        'difference_s': None, 'limit_s': 0.05, 'last_failure': '', **changes})


@pytest.mark.parametrize('changes, level, says', [
    ({}, Level.OK, '10.0 results a second'),
    ({'state': 'inactive'}, Level.OK, 'inactive: no detections are processed'),
    ({'state': 'unconfigured', 'error': 'configure failed: why'}, Level.ERROR, 'configure failed: why'),
    ({'inputs': (Input('/d', 1, 0.1), Input('/depth', 0, 6.0))}, Level.WARN,
     'no node publishes /depth: check the name of the topic (ros2 topic list)'),
    ({'inputs': (Input('/depth', 2, 6.0),)}, Level.WARN,
     'no message on /depth for 6 s, although it has a publisher'),
    ({'rates': {'received': 10.0, 'unmatched': 6.0}, 'difference_s': 0.2}, Level.WARN,
     'most detections have no depth image of their time: the nearest differs by 0.200 s, and max_stamp_difference is '
     '0.05 s'),
    ({'rates': {'received': 10.0, 'bad': 9.0}, 'last_failure': 'no camera_info'}, Level.ERROR,
     'most detections cannot be placed: no camera_info'),
    ({'rates': {'received': 10.0, 'bad': 1.0}, 'last_failure': 'cut off'}, Level.WARN,
     'some detections cannot be placed: cut off'),
    # camera_info came once and is right or wrong: the messages say more.
    ({'inputs': (Input('/camera_info', 1, 9.0),), 'rates': {'received': 10.0, 'bad': 10.0}, 'last_failure': 'too wide'},
     Level.ERROR, 'most detections cannot be placed: too wide'),
    ({'inputs': (Input('/depth', 1, 9.0),), 'rates': {'received': 10.0, 'unmatched': 10.0}}, Level.WARN,
     'no message on /depth for 9 s, although it has a publisher'),
])
def test_the_health(changes, level, says):
    assert assess(condition(**changes)) == (level, says)
