# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""FrameUpload with ordinary memory instead of page-locked memory and GPU memory."""

import ctypes

import numpy as np
import pytest
from support.host_kernels import HostSession

from trt_perception.backends.tensorrt.run.frame_upload import FrameUpload

STEP = 1 << 16
FULL_HD = 1920 * 1080 * 3


def frame(rows, seed=1):
    return np.random.default_rng(seed).integers(0, 256, STEP * rows, np.uint8)


def at(address, size):
    """Return the bytes at an address of the GPU or the host: here both use the same memory."""
    return np.frombuffer((ctypes.c_uint8 * size).from_address(address), np.uint8)


def staged(upload, pixels, rows=None, in_place=True):
    """Return the address at which the GPU finds the frame, and the bytes there."""
    upload.reserve(pixels.size, STEP, rows, in_place)
    upload.stage(pixels)
    upload.enqueue()
    count = pixels.size if rows is None else len(rows) * STEP
    return upload.pixels_address, at(upload.pixels_address, count)


@pytest.mark.parametrize('in_place', [True, False])
@pytest.mark.parametrize('rows', [None, np.array([1, 4, 5])])
def test_the_gpu_finds_the_rows_that_it_reads(in_place, rows):
    session = HostSession()
    pixels = frame(8)
    _, found = staged(FrameUpload(session), pixels, rows, in_place)
    assert np.array_equal(found, pixels if rows is None else pixels.reshape(8, STEP)[rows].reshape(-1))
    session.check()


@pytest.mark.parametrize('in_place', [True, False])
def test_memory_stays_while_frames_fit_and_grows_when_they_do_not(in_place):
    session = HostSession()
    upload = FrameUpload(session)
    small, large = frame(3), frame(FULL_HD // STEP + 1, seed=2)
    first, _ = staged(upload, small, None, in_place)
    again, found = staged(upload, small, None, in_place)
    assert again == first and np.array_equal(found, small)
    grown, found = staged(upload, large, None, in_place)
    assert grown != first and np.array_equal(found, large)
    # A smaller one again: the bytes behind it belong to the frame before.
    after, found = staged(upload, small, None, in_place)
    assert after == grown and np.array_equal(found, small)
    session.check()


def test_a_frame_that_is_read_in_place_is_not_copied_to_the_gpu():
    upload = FrameUpload(HostSession())
    copied, _ = staged(upload, frame(2), in_place=False)
    in_place, found = staged(upload, frame(2, seed=3), in_place=True)
    assert in_place != copied
    assert np.array_equal(found, frame(2, seed=3)) and np.array_equal(at(copied, 2 * STEP), frame(2))
