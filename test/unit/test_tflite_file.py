# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The reader of .tflite files. It needs no LiteRT: the files are in test/data/tflite."""

import io
import json
import random
import shutil
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.tiny_models import color_classifier, color_detector

from trt_perception.backends.create import chosen_backend
from trt_perception.cli import main as command_line
from trt_perception.errors import ModelError, PerceptionError
from trt_perception.model.file_kinds import is_tflite
from trt_perception.model.heads.boxes import FRACTIONS
from trt_perception.model.heads.fractions import are_fractions, in_pixels, with_unit
from trt_perception.model.heads.further_columns import ObbHead, PoseHead, SegmentHead
from trt_perception.model.heads.yolo import YoloHead
from trt_perception.model.normalisation import METADATA_KEY
from trt_perception.model.onnx_file import sha256_of
from trt_perception.model.spec import load_model
from trt_perception.model.tflite_file import read_graph, read_tflite
from trt_perception.model.tflite_metadata import read_metadata
from trt_perception.model.unchanged import ModelFiles
from trt_perception.monitor import Monitor

DATA = Path(__file__).resolve().parents[1] / 'data' / 'tflite'
DETECTOR, QUANTISED = DATA / 'color_detector.tflite', DATA / 'color_detector_int8.tflite'
CLASSIFIER = DATA / 'color_classifier.tflite'


def test_a_detector_of_ultralytics():
    spec = load_model(DETECTOR)
    assert (spec.file_format, spec.has_fractions, spec.stored_precision) == ('tflite', True, 'fp32')
    assert (spec.layout, spec.width, spec.height, spec.channels) == ('nhwc', 64, 64, 3)
    assert spec.head == YoloHead('yolov8', 'output0', 3)
    assert (spec.names, spec.names_source) == (('red', 'green', 'blue'), 'TFLite metadata')
    assert spec.outputs == (('output0', (1, 7, 64)),)
    assert (spec.preprocessing.scale, spec.preprocessing.resize_mode) == (1 / 255, 'letterbox')
    assert spec.sha256 == sha256_of(DETECTOR)
    assert ModelFiles.of(DETECTOR) == spec.files


def test_a_quantised_input_is_float_outside_of_the_backend():
    summary = read_tflite(QUANTISED)
    assert (summary.input_dtype, summary.stored_precision) == (np.float32, 'int8')
    tensor = summary.tflite.tensors[summary.tflite.inputs[0]]
    assert (tensor.dtype, tensor.zero_point, tensor.scale) == ('int8', -128, pytest.approx(1 / 255))
    assert summary.tflite.element_types() == {'output0': 'float32'}


def test_the_own_metadata_of_tensorflow_lite():
    """Mean, std and the label file are in the metadata; the labels in the ZIP archive at the end."""
    spec = load_model(CLASSIFIER)
    assert spec.names == ('red', 'green', 'blue')
    options = spec.preprocessing
    assert (options.scale, options.mean, options.std) == (1.0, (127.5,) * 3, (127.5,) * 3)
    assert (spec.task, spec.has_fractions, spec.labels_warning) == ('classification', None, '')


def appended(content, files):
    whole = io.BytesIO(content)
    with zipfile.ZipFile(whole, 'w' if not content else 'a') as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return whole.getvalue()


def test_yolov5_writes_a_python_dict():
    found = read_metadata(appended(b'model', {'temp_meta.txt': "{'stride': 32, 'names': {0: 'a', 1: \"b'c\"}}"}), b'')
    assert found.values == {'stride': '32', 'names': '{0: \'a\', 1: "b\'c"}'}


def test_the_metadata_of_an_onnx_file_can_be_appended(tmp_path):
    """The line of docs/litert.md: preprocessing and names of the ONNX file."""
    path = tmp_path / 'm.tflite'
    path.write_bytes(CLASSIFIER.read_bytes())
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('metadata.json', json.dumps({
            'names': '{"0": "x", "1": "y", "2": "z"}', METADATA_KEY: '{"color_order": "bgr", "scale": 0.5}'}))
    spec = load_model(path)
    assert spec.names == ('x', 'y', 'z')
    assert (spec.preprocessing.color_order, spec.preprocessing.scale) == ('bgr', 0.5)


@pytest.mark.parametrize('content', [
    b'', b'PK\x05\x06' + bytes(18), appended(b'', {'metadata.json': '{' * 5000}),
    appended(b'', {'metadata.json': '[1, 2]'}), appended(b'', {'a.txt': 'x', 'b.txt': 'y'}),
    appended(b'', {'big.txt': 'x' * (5 << 20)})])
def test_unreadable_metadata_is_no_metadata(content):
    assert read_metadata(content, b'').values == {}


def test_missing_labels_and_damaged_metadata_are_reported(tmp_path):
    content = CLASSIFIER.read_bytes()
    path = tmp_path / 'm.tflite'
    # Only the name in the metadata, which comes first.
    path.write_bytes(content.replace(b'labels.txt', b'absent.txt', 1))
    spec = load_model(path)
    assert spec.names == ('0', '1', '2')
    assert spec.labels_warning == "m.tflite: the metadata names the label file 'absent.txt', which is not in the file"
    assert read_metadata(b'', b'\xff' * 40).problem == 'the metadata in TFLITE_METADATA cannot be read'


def test_each_truncated_or_changed_file_is_read_or_refused(tmp_path):
    """An offset outside of the file is an error in one line, never another exception."""
    content, chance, refused = DETECTOR.read_bytes(), random.Random(0), []
    end = content.index(b'PK\x03\x04')
    for number in range(600):
        changed = bytearray(content[:chance.randrange(8, end)] if number % 3 == 0 else content)
        for _ in range(0 if number % 3 == 0 else chance.choice((1, 2, 8))):
            changed[chance.randrange(8, min(end, len(changed)))] = chance.choice((0, 1, 127, 128, 255))
        try:
            graph = read_graph(bytes(changed), 'm.tflite')
            assert isinstance(graph.parameters(), int)
            assert graph.stored_precision()
        except ModelError as error:
            refused.append(str(error))
    assert len(refused) > 150
    assert all('m.tflite' in text and '\n' not in text for text in refused)


def test_a_vector_longer_than_the_file_allocates_nothing(tmp_path):
    content = bytearray(DETECTOR.read_bytes())
    root = struct.unpack_from('<I', content)[0]
    content[root:root + 4] = struct.pack('<i', -(1 << 30))
    path = tmp_path / 'm.tflite'
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r'm\.tflite is damaged: expected a TensorFlow Lite model'):
        read_tflite(path)


def test_the_content_decides_not_the_name(tmp_path):
    named = shutil.copy(DETECTOR, tmp_path / 'model.onnx')
    assert is_tflite(named)
    assert load_model(named).file_format == 'tflite'
    onnx = color_detector(tmp_path / 'model.tflite')
    assert not is_tflite(onnx)
    assert load_model(onnx).file_format == 'onnx'
    assert not is_tflite(tmp_path)
    assert not is_tflite(tmp_path / 'missing')
    (tmp_path / 'text.tflite').write_text('nothing')
    with pytest.raises(ModelError, match=r'text\.tflite cannot be read as ONNX'):
        load_model(tmp_path / 'text.tflite')


@pytest.mark.parametrize('backend, made, words', [
    ('onnxruntime', None, 'backend is onnxruntime, but color_detector.tflite is a TensorFlow Lite model: expected an '
     'ONNX file; set backend to auto or litert'),
    ('tensorrt', None, 'backend is tensorrt, but color_detector.tflite is a TensorFlow Lite model'),
    ('litert', color_classifier, 'backend is litert, but m.onnx is an ONNX file: expected a .tflite file')])
def test_a_backend_says_that_it_cannot_read_the_file(tmp_path, backend, made, words):
    spec = load_model(DETECTOR if made is None else made(tmp_path / 'm.onnx'))
    with pytest.raises(ModelError) as error:
        chosen_backend(backend, Monitor(), spec)
    assert words in str(error.value)


def test_auto_chooses_litert():
    assert chosen_backend('auto', Monitor(), load_model(DETECTOR)) == 'litert'


@pytest.mark.parametrize('command', ['build', 'quantize'])
def test_commands_that_need_onnx_say_it(command, capsys):
    assert command_line.main([command, str(DETECTOR)]) == 1
    assert capsys.readouterr().err == (
        f'trt_perception: color_detector.tflite is a TensorFlow Lite model, and {command} needs an ONNX file: backend '
        'litert runs the .tflite file as it is; otherwise export the original model to ONNX\n')


def test_inspect_shows_the_file(capsys):
    """Also without LiteRT: then one row says how to install it."""
    assert command_line.main(['inspect', str(QUANTISED)]) == 0
    rows = dict(line.split(':', 1) for line in capsys.readouterr().out.splitlines())
    shown = {name: value.strip() for name, value in rows.items()}
    assert shown['format'] == 'TensorFlow Lite'
    assert shown['LiteRT'].startswith(('runs the model (litert ', 'not installed: '))
    assert shown['task'] == 'detection (yolov8)'
    assert shown['input'] == 'images int8 [1, 64, 64, 3] (value = (number +128) * 0.00392157) nhwc'
    assert shown['precision'] == 'int8'
    assert shown['preprocessing'] == 'rgb, letterbox, linear, (pixel * 0.00392157 - 0) / 1'
    assert shown['operators'] == 'AVERAGE_POOL_2D 1, RESHAPE 1, TRANSPOSE 1, CONCATENATION 1'
    assert command_line.main(['inspect', str(DETECTOR), '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['names'] == ['red', 'green', 'blue']
    assert report['preprocessing']['interpolation'] == 'linear'
    assert report['outputs'] == [{'name': 'output0', 'shape': [1, 7, 64], 'dtype': 'float32'}]


def boxes_of(size, scale):
    """(1, 7, N) of a grid of boxes with random scores, boxes times `scale`."""
    x, y = np.meshgrid(np.arange(4, size, 8), np.arange(4, size, 8))
    boxes = np.stack([x.ravel(), y.ravel(), np.full(x.size, 12), np.full(x.size, 12)]) * scale
    scores = np.random.default_rng(0).uniform(0, 1, (3, x.size))
    return np.concatenate([boxes, scores])[np.newaxis].astype(np.float32)


def test_values_decide_whether_boxes_are_fractions():
    head, size = YoloHead('yolov8', 'output0', 3), (64, 64)
    pixels, fractions = boxes_of(64, 1.0), boxes_of(64, 1 / 64)
    for expected in (True, False, None):
        assert not are_fractions(head, [pixels, pixels], size, 3, expected)
        assert are_fractions(head, [fractions, fractions], size, 3, expected)
    np.testing.assert_allclose(in_pixels(head, fractions, size), pixels, rtol=1e-6)


@pytest.mark.parametrize('expected', [True, False, None])
def test_the_exporter_decides_without_boxes(expected):
    """After NMS, an image without objects has rows of zeros."""
    head = YoloHead('end_to_end', 'output0', 0)
    assert are_fractions(head, [np.zeros((1, 300, 6), np.float32)], (64, 64), 3, expected) is bool(expected)


@pytest.mark.parametrize('kind, further', [(SegmentHead, 4), (PoseHead, 51), (ObbHead, 1)])
def test_values_decide_for_models_with_further_columns(kind, further):
    """Width and height differ: the box of an oriented object is turned after it is in pixels."""
    head, size = kind(3, 'output0', 'yolov8'), (128, 64)
    columns = np.random.default_rng(1).uniform(0, 1, (1, 7 + further, 200)).astype(np.float32)
    columns[0, 2:4] *= 0.2
    pixels, fractions = ({'output0': values} for values in (columns.copy(), columns))
    pixels['output0'][0, :4] *= np.float32([[128], [64], [128], [64]])
    for expected in (True, False, None):
        assert not are_fractions(head, [pixels, pixels], size, 3, expected)
        assert are_fractions(head, [fractions, fractions], size, 3, expected)
    found = with_unit(head, FRACTIONS).candidates(fractions, size, 0.5)
    wanted = head.candidates(pixels, size, 0.5)
    assert len(wanted.scores) > 20
    np.testing.assert_allclose(found.boxes, wanted.boxes, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(found.scores, wanted.scores)


@pytest.mark.parametrize('kind, shape', [('yolov5', (1, 8, 8)), ('end_to_end', (1, 8, 6))])
def test_only_the_boxes_are_multiplied(kind, shape):
    """Width and height of the input differ: x by the width, y by the height."""
    scaled = in_pixels(YoloHead(kind, 'output0', 3), np.ones(shape, np.float32), (40, 20))
    assert scaled[0, 3].tolist() == [40, 20, 40, 20] + [1] * (shape[2] - 4)


def test_an_error_is_of_this_package(tmp_path):
    (tmp_path / 'm.tflite').write_bytes(b'\x1c\0\0\0TFL3' + bytes(100))
    with pytest.raises(PerceptionError):
        load_model(tmp_path / 'm.tflite')
