# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares the CUDA kernels, run on the CPU, with OpenCV and NumPy as HostPipeline uses them."""

import ctypes
import shutil
import subprocess
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.host_kernels import HEADERS, compile_kernels, decode, preprocess
from support.random_frames import CONVERTED_FIRST, READ_BY_KERNELS, random_frame
from test_preprocess import model

from trt_perception.backends.tensorrt.run import candidates, selection
from trt_perception.backends.tensorrt.run import resampling as sampling
from trt_perception.backends.tensorrt.run.candidates import candidate_layout
from trt_perception.backends.tensorrt.run.frame_copy import copy_rows
from trt_perception.backends.tensorrt.run.selection import MOST_SELECTED
from trt_perception.errors import EngineError
from trt_perception.model.geometry import letterbox, make_geometry
from trt_perception.model.heads.yolo import DetectionSettings, YoloHead
from trt_perception.model.normalisation import IMAGENET, INTERPOLATIONS, YOLO, Preprocessing
from trt_perception.pipeline import taps as host_taps
from trt_perception.pipeline.preprocess import Preprocessor

RAW = Preprocessing(scale=1.0)
# Larger, smaller, half, same, thin, odd, smallest
SIZES = ((1280, 720), (64, 48), (256, 192), (128, 96), (400, 3), (3, 500), (333, 217), (31, 17), (5, 3), (2, 1))


@pytest.fixture(scope='session')
def library(tmp_path_factory):
    return compile_kernels(tmp_path_factory.mktemp('kernels'))


def test_structures_are_laid_out_alike(library):
    assert library.size_of_sampling() == ctypes.sizeof(sampling.Sampling)
    assert library.size_of_span() == sampling.SPAN.itemsize
    assert library.size_of_decoding() == ctypes.sizeof(candidates.Decoding)
    assert library.size_of_candidate() == candidates.CANDIDATE.itemsize
    assert library.size_of_header() == candidates.HEADER_BYTES
    assert library.size_of_settings() == candidates.FRAME_SETTINGS.itemsize
    assert library.size_of_selection() == ctypes.sizeof(selection.Selection)
    assert library.size_of_comparisons() == selection.COMPARISONS.itemsize
    assert library.size_of_selected() == selection.SELECTED.itemsize


@pytest.mark.parametrize('encoding', READ_BY_KERNELS + CONVERTED_FIRST)
@pytest.mark.parametrize('mode', ['letterbox', 'center_crop', 'stretch'])
def test_pixels_are_those_of_the_host(library, encoding, mode):
    for channels in (3, 1):
        for color_order in ('rgb', 'bgr'):
            spec = model(128, 96, 'nchw', np.uint8, channels, replace(RAW, resize_mode=mode, color_order=color_order))
            host = Preprocessor(spec)
            for index, (width, height) in enumerate(SIZES):
                frame = random_frame(encoding, width, height, padding=index % 3, seed=index)
                expected = host(frame)[0]
                found = preprocess(library, spec, frame)[0]
                np.testing.assert_array_equal(found, expected, f'{width}x{height}')


@pytest.mark.parametrize('encoding', READ_BY_KERNELS + CONVERTED_FIRST[:1])
@pytest.mark.parametrize('mode', ['letterbox', 'center_crop', 'stretch'])
@pytest.mark.parametrize('interpolation', INTERPOLATIONS[1:])
def test_filtered_pixels_are_those_of_the_host(library, encoding, mode, interpolation):
    spec = model(64, 48, 'nchw', np.uint8, 3, replace(RAW, resize_mode=mode, interpolation=interpolation))
    host = Preprocessor(spec)
    for index, (width, height) in enumerate(((333, 217), (64, 48), (40, 30), (200, 3), (3, 250), (31, 17), (2, 1))):
        frame = random_frame(encoding, width, height, padding=index % 3, seed=index)
        np.testing.assert_array_equal(preprocess(library, spec, frame)[0], host(frame)[0], f'{width}x{height}')


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


@pytest.mark.parametrize('width', [33, 1])
def test_an_input_of_odd_width_is_written_to_its_last_column_and_no_further(library, width):
    """A thread writes two neighbouring pixels; in the last column the second one would be the first of the next row."""
    spec = model(width, 17, 'nchw', np.float32, 3, replace(YOLO, resize_mode='stretch'))
    frame = random_frame('bgr8', 100, 60)
    np.testing.assert_array_equal(preprocess(library, spec, frame)[0], Preprocessor(spec)(frame)[0])


@settings(deadline=None, max_examples=60)
@given(
    source=st.integers(1, 3000), target=st.integers(1, 700), offset=st.integers(0, 50))
def test_taps_stay_inside_the_source(source, target, offset):
    for taps in (host_taps.taps(source, target, offset),):
        for name in ('first', 'second'):
            assert taps[name].min() >= offset
            assert taps[name].max() < offset + source
        assert ((taps['first_weight'] + taps['second_weight']) == 2048).all()


def test_only_rows_that_are_sampled_are_uploaded():
    def used(encoding, height, target, mode='letterbox', fraction=0.875, speedup=1):
        form, _ = sampling.device_frame(random_frame(encoding, 64, height))
        geometry = make_geometry(mode, 64, height, 64, target, fraction)
        return sampling.sampling_tables('linear', form, geometry, speedup).used

    assert used('bgr8', 200, 200) is None
    assert used('bgr8', 400, 200) is None  # Exactly half: each row counts.
    third = used('bgr8', 600, 200)
    # Of three rows: the middle one with full weight, and its neighbour with weight 0.
    assert third.tolist() == sorted({*range(1, 600, 3), *range(2, 600, 3)})
    assert used('nv12', 600, 200) is None
    # Two thirds of the rows, but copying all rows is twice as fast.
    assert used('bgr8', 600, 200, speedup=2) is None
    assert len(used('bgr8', 6000, 200, speedup=8)) == 400
    cropped = used('bgr8', 400, 40, 'center_crop', 0.5)
    assert cropped.min() >= 170 and cropped.max() < 230


def test_a_filter_needs_all_rows_of_the_cropped_part():
    form, _ = sampling.device_frame(random_frame('bgr8', 64, 400))
    whole = sampling.sampling_tables('bilinear_antialias', form, make_geometry('stretch', 64, 400, 64, 100))
    assert whole.used is None
    geometry = make_geometry('center_crop', 64, 400, 40, 40, 0.5, 'bilinear_antialias')
    part = sampling.sampling_tables('bilinear_antialias', form, geometry)
    # 64 columns become 80, 400 rows become 500; rows 230 to 270 of these lie at 184 to 216, and a pixel more.
    assert (part.used[0], part.used[-1]) == (183, 216)
    assert sampling.reads_once('linear', letterbox(1280, 720, 640, 640))
    assert not sampling.reads_once('bilinear_antialias', letterbox(1280, 720, 640, 640))


def test_frames_that_are_made_smaller_are_read_in_place():
    for width, height, once in ((1280, 720, True), (640, 640, True), (640, 480, True), (320, 240, False)):
        assert sampling.reads_once('linear', letterbox(width, height, 640, 640)) is once


@pytest.mark.parametrize('shape', [(1, 1), (1, 5000), (720, 3840), (333, 1001), (3000, 7)])
def test_rows_are_copied_whatever_their_values(shape):
    """Also from read-only memory and with rows left out, directly into the given memory."""
    source = np.random.default_rng(0).integers(0, 256, (2 * shape[0], shape[1]), dtype=np.uint8)
    source[0, :256] = np.arange(256)[:shape[1]]
    memory = np.zeros(shape[0] * shape[1] + 1, np.uint8)
    for part in (source[:shape[0]], source[::2], np.frombuffer(source.tobytes(), np.uint8).reshape(source.shape)[::2]):
        memory[:] = 77
        copy_rows(part, memory[:-1].reshape(shape))
        np.testing.assert_array_equal(memory[:-1].reshape(shape), part)
        assert memory[-1] == 77


@settings(deadline=None, max_examples=100)
@given(st.floats(width=32, allow_nan=False))
def test_half_rounds_as_numpy(library, value):
    with np.errstate(over='ignore'):
        expected = np.float32(value).astype(np.float16)
    assert library.half_from_float(value) == expected.view(np.uint16)


def test_every_half_is_read_as_numpy_reads_it(library):
    bits = np.arange(65536, dtype=np.uint16)
    # NumPy warns of signalling NaNs where the processor reports them, as ARM's does.
    with np.errstate(invalid='ignore'):
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
    """Boxes anywhere; scores in steps of 1/64, so that many are equal to each other or to a threshold."""
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
    for rows in (1, 31, 500, MOST_SELECTED):
        output = random_output(layout, rows, dtype, seed=rows)
        expected = head.decode(output, GEOMETRY, chosen)
        assert len(expected) > 0 or threshold > 0.9 or rows == 1
        found, selected = decode(library, head, output, GEOMETRY, chosen)
        assert_same(found, expected)
        assert selected


SETTINGS = (
    {'iou_threshold': 0.0}, {'iou_threshold': 0.2, 'class_agnostic_nms': True}, {'iou_threshold': 1.0},
    {'max_detections': 5}, {'max_detections': 5000}, {'keep_classes': frozenset({1, 2})},
    {'keep_classes': frozenset()}, {'keep_classes': frozenset({0, 4095})},
    {'iou_threshold': 0.2, 'class_agnostic_nms': True, 'max_detections': 5, 'keep_classes': frozenset({1, 2})})


def test_every_setting_is_tried_on_the_kernels():
    tried = {name for chosen in SETTINGS for name in chosen}
    assert tried | {'score_threshold'} == {field.name for field in fields(DetectionSettings)}


@pytest.mark.parametrize('layout', HEADS)
@pytest.mark.parametrize('chosen', SETTINGS)
def test_every_setting_applies(library, layout, chosen):
    chosen = DetectionSettings(score_threshold=0.1, **chosen)
    output = random_output(layout, 800, np.float32)
    expected = HEADS[layout].decode(output, GEOMETRY, chosen)
    assert (len(expected) > 0) == (chosen.keep_classes != frozenset())
    assert len(expected) <= chosen.max_detections
    found, selected = decode(library, HEADS[layout], output, GEOMETRY, chosen)
    assert_same(found, expected)
    assert selected


@pytest.mark.parametrize('layout', HEADS)
@pytest.mark.parametrize('geometry', [
    letterbox(333, 217, 640, 640), make_geometry('center_crop', 1920, 1080, 640, 640), letterbox(97, 1001, 640, 640),
    make_geometry('stretch', 1280, 720, 640, 640)])
def test_boxes_are_mapped_to_the_image_and_clipped(library, layout, geometry):
    output = random_output(layout, 300, np.float32)
    chosen = DetectionSettings(score_threshold=0.0, iou_threshold=1.0)
    expected = HEADS[layout].decode(output, geometry, chosen)
    assert len(expected) > 0
    limits = (geometry.image_width, geometry.image_height) * 2
    assert ((expected.boxes == 0) | (expected.boxes == limits)).any()
    assert_same(decode(library, HEADS[layout], output, geometry, chosen)[0], expected)


coordinate = st.one_of(
    st.floats(-50, 700, width=32), st.integers(0, 8).map(lambda value: 10.0 * value), st.sampled_from([0.0, 1e-7, 1e9]))
side = st.one_of(
    st.floats(0, 200, width=32), st.integers(0, 5).map(lambda value: 10.0 * value), st.sampled_from([0.0, 1e-9, 1e-5]))
score = st.one_of(st.sampled_from([0.0, 0.25, 0.5]), st.floats(0, 1, width=32))


TINY_AND_FAR = [(0.0, 0.0, 1e-9, 1.0, 0.25, 1), (0.0, 1e9, 0.0, 0.0, 0.0, 0), (1e-7, 0.0, 1e-9, 1.0, 0.25, 1)]


@example(rows=TINY_AND_FAR, threshold=0.0, agnostic=False, most=2)
@settings(deadline=None, max_examples=400)
@given(
    rows=st.lists(st.tuples(coordinate, coordinate, side, side, score, st.integers(0, 2)), min_size=1, max_size=30),
    threshold=st.one_of(st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 1.0]), st.floats(0, 1)), agnostic=st.booleans(),
    most=st.integers(1, 30))
def test_suppression_is_that_of_the_host(library, rows, threshold, agnostic, most):
    """Equal scores, equal and touching boxes, boxes without area, thresholds equal to an overlap."""
    table = np.zeros((1, len(rows), 7), np.float32)
    for row, (x, y, width, height, value, index) in zip(table[0], rows):
        row[:4] = x, y, width, height
        row[4 + index] = value
    head = YoloHead('yolov8', 'output0', 3, transposed=True)
    chosen = DetectionSettings(0.0, threshold, agnostic, most)
    geometry = make_geometry('stretch', 640, 640, 640, 640)
    found, selected = decode(library, head, table, geometry, chosen)
    assert selected
    assert_same(found, head.decode(table, geometry, chosen))


def test_more_candidates_than_the_kernel_selects(library):
    for rows in (MOST_SELECTED + 1, 8400):
        # No score of zero, so that each row is a candidate.
        output = np.maximum(random_output('yolov8', rows, np.float32), np.float32(1 / 128))
        chosen = DetectionSettings(score_threshold=0.0)
        found, selected = decode(library, HEADS['yolov8'], output, GEOMETRY, chosen)
        assert_same(found, HEADS['yolov8'].decode(output, GEOMETRY, chosen))
        assert not selected


def test_a_class_without_a_bit_is_kept_by_the_host(library):
    output = random_output('end_to_end', 100, np.float32)
    output[0, :50, 5] = 4096
    for wanted, count in ((frozenset({4096}), 50), (frozenset({1, 4096}), None), (frozenset({4095}), 0)):
        chosen = DetectionSettings(score_threshold=0.001, keep_classes=wanted)
        found, selected = decode(library, HEADS['end_to_end'], output, GEOMETRY, chosen)
        assert_same(found, HEADS['end_to_end'].decode(output, GEOMETRY, chosen))
        assert selected == (wanted == frozenset({4095}))
        if count is not None:
            assert set(found.class_indices) <= wanted and (len(found) > 0) == (count > 0)


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
    with pytest.raises(EngineError, match=r'int32.*float32 and float16'):
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
    for name in ('preprocess_packed3', 'preprocess_nv12', 'decode_float32', 'decode_float16', 'select_detections'):
        assert name.encode() in cubin
