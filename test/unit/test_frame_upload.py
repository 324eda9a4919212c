# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What FrameUpload does with a frame, in ordinary memory in place of page-locked memory."""

import cv2
import numpy as np
import pytest

from trt_perception.backends.tensorrt.cuda.runtime_api import HostBuffer
from trt_perception.backends.tensorrt.run import awake_threads
from trt_perception.backends.tensorrt.run.frame_upload import FrameUpload

STEP, ROWS = 1 << 16, 8
FRAME = np.random.default_rng(1).integers(0, 256, STEP * ROWS, np.uint8)


class HostSession:
    """The part of CudaSession that FrameUpload uses, with a GPU that is done when it was asked `busy_for` times."""

    def __init__(self, integrated=False, busy_for=3):
        self.integrated = integrated
        self.busy_for = busy_for
        self.events = []
        self.buffers = []

    def allocate_host(self, size, mapped, write_only):
        self.buffers.append(HostBuffer(np.zeros(size, np.uint8), 0))
        return self.buffers[-1]

    def is_idle(self):
        self.events.append('asked')
        return self.events.count('asked') >= self.busy_for

    def synchronize(self):
        self.events.append('synchronized')


@pytest.fixture(autouse=True)
def two_threads():
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    yield
    cv2.setNumThreads(before)


@pytest.fixture
def no_pause_is_long_and_no_work_short(monkeypatch):
    monkeypatch.setattr(awake_threads, '_PERIOD_S', 1e-9)
    monkeypatch.setattr(awake_threads, '_LONGEST_PAUSE_S', 3600.0)
    monkeypatch.setattr(awake_threads, '_LONGEST_WORK_S', 3600.0)


def events_of_two_frames(session, rows=None):
    """What the session was asked for in the second frame."""
    upload = FrameUpload(session)
    upload.reserve(FRAME.size, STEP, rows, in_place=True)
    for _ in range(2):
        session.events.clear()
        upload.stage(FRAME)
        upload.wait()
    copied = FRAME.reshape(ROWS, STEP) if rows is None else FRAME.reshape(ROWS, STEP)[rows]
    assert np.array_equal(session.buffers[0].array[:copied.size], copied.reshape(-1))
    return session.events


def test_frames_without_a_pause_ask_until_the_gpu_is_done(no_pause_is_long_and_no_work_short):
    assert events_of_two_frames(HostSession()) == ['asked', 'asked', 'asked']


def test_frames_with_a_pause_only_synchronize(monkeypatch):
    monkeypatch.setattr(awake_threads, '_LONGEST_PAUSE_S', -1.0)
    assert events_of_two_frames(HostSession()) == ['synchronized']


def test_an_integrated_gpu_only_synchronizes(no_pause_is_long_and_no_work_short):
    assert events_of_two_frames(HostSession(integrated=True)) == ['synchronized']


def test_single_rows_need_no_threads(no_pause_is_long_and_no_work_short):
    assert events_of_two_frames(HostSession(), rows=np.array([1, 4, 5])) == ['synchronized']


def test_one_thread_needs_no_waking(no_pause_is_long_and_no_work_short):
    cv2.setNumThreads(1)
    assert events_of_two_frames(HostSession()) == ['synchronized']
