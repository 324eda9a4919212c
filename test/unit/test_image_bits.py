# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""16-bit images with fewer used bits, and the warnings about dark images and depth."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from trt_perception.backends.tensorrt.run.resampling import device_frame
from trt_perception.errors import FrameError
from trt_perception.image.encodings import ENCODINGS
from trt_perception.image.frame import Frame
from trt_perception.image.options import ImageOptions
from trt_perception.image.watch import ImageWatch, depth_warning, nearly_black

PHOTO = cv2.imread(str(Path(__file__).resolve().parents[1] / 'data' / 'photos' / 'coffee.jpg'))[:120, :161]
GREY = np.ascontiguousarray(PHOTO[..., 0])
WIDE = sorted(name for name, layout in ENCODINGS.items() if layout.sample_bytes == 2)


def frame_of(encoding, samples, bits, big=False):
    """Return a frame of 16-bit samples (HxW or HxWxC)."""
    height, width = samples.shape[:2]
    data = samples.astype('>u2' if big else '<u2').tobytes()
    return Frame.from_buffer(
        encoding, width, height, len(data) // height, big, data, ImageOptions(significant_bits=bits))


def stored(encoding, bits):
    """Return the grey photo in this many bits of 16, in each channel."""
    samples = np.rint(GREY * ((2**bits - 1) / 255)).astype(np.uint16)
    channels = ENCODINGS[encoding].channels
    return samples if channels == 1 else np.repeat(samples[..., None], channels, axis=2)


@pytest.mark.parametrize('bits', range(8, 17))
def test_every_value_is_scaled_and_larger_ones_are_white(bits):
    samples = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    pixels, _ = frame_of('mono16', samples, bits).view()
    np.testing.assert_array_equal(pixels, np.minimum(np.rint(samples * (255 / (2**bits - 1))), 255))


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('encoding', WIDE)
@pytest.mark.parametrize('bits', [10, 12, 14, 16])
def test_a_photo_in_fewer_bits_gives_the_same_pixels(encoding, bits, big):
    frame = frame_of(encoding, stored(encoding, bits), bits, big)
    expected = Frame.from_buffer(
        f'{encoding[:-2]}8' if encoding != '16UC1' else '8UC1', frame.width, frame.height,
        frame.width * ENCODINGS[encoding].channels, False,
        np.ascontiguousarray(stored(encoding, 8).astype(np.uint8)))
    np.testing.assert_array_equal(frame.bgr(), expected.bgr())
    # The GPU gets the same pixels: the host converts these encodings.
    form, uploaded = device_frame(frame)
    np.testing.assert_array_equal(uploaded.bgr(), expected.bgr())
    assert (form.width, form.height) == (frame.width, frame.height)


@pytest.mark.parametrize('suffix', ['.png', '.tiff'])
def test_compressed_images_of_12_bits(suffix):
    data = cv2.imencode(suffix, stored('mono16', 12))[1].tobytes()
    frame = Frame.from_compressed(data, '', ImageOptions(significant_bits=12))
    np.testing.assert_array_equal(frame.view()[0], GREY)


# --- nearly black ---

@pytest.mark.parametrize('encoding', WIDE)
@pytest.mark.parametrize('bits', [10, 12])
def test_fewer_bits_look_nearly_black_and_the_parameter_is_named(encoding, bits):
    text = nearly_black(frame_of(encoding, stored(encoding, bits), 16))
    assert text.startswith('images are nearly black: the largest of ') and 'of 65535' in text
    if encoding != '16UC1':
        assert text.endswith(f'if the camera uses {bits} of 16 bits, set significant_bits to {bits}')
    assert nearly_black(frame_of(encoding, stored(encoding, bits), bits)) == ''
    assert nearly_black(frame_of(encoding, stored(encoding, 16), 16)) == ''


def test_depth():
    frame = frame_of('16UC1', np.full((48, 64), 2500, np.uint16), 16)
    assert nearly_black(frame).endswith('16UC1 is usually depth in millimetres: use the colour topic')
    assert 'depth in millimetres' in depth_warning(frame)
    assert depth_warning(frame_of('mono16', np.full((48, 64), 2500, np.uint16), 16)) == ''


def of_8_bits(encoding, level):
    """Return a uniform frame of 61x40 pixels with this brightness; alpha and chroma are as usual."""
    layout = ENCODINGS[encoding]
    step = layout.row_bytes(62)
    data = np.full((layout.rows(40), step), level, np.uint8)
    if encoding in ('bgra8', 'rgba8', '8UC4'):
        data[:, 3::4] = 255
    if layout.layout == 'yuv422':
        data[:, (0 if layout.conversion.endswith('UYVY') else 1)::2] = 128
    if layout.layout == 'nv':
        data[40:] = 128
    return Frame.from_buffer(encoding, 61, 40, step, False, data)


@pytest.mark.parametrize('encoding', sorted(set(ENCODINGS) - set(WIDE)))
def test_black_and_dark_images_of_every_encoding(encoding):
    black = 16 if ENCODINGS[encoding].layout in ('yuv422', 'nv') else 0
    assert nearly_black(of_8_bits(encoding, black + 15)).endswith('check the exposure and the lens cap')
    assert nearly_black(of_8_bits(encoding, black + 16)) == ''


@pytest.mark.parametrize('size', [(1, 1), (2, 3), (63, 65), (4096, 2), (300, 700)])
@pytest.mark.parametrize('encoding', sorted(ENCODINGS))
def test_every_size_can_be_tested(encoding, size):
    layout = ENCODINGS[encoding]
    step = layout.row_bytes(size[0]) + 3
    data = np.full(step * layout.rows(size[1]), 255, np.uint8)
    assert nearly_black(Frame.from_buffer(encoding, *size, step, False, data)) == ''


def test_each_colour_of_a_mosaic_is_tested():
    for place in range(4):
        mosaic = np.zeros((480, 640), np.uint8)
        mosaic[place // 2::2, place % 2::2] = 200
        assert nearly_black(Frame.from_buffer('bayer_rggb8', 640, 480, 640, False, mosaic)) == ''


def test_the_test_is_made_from_time_to_time():
    now = [100.0]
    watch = ImageWatch(every_s=1.0, clock=lambda: now[0])
    black, white = of_8_bits('bgr8', 0), of_8_bits('bgr8', 255)
    assert watch.look(white) == ''
    assert watch.look(black) == ''
    now[0] += 1.0
    assert watch.look(black) == watch.look(white) != ''
    now[0] += 1.0
    assert watch.look(white) == ''


def test_the_number_of_bits_is_no_matter_of_8_bit_images():
    frame = Frame.from_buffer('mono8', 161, 120, 161, False, GREY, ImageOptions(significant_bits=10))
    np.testing.assert_array_equal(frame.view()[0], GREY)


def test_raw_images_have_the_same_limit():
    data = np.zeros(100, np.uint8)
    for options, allowed in ((ImageOptions(max_pixels=100), True), (ImageOptions(max_pixels=99), False)):
        if allowed:
            assert Frame.from_buffer('mono8', 10, 10, 10, False, data, options).width == 10
        else:
            with pytest.raises(FrameError, match=r'10x10 pixels: 100 pixels, the limit is 99 \(max_image_pixels\)'):
                Frame.from_buffer('mono8', 10, 10, 10, False, data, options)
