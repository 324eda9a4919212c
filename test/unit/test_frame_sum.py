# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The check of the sum of frames that the tests of faults share."""

from types import SimpleNamespace

import pytest
from support.frame_sum import OUTCOMES, frame_sum, settled, stamp_ns

SENT = [3 * 10**9 + number for number in range(10)]
COUNTS = {'received': 7, 'processed': 3, 'replaced': 2, 'stale': 1, 'bad': 1, 'failed': 0, 'skipped': 0}


def result(stamp):
    sec, nanosec = divmod(stamp, 10**9)
    return SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec)))


def results(*numbers):
    return [result(SENT[number]) for number in numbers]


def test_what_is_not_received_is_lost():
    found = frame_sum(SENT, COUNTS, results(0, 4, 8), bad=SENT[5:6])
    assert found == {'sent': 10, **COUNTS, 'lost_in_transport': 3}
    assert found['sent'] == sum(found[name] for name in (*OUTCOMES, 'lost_in_transport'))


@pytest.mark.parametrize('changes, numbers, said', [
    ({'received': 8}, (0, 4, 8), 'received'), ({'processed': 2, 'replaced': 3}, (0, 4, 8), 'results'),
    ({}, (0, 4, 4), 'a second result'), ({}, (4, 0, 8), 'not in the order'),
    ({}, (0, 5, 8), 'results of bad frames'), ({'bad': 2, 'stale': 0}, (0, 4, 8), 'sent'),
])
def test_what_is_wrong(changes, numbers, said):
    with pytest.raises(AssertionError, match=said):
        frame_sum(SENT, {**COUNTS, **changes}, results(*numbers), bad=SENT[5:6])


def test_more_is_received_than_sent():
    with pytest.raises(AssertionError, match='more frames were received than sent'):
        frame_sum(SENT[:6], COUNTS, results(0, 4, 5), bad=SENT[5:6])
    with pytest.raises(AssertionError, match='were not sent'):
        frame_sum(SENT, COUNTS, [*results(0, 4), result(7)], bad=SENT[5:6])


def test_a_bag_in_a_loop_and_a_consumer_that_loses_results():
    counts = {**COUNTS, 'bad': 0, 'stale': 2}
    frame_sum([*SENT, *SENT], counts, results(4, 8, 4))
    with pytest.raises(AssertionError, match='a second result'):
        frame_sum([*SENT, *SENT], counts, results(4, 4, 4))
    frame_sum(SENT, counts, results(4, 8))
    assert stamp_ns(result(SENT[4])) == SENT[4]
    assert settled({name: str(value) for name, value in COUNTS.items()})
    assert not settled({**{name: str(value) for name, value in COUNTS.items()}, 'received': '8'})
