# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Images that are read with another encoding than their messages name."""

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('cv2')

from trt_perception.errors import FrameError
from trt_perception.image.encodings import ENCODINGS
from trt_perception.image.frame import Frame
from trt_perception.image.override import frame_with_encoding, relabelled


def message(encoding, width, height, step, size=None, fill=7):
    return SimpleNamespace(
        encoding=encoding, width=width, height=height, step=step, is_bigendian=0,
        data=bytes([fill]) * (step * height if size is None else size))


def test_yuyv_that_is_called_yuv422():
    # BT.601, limited range: Y 145, U 54, V 34 is green.
    wrong = message('yuv422', 4, 2, 8)
    wrong.data = bytes([145, 54, 145, 34] * 4)
    green = np.full((2, 4, 3), (1, 255, 0), np.uint8)
    assert np.abs(frame_with_encoding(wrong, 'yuv422_yuy2').bgr().astype(int) - green).max() <= 2
    assert np.abs(Frame.from_buffer('yuv422', 4, 2, 8, False, wrong.data).bgr().astype(int) - green).max() > 100


@pytest.mark.parametrize('named, encoding, width, height, step, size', [
    ('bgr8', 'rgb8', 640, 480, 1920, None), ('mono8', 'bayer_rggb8', 640, 480, 640, None),
    ('YUYV', 'yuyv', 640, 480, 1280, None), ('', 'bgr8', 640, 480, 1920, None), ('8UC3', 'rgb8', 640, 480, 1984, None),
    ('mono16', 'bayer_grbg16', 640, 480, 1280, None), ('yuv422', 'yuyv', 641, 3, 1282, None),
    # The encoding says 8 bits, the rows have 16; NV12 that is called mono8.
    ('mono8', 'mono16', 640, 480, 1280, None), ('mono8', 'nv12', 640, 480, 640, 460800),
    ('nv12', 'nv21', 640, 480, 640, 460800), ('bgr8', 'rgb8', 640, 480, 1920, 921600 + 64), ('x', 'mono8', 1, 1, 1, 1),
    # Rows that a driver aligns.
    ('YUYV', 'yuyv', 100, 3, 256, None), ('GREY', 'mono8', 600, 3, 1024, None)])
def test_encodings_of_as_many_bytes_fit(named, encoding, width, height, step, size):
    frame = frame_with_encoding(message(named, width, height, step, size), encoding)
    assert (frame.encoding, frame.width, frame.height, frame.step) == (encoding, width, height, step)
    assert frame.bgr().shape == (height, width, 3)


@pytest.mark.parametrize('named, encoding, width, height, step, size', [
    ('bgr8', 'mono8', 640, 480, 1920, None),
    ('bgr8', 'yuyv', 640, 480, 1920, None), ('bgra8', 'bgr8', 640, 480, 2560, None),
    ('mono8', 'bgr8', 640, 480, 640, None), ('mono16', 'mono8', 640, 480, 1280, None),
    ('x', 'mono8', 640, 480, 1920, None),
    ('mono8', 'nv12', 640, 480, 640, None), ('nv12', 'mono8', 640, 480, 640, 460800),
    ('yuyv', 'nv12', 640, 480, 1280, None),
    ('bgr8', 'rgb8', 640, 480, 1920, 921599), ('x', 'bgr8', 640, 480, 1919, None)])
def test_other_byte_counts_are_refused_with_all_numbers(named, encoding, width, height, step, size):
    wrong = message(named, width, height, step, size)
    with pytest.raises(FrameError) as caught:
        frame_with_encoding(wrong, encoding)
    layout = ENCODINGS[encoding]
    for words in (f"{width}x{height} '{named}' image", f'step of {step} bytes and {len(wrong.data)} bytes of data',
                  f'image_encoding {encoding} does not fit',
                  f'{layout.rows(height)} rows of {layout.row_bytes(width)} bytes'):
        assert words in str(caught.value)


@pytest.mark.parametrize('width, height', [(0, 0), (0, 4), (4, 0), (2**31, 2**31)])
def test_sizes_are_checked_as_always(width, height):
    with pytest.raises(FrameError):
        frame_with_encoding(message('bgr8', width, height, 12, 48), 'rgb8')


def test_a_decoded_frame_gets_another_name():
    frame = Frame.from_bgr(np.full((4, 6, 3), (1, 2, 3), np.uint8))
    assert relabelled(frame, 'rgb8').bgr()[0, 0].tolist() == [3, 2, 1]
    assert np.shares_memory(relabelled(frame, 'rgb8').data, frame.data)
    with pytest.raises(FrameError, match='image_encoding yuyv does not fit'):
        relabelled(frame, 'yuyv')
