# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares preprocessing, on the host and in the CUDA kernels, with tensors of the training frameworks.

test/data/preprocessing has the tensors, and says how they were made.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.host_kernels import compile_kernels
from support.host_kernels import preprocess as kernel
from support.parity_images import SIDE, image, sizes
from test_preprocess import model

from trt_perception.image.frame import Frame
from trt_perception.model.geometry import make_geometry
from trt_perception.model.normalisation import IMAGENET, METADATA_KEY, YOLO, Overrides, preprocessing_of
from trt_perception.pipeline import resize
from trt_perception.pipeline.preprocess import Preprocessor

DATA = Path(__file__).parents[1] / 'data' / 'preprocessing'
# Without metadata: what a user gets by default.
CLASSIFIER = preprocessing_of('classification', {}, np.dtype(np.float32), Overrides())
DETECTOR = preprocessing_of('detection', {}, np.dtype(np.float32), Overrides())
PLAIN = replace(CLASSIFIER, mean=(0.0,) * 3, std=(1.0,) * 3)
OPTIONS = {
    'plain': PLAIN, 'imagenet': CLASSIFIER, 'bicubic': replace(PLAIN, interpolation='bicubic_antialias'),
    'stretch': replace(PLAIN, resize_mode='stretch')}


@pytest.fixture(scope='session')
def library(tmp_path_factory):
    return compile_kernels(tmp_path_factory.mktemp('kernels'))


@pytest.fixture(scope='module')
def torchvision():
    with np.load(DATA / 'torchvision.npz') as stored:
        return dict(stored)


def frame(index):
    return Frame.from_bgr(np.ascontiguousarray(image(index, *sizes()[index])[..., ::-1]))


def recorded(stored, kind):
    """Yield the index of an image and the framework's tensor, float (3, 32, 32)."""
    for name, tensor in stored.items():
        found, index = name.split('_') if '_' in name else ('', '')
        if found == kind:
            yield int(index), tensor / np.float32(255) if tensor.dtype == np.uint8 else tensor


def test_the_defaults_are_those_of_the_frameworks():
    assert (CLASSIFIER, DETECTOR) == (IMAGENET, YOLO)
    assert CLASSIFIER.interpolation == 'bilinear_antialias'
    assert DETECTOR.interpolation == 'linear'


def test_resize_crop_and_totensor_can_be_named_in_the_file():
    """As docs/preprocessing.md says."""
    metadata = {METADATA_KEY: '{"mean": [0], "std": [1], "crop_fraction": 0.875}'}
    assert preprocessing_of('classification', metadata, np.dtype(np.float32), Overrides()) == PLAIN
    assert preprocessing_of(
        'classification', {}, np.dtype(np.float32), Overrides(mean=(0.0,), std=(1.0,))) == PLAIN


@pytest.mark.parametrize('kind, count', [('plain', 10), ('bicubic', 10), ('stretch', 10), ('imagenet', 3)])
@pytest.mark.parametrize('where', ['host', 'kernel'])
def test_classifiers_see_what_torchvision_shows_them(torchvision, library, kind, count, where):
    spec = model(SIDE, SIDE, preprocessing=OPTIONS[kind])
    number = 0
    for index, expected in recorded(torchvision, kind):
        found = (kernel(library, spec, frame(index)) if where == 'kernel' else Preprocessor(spec)(frame(index)))[0][0]
        # A level of rounding in 255; with the mean and std of ImageNet, it counts 4.5 times.
        level = 1.01 / 255 / (0.224 if kind == 'imagenet' else 1.0)
        np.testing.assert_allclose(found, expected, rtol=0, atol=level, err_msg=f'{kind} {sizes()[index]}')
        # Pillow 13 resizes some upright images first down and then across, older ones never: rounded differently.
        if sizes()[index][0] >= sizes()[index][1]:
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6, err_msg=f'{kind} {sizes()[index]}')
        number += 1
    assert number == count


@pytest.mark.parametrize('where', ['host', 'kernel'])
def test_detectors_see_what_ultralytics_shows_them(library, where):
    spec = model(SIDE, SIDE, preprocessing=DETECTOR)
    with np.load(DATA / 'ultralytics.npz') as stored:
        letterboxes = dict(stored)
    for index in range(len(sizes())):
        expected = letterboxes[f'letterbox_{index}'][..., ::-1].transpose(2, 0, 1) / np.float32(255)
        found = (kernel(library, spec, frame(index)) if where == 'kernel' else Preprocessor(spec)(frame(index)))[0][0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6, err_msg=str(sizes()[index]))


def test_without_antialiasing_a_classifier_sees_something_else(torchvision):
    """The earlier way is far from torchvision's, so the tests above can fail."""
    spec = model(SIDE, SIDE, preprocessing=replace(PLAIN, interpolation='linear'))
    worst = max(
        np.abs(Preprocessor(spec)(frame(index))[0][0] - expected).max()
        for index, expected in recorded(torchvision, 'plain'))
    assert worst > 0.3


def test_pillow_itself_agrees():
    pillow = pytest.importorskip('PIL.Image')
    random = np.random.default_rng(0)
    for interpolation, filter_ in (('bilinear_antialias', 'BILINEAR'), ('bicubic_antialias', 'BICUBIC')):
        for width, height, new_width, new_height in ((640, 480, 299, 224), (100, 37, 224, 64), (97, 61, 97, 20)):
            pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
            expected = pillow.fromarray(pixels).resize((new_width, new_height), getattr(pillow, filter_))
            found = resize.make_resize(interpolation, make_geometry('stretch', width, height, new_width, new_height))
            np.testing.assert_array_equal(found(pixels), np.asarray(expected))


@pytest.mark.parametrize('source', [(64, 48), (97, 61), (31, 90), (128, 96), (1, 7), (5, 1)])
@pytest.mark.parametrize('shape', [(), (3,), (4,)])
def test_the_pixels_do_not_depend_on_opencv(monkeypatch, source, shape):
    """OpenCV's wheels for ARM resize differently. Then the package does it, with the same pixels."""
    if not resize.opencv_is_exact():
        pytest.skip('this OpenCV is one of those that resize differently; the stored pixels are compared above')
    pixels = np.random.default_rng(0).integers(0, 256, (source[1], source[0], *shape), dtype=np.uint8)
    for mode in ('letterbox', 'center_crop', 'stretch'):
        geometry = make_geometry(mode, *source, 64, 48)
        monkeypatch.setattr(resize, 'opencv_is_exact', lambda: True)
        with_opencv = resize.make_resize('linear', geometry)(pixels)
        monkeypatch.setattr(resize, 'opencv_is_exact', lambda: False)
        without = resize.make_resize('linear', geometry)(pixels)
        np.testing.assert_array_equal(without, with_opencv)


def test_another_arithmetic_of_opencv_is_noticed(monkeypatch):
    cv2 = pytest.importorskip('cv2')
    original = cv2.resize
    resize.opencv_is_exact.cache_clear()
    try:
        monkeypatch.setattr(cv2, 'resize', lambda pixels, size, interpolation: original(
            pixels, size, interpolation=cv2.INTER_LINEAR_EXACT))
        assert not resize.opencv_is_exact()
    finally:
        resize.opencv_is_exact.cache_clear()
