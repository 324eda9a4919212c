# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""When OpenCV's threads are kept awake."""

import numpy as np
import pytest

from trt_perception.backends.tensorrt.run.awake_threads import AwakeThreads
from trt_perception.backends.tensorrt.run.frame_copy import copy_rows

ASK_S, CALL_S = 0.000002, 0.00002


class Gpu:
    """A clock that passes when it is asked whether the GPU is done, and when the threads are called."""

    def __init__(self):
        self.now = 100.0
        self.calls = []
        self.busy_until = 0.0
        self.questions = 0
        self.awake = AwakeThreads(self.call, lambda: self.now)

    def call(self):
        self.calls.append(self.now)
        self.now += CALL_S

    def is_done(self):
        self.questions += 1
        self.now += ASK_S
        return self.now >= self.busy_until

    def synchronize(self):
        self.now = max(self.now, self.busy_until)

    def frame(self, pause_s, work_s):
        """Seconds from the launch to the calls that a frame gives, which is copied `pause_s` after the GPU was done."""
        self.now += pause_s
        self.awake.frame_comes()
        launched = self.now = self.now + 0.00005
        self.busy_until = launched + work_s
        self.calls.clear()
        self.questions = 0
        self.awake.wait(self.is_done, self.synchronize)
        return [call - launched for call in self.calls], self.questions


def test_the_first_frame_calls_nothing():
    assert Gpu().frame(0.0, 0.0005) == ([], 0)


@pytest.mark.parametrize('work_s, expected', [
    (0.00013, [0.000065]), (0.00025, [0.000125]), (0.00037, [0.000185]), (0.00038, [0.000095, 0.000285]),
    (0.00052, [0.00013, 0.00039]), (0.0009, [0.0001125, 0.0003375, 0.0005625, 0.0007875])])
def test_frames_without_a_pause_call_before_the_threads_sleep_and_not_when_the_gpu_is_done(work_s, expected):
    gpu = Gpu()
    gpu.frame(0.0, work_s)
    calls, _ = gpu.frame(0.00001, work_s)
    assert calls == pytest.approx(expected, abs=2 * ASK_S)
    assert gpu.now == pytest.approx(gpu.busy_until, abs=2 * ASK_S)


def test_short_work_calls_nothing():
    gpu = Gpu()
    gpu.frame(0.0, 0.00012)
    assert gpu.frame(0.00001, 0.00012) == ([], 0)
    assert gpu.now == gpu.busy_until


@pytest.mark.parametrize('pause_s, work_s', [(0.0003, 0.0005), (1 / 30, 0.0005), (0.0, 0.0021)])
def test_after_a_pause_or_long_work_the_gpu_is_waited_for_without_asking(pause_s, work_s):
    gpu = Gpu()
    gpu.frame(pause_s, work_s)
    assert gpu.frame(pause_s, work_s) == ([], 0)
    assert gpu.now == gpu.busy_until


def test_work_that_is_longer_than_the_last_ends_the_calls():
    gpu = Gpu()
    gpu.frame(0.0, 0.0005)
    calls, _ = gpu.frame(0.0, 0.1)
    assert calls == pytest.approx([0.000125 + 0.00025 * index for index in range(8)], abs=2 * ASK_S)
    assert gpu.now == gpu.busy_until
    assert gpu.frame(0.0, 0.0005) == ([], 0)
    assert len(gpu.frame(0.0, 0.0005)[0]) == 2


def test_what_fails_in_between_is_raised():
    def fails():
        raise RuntimeError('gone')

    gpu = Gpu()
    gpu.frame(0.0, 0.0005)
    gpu.awake.frame_comes()
    with pytest.raises(RuntimeError, match='gone'):
        gpu.awake.wait(fails, gpu.synchronize)


def test_a_copy_to_itself_leaves_the_bytes():
    pixels = np.arange(256, dtype=np.uint8).repeat(1024).reshape(4, 65536)
    expected = pixels.copy()
    copy_rows(pixels, pixels)
    assert np.array_equal(pixels, expected)
