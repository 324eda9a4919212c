# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""LiteRT runs .tflite files and finds what ONNX Runtime finds with the same network."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('ai_edge_litert', reason='needs LiteRT: pip install ai-edge-litert')

import cv2
from ai_edge_litert import schema_py_generated as schema
from support import tiny_models, tiny_tflite
from support.tflite_classifier import from_onnx

import trt_perception
from trt_perception.backends.create import create_pipeline
from trt_perception.backends.litert_pipeline import LiteRtPipeline
from trt_perception.catalogue.resolve import resolve_model
from trt_perception.cli import main as command_line
from trt_perception.errors import EngineError, FetchError, ModelError
from trt_perception.image.frame import Frame
from trt_perception.litert.backend import LiteRtBackend, dequantised, quantised
from trt_perception.model.spec import ModelOptions, load_model
from trt_perception.monitor import Monitor
from trt_perception.pipeline.options import CalibrationOptions, PipelineOptions
from trt_perception.precision.parity import compare

DATA = Path(__file__).resolve().parents[1] / 'data'
PHOTOS = sorted((DATA / 'photos').glob('*.jpg'))
DETECTOR = DATA / 'tflite' / 'color_detector.tflite'


def frames():
    """The photos, and images of squares in the three colours."""
    chance = np.random.default_rng(0)
    images = [cv2.imread(str(path)) for path in PHOTOS]
    for _ in range(6):
        image = np.zeros((64, 64, 3), np.uint8)
        for _ in range(5):
            x, y = chance.integers(0, 8, 2) * 8
            image[y:y + 8, x:x + 8] = np.eye(3)[chance.integers(3)] * chance.integers(120, 256)
        images.append(image)
    return [Frame.from_bgr(image) for image in images]


def opened(path, options=None, **model):
    return create_pipeline(load_model(path, ModelOptions(**model)), options)


@pytest.mark.parametrize('fractions', [True, False])
def test_a_detector_finds_what_onnx_runtime_finds(tmp_path, fractions):
    onnx = tiny_models.color_detector(tmp_path / 'm.onnx', layout='nhwc')
    tflite = tiny_tflite.color_detector(tmp_path / 'm.tflite', fractions=fractions)
    with opened(onnx) as reference, opened(tflite) as candidate:
        assert isinstance(candidate, LiteRtPipeline)
        agreement = compare(reference, candidate, frames())
    assert agreement.value == 1.0
    assert agreement.matched > 20
    assert agreement.min_iou > 0.9999
    assert agreement.max_score_difference < 1e-5


def test_int8_differs_by_its_steps_only(tmp_path):
    """The boxes of a 64-pixel input have steps of 64 / 255 pixels, the scores of 1 / 255."""
    onnx = tiny_models.color_detector(tmp_path / 'm.onnx', layout='nhwc')
    tflite = tiny_tflite.color_detector(tmp_path / 'm.tflite', quantised=True)
    with opened(onnx) as reference, opened(tflite, PipelineOptions(precision='int8')) as candidate:
        assert candidate.describe()['precision_effective'] == 'int8'
        agreement = compare(reference, candidate, frames())
    assert agreement.value == 1.0
    assert agreement.min_iou > 0.93
    assert 0 < agreement.max_score_difference < 1.5 / 255


def test_width_and_height_of_the_input_differ(tmp_path):
    """One red square, at x 80..88, y 16..24 of the input of 128x64; the camera has twice the size."""
    path = tiny_tflite.color_detector(tmp_path / 'm.tflite', 128, 64)
    image = np.zeros((128, 256, 3), np.uint8)
    image[32:48, 160:176] = (0, 0, 255)
    with trt_perception.open(path) as model:
        found = model(image)
    np.testing.assert_allclose(found.boxes, [[160, 32, 176, 48]], atol=1e-3)
    assert (found.class_indices.tolist(), found.scores.tolist()) == ([0], [1.0])


def test_a_classifier_with_its_own_normalisation(tmp_path):
    """(pixel - 127.5) / 127.5: the mean of a red image is 1, -1, -1."""
    path = tiny_tflite.color_classifier(
        tmp_path / 'm.tflite', own=tiny_tflite.own_metadata((127.5,), (127.5,), 'labels.txt'),
        files={'labels.txt': 'rot\ngruen\nblau\n'})
    image = np.zeros((32, 32, 3), np.uint8)
    image[..., 2] = 255
    with trt_perception.open(path) as model:
        found = model(image)
        assert model.name_of(found.class_indices[0]) == 'rot'
    expected = np.exp([1, -1, -1]) / np.exp([1, -1, -1]).sum()
    np.testing.assert_allclose(np.sort(found.scores), np.sort(expected), rtol=1e-5)


@pytest.mark.parametrize('dtype, quantisation, lowest', [
    ('uint8', (1 / 128, 127), -127 / 128), ('int8', (1 / 255, -128), 0.0), ('uint8', (2 / 255, 128), -256 / 255)])
def test_an_8_bit_input_without_metadata_takes_pixels(tmp_path, dtype, quantisation, lowest):
    """Its scale and zero point are the normalisation: black is the smallest number."""
    path = tiny_tflite.color_classifier(tmp_path / 'm.tflite', dtype=dtype, quantisation=quantisation)
    spec = load_model(path)
    options = spec.preprocessing
    assert options.scale == pytest.approx(quantisation[0])
    assert -options.mean[0] == pytest.approx(lowest)
    seen = []

    class Backend(LiteRtBackend):
        def infer(self, input_name, tensor):
            seen.append(quantised(tensor, self._input))
            return super().infer(input_name, tensor)

    pipeline = LiteRtPipeline(spec, PipelineOptions())
    pipeline._backend = Backend(path)
    with pipeline:
        image = np.full((16, 16, 3), (10, 100, 250), np.uint8)
        pipeline.run(Frame.from_bgr(image))
    assert seen[-1].dtype == dtype
    # RGB pixels as they are; int8 counts from -128.
    assert (seen[-1][0, 0, 0].astype(int) + (128 if dtype == 'int8' else 0)).tolist() == [250, 100, 10]


def test_imagenet_statistics_are_recognised_by_their_range(tmp_path):
    """From (0 - 0.485) / 0.229 to (1 - 0.406) / 0.225: one scale cannot say that the channels differ."""
    scale = (2.64 + 2.118) / 255
    path = tiny_tflite.color_classifier(
        tmp_path / 'm.tflite', dtype='int8', quantisation=(scale, round(2.118 / scale) - 128))
    assert load_model(path).preprocessing.mean == (0.485, 0.456, 0.406)


def test_rounding_and_limits():
    detail = {'quantization': (0.5, 3), 'dtype': np.int8}
    assert quantised(np.array([0.0, 0.26, -1.0, 1e6, -1e6], np.float32), detail).tolist() == [3, 4, 1, 127, -128]
    parameters = {'scales': np.array([0.5]), 'zero_points': np.array([3]), 'quantized_dimension': 0}
    assert dequantised(np.array([3, 4, -128], np.int8), {'quantization_parameters': parameters}).tolist() == [
        0.0, 0.5, -65.5]
    parameters = {'scales': np.array([1.0, 2.0]), 'zero_points': np.array([0, 1]), 'quantized_dimension': 1}
    assert dequantised(np.array([[3, 3]], np.uint8), {'quantization_parameters': parameters}).tolist() == [[3.0, 4.0]]


def test_a_dynamic_size(tmp_path):
    """The signature has -1 for height and width; LiteRT is resized to the size of the options."""
    writer = tiny_tflite.Writer()
    image = writer.tensor('images', [1, 1, 1, 3], signature=[1, -1, -1, 3])
    means = writer.tensor('means', [1, 1, 1, 3])
    axes = writer.tensor('axes', [2], 'int32', value=[1, 2])
    reducer = schema.ReducerOptionsT()
    reducer.keepDims = True
    writer.operator('MEAN', [image, axes], [means], reducer)
    path = writer.save(tmp_path / 'm.tflite', [image], [means])
    spec = load_model(path, ModelOptions(input_size=(40, 24)))
    assert spec.dynamic_size
    assert spec.input_shape == (1, 24, 40, 3)
    with create_pipeline(spec) as pipeline:
        assert pipeline.run(Frame.from_bgr(np.zeros((24, 40, 3), np.uint8))).result.scores.shape == (3,)


def test_precision_is_the_files(tmp_path):
    said = []
    monitor = Monitor(log=lambda severity, text: said.append((severity, text)))
    with LiteRtPipeline(load_model(DETECTOR), PipelineOptions(precision='fp16'), monitor=monitor) as pipeline:
        assert pipeline.describe() == {
            'backend': 'litert', 'backend_version': pipeline.describe()['backend_version'], 'device': 'CPU',
            'pipeline': 'host', 'precision_effective': 'fp32'}
    assert said == [
        ('info', 'color_detector.tflite has boxes as fractions of its input: they are multiplied by 64x64'),
        ('warning', 'precision fp16 was requested, but LiteRT runs color_detector.tflite in fp32, as stored in the '
         'file')]


@pytest.mark.parametrize('options, error, words', [
    (PipelineOptions(precision='int8', strict_precision=True), EngineError,
     'precision int8 was requested, but LiteRT would run color_detector.tflite in fp32, as stored in the file'),
    (PipelineOptions(min_agreement=0.9), ModelError, 'min_agreement is 0.9, but color_detector.tflite is a .tflite')])
def test_options_that_a_tflite_file_cannot_have(options, error, words):
    with pytest.raises(error) as found:
        opened(DETECTOR, options).open()
    assert words in str(found.value)


def test_calibration_frames_are_not_used():
    said = []
    options = PipelineOptions(precision='int8', calibration=CalibrationOptions(source='frames'))
    with LiteRtPipeline(
            load_model(DETECTOR), options, monitor=Monitor(log=lambda severity, text: said.append(text))):
        pass
    assert any('calibration_source is not used' in text for text in said)


def test_impossible_boxes_are_refused(tmp_path):
    """A detector whose boxes are all in one place is neither in pixels nor in fractions."""
    writer = tiny_tflite.Writer()
    image = writer.tensor('images', [1, 64, 64, 3])
    constant = writer.tensor('boxes', [1, 7, 64], value=np.full((1, 7, 64), 1e-4))
    output = writer.tensor('output0', [1, 7, 64])
    writer.operator('ABS', [constant], [output], schema.AbsOptionsT())
    path = writer.save(
        tmp_path / 'm.tflite', [image], [output], files={'metadata.json': json.dumps(tiny_tflite.ULTRALYTICS)})
    with pytest.raises(ModelError, match='half of them within'):
        opened(path).open()


def test_a_shape_that_is_not_the_declared_one(tmp_path):
    """LiteRT computes the shapes itself, so a damaged file may declare another one."""
    path = tmp_path / 'm.tflite'
    content = DETECTOR.read_bytes()
    shape = np.array([3, 1, 7, 64], '<i4').tobytes()
    assert content.count(shape) == 1
    path.write_bytes(content.replace(shape, np.array([3, 1, 7, 32], '<i4').tobytes()))
    with pytest.raises(ModelError, match=r"output 'output0' of m\.tflite has the shape \[1, 7, 64\] when it runs: "):
        opened(path).open()


def test_an_operator_that_litert_does_not_have(tmp_path):
    writer = tiny_tflite.Writer()
    image = writer.tensor('images', [1, 16, 16, 3])
    output = writer.tensor('logits', [1, 3])
    writer.operator('CUSTOM', [image], [output])
    writer.model.operatorCodes[-1].customCode = b'TFLite_Detection_PostProcess2'
    path = writer.save(tmp_path / 'm.tflite', [image], [output])
    with pytest.raises(ModelError) as error:
        opened(path).open()
    assert 'LiteRT' in str(error.value)
    assert 'TFLite_Detection_PostProcess2' in str(error.value)
    assert '\n' not in str(error.value)


def test_a_file_that_changed_is_not_run(tmp_path):
    path = shutil.copy(DETECTOR, tmp_path / 'm.tflite')
    pipeline = opened(path)
    path.write_bytes((DATA / 'tflite' / 'color_detector_int8.tflite').read_bytes())
    with pytest.raises(ModelError, match='changed'):
        pipeline.open()


def test_predict(tmp_path, capsys):
    image = np.zeros((64, 64, 3), np.uint8)
    image[8:16, 16:24] = (0, 255, 0)
    cv2.imwrite(str(tmp_path / 'a.png'), image)
    assert command_line.main(['predict', str(DETECTOR), str(tmp_path / 'a.png'), '--backend', 'litert']) == 0
    out = capsys.readouterr().out
    assert 'green' in out
    assert command_line.main(['benchmark', str(DETECTOR), '--frames', '5']) == 0
    assert 'litert' in capsys.readouterr().out


def test_the_catalogue_classifier(tmp_path, capsys):
    """efficientnet-lite0 has the scores of the ONNX file on the photos.

    TRT_PERCEPTION_TEST_TFLITE: a file that was converted as docs/litert.md says; by default it is written here
    """
    try:
        onnx = resolve_model('efficientnet-lite0', fetch=False)
    except FetchError as error:
        pytest.skip(f'needs the catalogue model: trt_perception fetch efficientnet-lite0 ({error})')
    path = Path(os.environ.get('TRT_PERCEPTION_TEST_TFLITE') or from_onnx(onnx, tmp_path / 'lite0.tflite'))
    with opened(onnx) as reference, opened(path) as candidate:
        agreement = compare(reference, candidate, [Frame.from_bgr(cv2.imread(str(photo))) for photo in PHOTOS])
        assert candidate.spec.names == reference.spec.names
        assert candidate.spec.preprocessing == reference.spec.preprocessing
        stored = candidate.spec.stored_precision
    with capsys.disabled():
        print(f'\n{path.name}: {agreement.summary()}')
    assert agreement.value == 1.0
    assert agreement.max_score_difference < {'fp32': 1e-4, 'fp16': 0.02, 'int8': 0.2}[stored]
