# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares preprocessing with a plain NumPy version, written from the documentation of ModelSpec and Preprocessing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_perception.image.frame import Frame
from trt_perception.model.heads.yolo import YoloHead
from trt_perception.model.normalisation import IMAGENET, INTERPOLATIONS, YOLO, Preprocessing
from trt_perception.model.spec import ModelSpec
from trt_perception.pipeline.preprocess import Preprocessor

ENCODINGS = {'bgr8': 'bgr', 'rgb8': 'rgb', 'bgra8': 'bgra', 'rgba8': 'rgba', 'mono8': 'g'}
GREY = {'b': 0.114, 'g': 0.587, 'r': 0.299}  # ITU-R BT.601


def model(width=32, height=32, layout='nchw', dtype=np.float32, channels=3, preprocessing=YOLO):
    return ModelSpec(
        path=Path('none.onnx'), sha256='', input_name='images', input_dtype=np.dtype(dtype), layout=layout,
        width=width, height=height, channels=channels, dynamic_size=False, dynamic_batch=False, outputs=(),
        head=YoloHead('yolov8', 'output0', 3), names=('a', 'b', 'c'), names_source='test', preprocessing=preprocessing)


def frame(pixels, encoding, padding=0):
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=77)
    return Frame.from_buffer(encoding, width, height, rows.shape[1], False, rows.tobytes())


def random_pixels(encoding, width, height, seed=0):
    shape = (height, width) if encoding == 'mono8' else (height, width, len(ENCODINGS[encoding]))
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def bilinear(pixels, width, height):
    """(h, w, C) to float (height, width, C): samples at pixel centres, the edge pixels repeated outside."""
    def positions(new, old):
        at = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, old - 1), at - low

    y0, y1, fy = positions(height, pixels.shape[0])
    x0, x1, fx = positions(width, pixels.shape[1])
    fx, fy = fx[None, :, None], fy[:, None, None]
    pixels = pixels.astype(np.float64)
    top = pixels[y0][:, x0] * (1 - fx) + pixels[y0][:, x1] * fx
    bottom = pixels[y1][:, x0] * (1 - fx) + pixels[y1][:, x1] * fx
    return top * (1 - fy) + bottom * fy


def reference(pixels, encoding, spec):
    """The tensor as float64, [1, C, H, W] or [1, H, W, C]."""
    options = spec.preprocessing
    order = ENCODINGS[encoding]
    pixels = pixels.reshape(*pixels.shape[:2], -1).astype(np.float64)
    if spec.channels == 1:
        if order != 'g':
            pixels = sum(pixels[..., order.index(c)] * GREY[c] for c in 'bgr')[..., None]
    elif order == 'g':
        pixels = np.repeat(pixels, 3, axis=2)
    else:
        pixels = pixels[..., [order.index(c) for c in options.color_order]]
    h, w = pixels.shape[:2]
    canvas = np.full((spec.height, spec.width, spec.channels), 114.0)
    if options.resize_mode == 'letterbox':
        ratio = min(spec.width / w, spec.height / h)
        new_w, new_h = max(1, round(w * ratio)), max(1, round(h * ratio))
        x, y = (spec.width - new_w) // 2, (spec.height - new_h) // 2
        canvas[y:y + new_h, x:x + new_w] = bilinear(pixels, new_w, new_h)
    elif options.resize_mode == 'center_crop':
        side = min(w / spec.width, h / spec.height) * options.crop_fraction
        crop_w, crop_h = max(1, round(side * spec.width)), max(1, round(side * spec.height))
        x, y = (w - crop_w) // 2, (h - crop_h) // 2
        canvas[:] = bilinear(pixels[y:y + crop_h, x:x + crop_w], spec.width, spec.height)
    else:
        canvas[:] = bilinear(pixels, spec.width, spec.height)
    if spec.input_dtype != np.uint8:
        count = spec.channels
        canvas = (canvas * options.scale - np.array(options.mean[:count])) / np.array(options.std[:count])
    return (canvas.transpose(2, 0, 1) if spec.layout == 'nchw' else canvas)[None]


def one_grey_level(spec, levels=1.01):
    """Return the size of `levels` pixel steps in the tensor: OpenCV rounds resized pixels to integers."""
    if spec.input_dtype == np.uint8:
        return levels
    largest = levels * spec.preprocessing.scale / min(spec.preprocessing.std)
    return largest + (4e-3 if spec.input_dtype == np.float16 else 1e-5)


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('color_order', ['rgb', 'bgr'])
@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
@pytest.mark.parametrize('dtype', [np.float32, np.float16, np.uint8])
def test_every_encoding_order_layout_and_type_without_resizing(encoding, color_order, layout, dtype):
    options = Preprocessing(color_order=color_order)
    if dtype != np.uint8:
        options = Preprocessing(
            color_order=color_order, scale=1 / 128, mean=(0.5, 1.0, 1.5), std=(0.5, 1.0, 2.0))
    spec = model(24, 16, layout, dtype, preprocessing=options)
    pixels = random_pixels(encoding, 24, 16)
    tensor, _ = Preprocessor(spec)(frame(pixels, encoding, padding=5))
    assert tensor.dtype == dtype
    assert tensor.shape == spec.input_shape
    assert tensor.flags.c_contiguous
    expected = reference(pixels, encoding, spec)
    if dtype == np.uint8:
        np.testing.assert_array_equal(tensor, expected)
    else:
        # Half of float16's step at 4.0, the largest value here.
        np.testing.assert_allclose(tensor, expected, rtol=0, atol=2e-6 if dtype == np.float32 else 2e-3)


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
def test_a_model_of_one_channel_sees_grey(encoding, layout):
    spec = model(24, 16, layout, channels=1)
    pixels = random_pixels(encoding, 24, 16)
    tensor, _ = Preprocessor(spec)(frame(pixels, encoding))
    assert tensor.shape == spec.input_shape
    np.testing.assert_allclose(tensor, reference(pixels, encoding, spec), rtol=0, atol=one_grey_level(spec))


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(sorted(ENCODINGS)), st.integers(1, 70), st.integers(1, 70), st.integers(4, 40),
    st.integers(4, 40), st.sampled_from(['letterbox', 'center_crop', 'stretch']), st.sampled_from(['nchw', 'nhwc']),
    st.sampled_from([np.float32, np.float16, np.uint8]), st.sampled_from([1, 3]), st.sampled_from(['rgb', 'bgr']),
    st.integers(0, 3))
def test_any_size_against_plain_numpy(
        encoding, width, height, network_width, network_height, mode, layout, dtype, channels, order, padding):
    base = YOLO if dtype == np.uint8 else IMAGENET
    options = Preprocessing(order, base.scale, base.mean, base.std, mode)
    if dtype == np.uint8:
        options = Preprocessing(order, 1.0, resize_mode=mode)
    spec = model(network_width, network_height, layout, dtype, channels, options)
    pixels = random_pixels(encoding, width, height, seed=width * 100 + height)
    tensor, _ = Preprocessor(spec)(frame(pixels, encoding, padding))
    # Grey is rounded twice: after resizing and after adding the channels.
    levels = 2.01 if channels == 1 else 1.01
    np.testing.assert_allclose(
        tensor.astype(np.float64), reference(pixels, encoding, spec), rtol=0, atol=one_grey_level(spec, levels))


def test_padding_is_114_on_both_sides():
    tensor, geometry = Preprocessor(model(32, 32))(frame(np.full((10, 32, 3), 255, np.uint8), 'bgr8'))
    assert (geometry.target_y, geometry.target_height) == (11, 10)
    assert np.all(tensor[0, :, :11] == np.float32(114) * np.float32(1 / 255))
    assert np.all(tensor[0, :, 11:21] == 1.0)
    assert np.all(tensor[0, :, 21:] == np.float32(114) * np.float32(1 / 255))


def test_padding_is_clean_after_another_image_size():
    spec = model(32, 32)
    used, fresh = Preprocessor(spec), Preprocessor(spec)
    wide = frame(random_pixels('bgr8', 64, 16), 'bgr8')
    high = frame(random_pixels('bgr8', 16, 64), 'bgr8')
    for image in (wide, high, wide, frame(np.full((32, 32, 3), 9, np.uint8), 'bgr8'), high):
        np.testing.assert_array_equal(used(image)[0], Preprocessor(spec)(image)[0])
    np.testing.assert_array_equal(used(high)[0], fresh(high)[0])


def test_geometry_follows_the_size_of_each_frame():
    preprocess = Preprocessor(model(32, 32))
    for width, height in ((64, 16), (16, 64), (64, 64), (64, 16)):
        geometry = preprocess(frame(random_pixels('bgr8', width, height), 'bgr8'))[1]
        assert (geometry.image_width, geometry.image_height) == (width, height)


def test_every_frame_of_a_size_replaces_the_one_before():
    preprocess = Preprocessor(model(32, 32))
    first = preprocess(frame(np.full((20, 20, 3), 255, np.uint8), 'bgr8'))[0].copy()
    second = preprocess(frame(np.zeros((20, 20, 3), np.uint8), 'bgr8'))[0]
    assert first.min() == 1.0
    assert second.max() == 0.0


def test_normalisation_by_hand():
    # A pixel B=10, G=20, R=30 for a model with RGB order: (30/255 - 0.485) / 0.229 ...
    pixels = np.empty((4, 4, 3), np.uint8)
    pixels[:] = 10, 20, 30
    options = Preprocessing(mean=IMAGENET.mean, std=IMAGENET.std, resize_mode='stretch')
    tensor, _ = Preprocessor(model(4, 4, preprocessing=options))(frame(pixels, 'bgr8'))
    np.testing.assert_allclose(
        tensor[0, :, 0, 0], [-1.60416, -1.68557, -1.63016], rtol=0, atol=1e-5)


def test_efficientnet_normalisation_by_hand():
    # (x - 127) / 128 as scale 1, mean 127, std 128.
    pixels = np.full((4, 4, 3), 255, np.uint8)
    options = Preprocessing(scale=1.0, mean=(127,) * 3, std=(128,) * 3, resize_mode='stretch')
    tensor, _ = Preprocessor(model(4, 4, preprocessing=options))(frame(pixels, 'bgr8'))
    assert np.all(tensor == 1.0)


@pytest.mark.parametrize('size', [(97, 61), (61, 97), (128, 96), (30, 20)])
@pytest.mark.parametrize('mode', ['letterbox', 'center_crop', 'stretch'])
def test_pixels_land_where_the_geometry_says(size, mode):
    width, height = size
    options = Preprocessing(resize_mode=mode)
    preprocess = Preprocessor(model(64, 48, preprocessing=options))
    pixels = np.zeros((height, width, 3), np.uint8)
    box = np.array([[width * 0.4, height * 0.3, width * 0.7, height * 0.65]]).round()
    x_min, y_min, x_max, y_max = box[0].astype(int)
    pixels[y_min:y_max, x_min:x_max] = 255
    tensor, geometry = preprocess(frame(pixels, 'bgr8'))
    inside = np.zeros((48, 64))
    t = geometry
    target = np.s_[t.target_y:t.target_y + t.target_height, t.target_x:t.target_x + t.target_width]
    inside[target] = tensor[0, 0][target]
    # The bright mass and its centre match the mapped box to a fraction of a pixel.
    expected = geometry.to_network(box)[0]
    total = inside.sum()
    x = (inside.sum(axis=0) * (np.arange(64) + 0.5)).sum() / total
    y = (inside.sum(axis=1) * (np.arange(48) + 0.5)).sum() / total
    assert abs(x - (expected[0] + expected[2]) / 2) < 0.3
    assert abs(y - (expected[1] + expected[3]) / 2) < 0.3
    area = (expected[2] - expected[0]) * (expected[3] - expected[1])
    assert abs(total - area) < 0.08 * area


def test_the_frame_is_not_changed():
    pixels = random_pixels('bgr8', 40, 30)
    data = pixels.tobytes()
    image = Frame.from_buffer('bgr8', 40, 30, 120, False, data)
    Preprocessor(model())(image)
    assert data == pixels.tobytes()


@pytest.mark.parametrize('interpolation', INTERPOLATIONS)
@pytest.mark.parametrize('encoding', ['bgra8', 'rgba8', 'bgr8', 'mono8'])
def test_rows_of_any_length_give_the_same_pixels(encoding, interpolation):
    """OpenCV 5.0 for ARM transposes images of four channels wrongly if a row is not a multiple of four bytes."""
    spec = model(64, 48, dtype=np.uint8, preprocessing=Preprocessing(scale=1.0, interpolation=interpolation))
    pixels = random_pixels(encoding, 101, 67)
    expected = Preprocessor(spec)(frame(pixels, encoding))[0].copy()
    for padding in (1, 2, 3, 4):
        np.testing.assert_array_equal(Preprocessor(spec)(frame(pixels, encoding, padding))[0], expected, f'{padding}')
