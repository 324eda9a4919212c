# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Failed inferences of all cameras: after ten in a row the node gives up, once; a lost device ends it at once."""

import pytest

from trt_perception.errors import EngineError
from trt_perception.node.perception.inference_failures import FAILURES_TO_GIVE_UP, InferenceFailures


@pytest.fixture
def seen():
    return []


@pytest.fixture
def failures(seen):
    return InferenceFailures(lambda: seen.append('gave up'), seen.append)


def fail(failures, count, reason='out of range'):
    for _ in range(count):
        failures.failed(EngineError(reason), reason)


def test_ten_in_a_row_are_too_many(failures, seen):
    fail(failures, FAILURES_TO_GIVE_UP - 1)
    assert (failures.failing, seen) == (False, [])
    fail(failures, 3)
    # Once, although more fail before the node has stopped.
    assert (failures.failing, seen) == (True, ['gave up'])
    assert failures.why_failing == '10 inferences in a row failed: out of range'


def test_one_result_of_any_camera_ends_the_row(failures, seen):
    fail(failures, 9)
    failures.succeeded()
    fail(failures, 9)
    failures.reset()
    fail(failures, 9)
    assert (failures.failing, seen) == (False, [])


def test_a_lost_device_is_reported_at_once(failures, seen):
    error = EngineError('gone', fatal=True)
    failures.failed(error, 'gone')
    assert seen == [error]


def test_failures_at_the_end_are_expected(failures):
    assert not failures.expected
    failures.expect()
    assert failures.expected
