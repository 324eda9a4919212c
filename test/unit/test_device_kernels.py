# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels' arithmetic, on the CPU, against OpenCV and NumPy as HostPipeline uses them."""

import ctypes
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from host_kernels import HEADERS, compile_kernels, decode, preprocess
from hypothesis import given, settings
from hypothesis import strategies as st
from random_frames import CONVERTED_FIRST, READ_BY_KERNELS, random_frame
from test_preprocess import model

from trt_perception.backends.tensorrt import candidates, sampling
from trt_perception.backends.tensorrt.candidates import COPIED_CANDIDATES, candidate_layout
from trt_perception.errors import EngineError
from trt_perception.geometry import letterbox, make_geometry
from trt_perception.heads.yolo import DetectionSettings, YoloHead
from trt_perception.preprocess import Preprocessor
from trt_perception.preprocessing import IMAGENET, YOLO, Preprocessing

RAW = Preprocessing(scale=1.0)
# Larger, smaller, half, same, thin, odd, smallest
SIZES = ((1280, 720), (64, 48), (256, 192), (128, 96), (400, 3), (3, 500), (333, 217), (31, 17), (5, 3), (2, 1))


@pytest.fixture(scope='session')
def library(tmp_path_factory):
    return compile_kernels(tmp_path_factory.mktemp('kernels'))


def test_structures_are_laid_out_alike(library):
    assert library.size_of_sampling() == ctypes.sizeof(sampling.Sampling)
    assert library.size_of_decoding() == ctypes.sizeof(candidates.Decoding)
    assert library.size_of_candidate() == candidates.CANDIDATE.itemsize
    assert library.size_of_header() == candidates.HEADER_BYTES
    assert library.size_of_settings() == candidates.FRAME_SETTINGS.itemsize


@pytest.mark.parametrize('encoding', READ_BY_KERNELS + CONVERTED_FIRST)
@pytest.mark.parametrize('mode', ['letterbox', 'center_crop', 'stretch'])
def test_pixels_are_those_of_opencv(library, encoding, mode):
    """Bit by bit with OpenCV 4.5.4, 4.10 and 5.0 on x86; another build may round another way."""
    for channels in (3, 1):
        for color_order in ('rgb', 'bgr'):
            spec = model(128, 96, 'nchw', np.uint8, channels, replace(RAW, resize_mode=mode, color_order=color_order))
            host = Preprocessor(spec)
            for index, (width, height) in enumerate(SIZES):
                frame = random_frame(encoding, width, height, padding=index % 3, seed=index)
                expected = host(frame)[0].astype(int)
                found = preprocess(library, spec, frame)[0].astype(int)
                difference = np.abs(found - expected)
                assert difference.max() <= 1, (width, height)
                assert (difference > 0).mean() < 0.01, (width, height)


@pytest.mark.parametrize('encoding', READ_BY_KERNELS)
def test_kernels_read_the_frame_as_it_came(encoding):
    frame = random_frame(encoding, 8, 6)
    assert sampling.device_frame(frame)[1] is frame


@pytest.mark.parametrize('encoding', CONVERTED_FIRST)
def test_other_encodings_are_converted_on_the_host(encoding):
    frame = random_frame(encoding, 8, 6)
    form, converted = sampling.device_frame(frame)
    assert form.kernel.startswith('preprocess_packed')
    assert converted.data.size == form.size
    np.testing.assert_array_equal(converted.bgr(), frame.bgr())


@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('options', [YOLO, IMAGENET, Preprocessing(mean=(9, 8, 7), std=(3, 2, 1), color_order='bgr')])
def test_normalised_tensors_are_equal(library, layout, dtype, options):
    spec = model(64, 48, layout, dtype, 3, options)
    for encoding, width, height in (('bgr8', 100, 200), ('rgb8', 200, 100), ('mono8', 64, 48)):
        frame = random_frame(encoding, width, height)
        expected = Preprocessor(spec)(frame)[0]
        found = preprocess(library, spec, frame)[0]
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@settings(deadline=None, max_examples=60)
@given(
    source=st.integers(1, 3000), target=st.integers(1, 700), offset=st.integers(0, 50))
def test_taps_stay_inside_the_source(source, target, offset):
    for taps in (sampling.taps(source, target, offset),):
        for name in ('first', 'second'):
            assert taps[name].min() >= offset
            assert taps[name].max() < offset + source
        assert ((taps['first_weight'] + taps['second_weight']) == 2048).all()


def test_only_rows_that_are_sampled_are_uploaded():
    def used(encoding, height, target, mode='letterbox', fraction=0.875):
        form, _ = sampling.device_frame(random_frame(encoding, 64, height))
        geometry = make_geometry(mode, 64, height, 64, target, fraction)
        return sampling.used_rows(form, sampling.row_taps(geometry))

    assert used('bgr8', 200, 200) is None
    assert used('bgr8', 400, 200) is None  # Exactly half: each row counts.
    third = used('bgr8', 600, 200)
    # Of three rows the one in the middle, with full weight, and its neighbour, with none.
    assert third.tolist() == sorted({*range(1, 600, 3), *range(2, 600, 3)})
    assert used('nv12', 600, 200) is None
    cropped = used('bgr8', 400, 40, 'center_crop', 0.5)
    assert cropped.min() >= 170 and cropped.max() < 230


@settings(deadline=None, max_examples=100)
@given(st.floats(width=32, allow_nan=False))
def test_half_rounds_as_numpy(library, value):
    with np.errstate(over='ignore'):
        expected = np.float32(value).astype(np.float16)
    assert library.half_from_float(value) == expected.view(np.uint16)


def test_every_half_is_read_as_numpy_reads_it(library):
    bits = np.arange(65536, dtype=np.uint16)
    expected = bits.view(np.float16).astype(np.float32)
    found = np.array([library.float_from_half(int(value)) for value in bits], np.float32)
    np.testing.assert_array_equal(found, expected)


HEADS = {
    'yolov5': YoloHead('yolov5', 'output0', 7),
    'yolov8': YoloHead('yolov8', 'output0', 7),
    'transposed': YoloHead('yolov8', 'output0', 7, transposed=True),
    'end_to_end': YoloHead('end_to_end', 'output0', 7)}
GEOMETRY = letterbox(1280, 720, 640, 640)


def random_output(layout, rows, dtype, seed=0):
    """Boxes anywhere, scores in steps of 1/64 so that many are equal, also to a threshold."""
    random = np.random.default_rng(seed)
    centres = random.uniform(0, 640, (rows, 2))
    sizes = random.uniform(1, 200, (rows, 2))
    scores = random.integers(0, 65, (rows, 7)) / 64
    if layout == 'end_to_end':
        classes = random.integers(-1, 7, (rows, 1))
        columns = [centres - sizes / 2, centres + sizes / 2, scores[:, :1], classes]
    elif layout == 'yolov5':
        columns = [centres, sizes, random.integers(0, 65, (rows, 1)) / 64, scores]
    else:
        columns = [centres, sizes, scores]
    table = np.concatenate(columns, axis=1).astype(dtype)
    return np.ascontiguousarray(table.T if layout == 'yolov8' else table)[np.newaxis]


def assert_same(found, expected):
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.class_indices, expected.class_indices)


@pytest.mark.parametrize('layout', HEADS)
@pytest.mark.parametrize('dtype', [np.float32, np.float16])
@pytest.mark.parametrize('threshold', [0.0, 0.25, 0.3, 0.99])
def test_detections_are_those_of_the_head(library, layout, dtype, threshold):
    head, chosen = HEADS[layout], DetectionSettings(score_threshold=threshold)
    for rows in (1, 31, 500):
        output = random_output(layout, rows, dtype, seed=rows)
        expected = head.decode(output, GEOMETRY, chosen)
        assert len(expected) > 0 or threshold > 0.9 or rows == 1
        assert_same(decode(library, head, output, GEOMETRY, chosen), expected)


@pytest.mark.parametrize('layout', HEADS)
def test_settings_of_the_host_side_apply(library, layout):
    chosen = DetectionSettings(
        score_threshold=0.1, iou_threshold=0.2, class_agnostic_nms=True, max_detections=5,
        keep_classes=frozenset({1, 2}))
    output = random_output(layout, 800, np.float32)
    expected = HEADS[layout].decode(output, GEOMETRY, chosen)
    # Not always five: a box that lies in the padding counts and is not shown.
    assert 0 < len(expected) <= 5
    assert set(expected.class_indices) <= {1, 2}
    assert_same(decode(library, HEADS[layout], output, GEOMETRY, chosen), expected)


def test_more_candidates_than_one_copy_brings(library):
    output = random_output('yolov8', 8400, np.float32)
    chosen = DetectionSettings(score_threshold=0.0)
    layout = candidate_layout(HEADS['yolov8'], output.shape, output.dtype)
    assert layout.rows > COPIED_CANDIDATES
    assert layout.copied_size < layout.size
    assert_same(
        decode(library, HEADS['yolov8'], output, GEOMETRY, chosen), HEADS['yolov8'].decode(output, GEOMETRY, chosen))


@pytest.mark.parametrize('layout', HEADS)
@pytest.mark.parametrize('column', [0, 4, 5])
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_finite_are_reported(library, layout, column, value):
    output = random_output(layout, 40, np.float32)
    table = output[0].T if layout == 'yolov8' else output[0]
    table[3] = 0.9
    table[3, column] = value
    for result in (
            lambda: HEADS[layout].decode(output, GEOMETRY, DetectionSettings()),
            lambda: decode(library, HEADS[layout], output, GEOMETRY, DetectionSettings())):
        with pytest.raises(EngineError, match='not finite'):
            result()


def test_outputs_that_no_kernel_reads():
    with pytest.raises(EngineError, match='int32.*float32 and float16'):
        candidate_layout(HEADS['yolov8'], (1, 11, 100), np.dtype(np.int32))
    with pytest.raises(EngineError, match=r'\[2, 11, 100\]'):
        candidate_layout(HEADS['yolov8'], (2, 11, 100), np.dtype(np.float32))


@pytest.mark.skipif(shutil.which('nvcc') is None, reason='no nvcc here')
@pytest.mark.parametrize('architecture', ['sm_87', 'sm_90'])
def test_kernels_compile_for_the_gpu(tmp_path, architecture):
    done = subprocess.run(
        ['nvcc', '-cubin', f'-arch={architecture}', '-Werror', 'all-warnings', '-o', str(tmp_path / 'kernels.cubin'),
         str(HEADERS / 'kernels.cu')], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cubin = (tmp_path / 'kernels.cubin').read_bytes()
    for name in ('preprocess_packed3', 'preprocess_nv12', 'decode_float32', 'decode_float16'):
        assert name.encode() in cubin
