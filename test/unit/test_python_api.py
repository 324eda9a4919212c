# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""trt_perception.open: a model file and an array in, results in pixels of the array out. The page's examples run."""

import copy
import itertools
import logging
import os
import pickle
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from support.precision_models import color_folder, color_frames, conv_detector
from support.tiny_models import color_classifier, color_detector, fixed_outputs

import trt_perception
from trt_perception.backends.create import BACKENDS
from trt_perception.errors import (
    CalibrationError,
    EngineError,
    FrameError,
    LabelsError,
    ModelError,
    ParameterError,
    PerceptionError,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs' / 'python.md'
RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)


def picture():
    """128x64, scaled by half and padded for the network: red at (32, 16), blue at (96, 32), 16x16 each."""
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[16:32, 32:48] = RED
    pixels[32:48, 96:112] = BLUE
    return pixels


def found_by(model, image, **options):
    result = model(image, **options)
    return {model.name_of(index): box.tolist() for index, box in zip(result.class_indices, result.boxes)}


@pytest.fixture
def detector(tmp_path):
    return color_detector(tmp_path / 'detector.onnx')


@pytest.fixture
def model(detector):
    with trt_perception.open(detector, backend='onnxruntime', score_threshold=0.6) as model:
        yield model


# Names


def test_the_public_names():
    names = [
        'Classifications', 'Detections', 'DeviceArray', 'Engine', 'Model', 'PerceptionError', '__version__',
        'from_torch', 'load_engine', 'open']
    assert dir(trt_perception) == names
    assert sorted(trt_perception.__all__) == names
    assert all(getattr(trt_perception, name).__doc__ for name in names)
    with pytest.raises(AttributeError, match="module 'trt_perception' has no attribute 'no_such_name'"):
        _ = trt_perception.no_such_name
    with pytest.raises(ImportError, match='no_such_name'):
        from trt_perception import no_such_name  # noqa: F401 - the import fails


def test_a_name_is_imported_when_it_is_used_first():
    done = subprocess.run(
        [sys.executable, '-c', """
import sys, trt_perception
print(sorted(name for name in sys.modules if name.startswith('trt_perception')))
trt_perception.Detections
print('trt_perception.results.results' in sys.modules, 'trt_perception.api' in sys.modules)
trt_perception.open, trt_perception.from_torch
print('trt_perception.api.opening' in sys.modules)
print(sorted(set(sys.modules) & {'cv2', 'onnx', 'onnxruntime', 'tensorrt', 'torch', 'rclpy', 'yaml'}))
"""],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout.splitlines() == ["['trt_perception']", 'True False', 'True', '[]']


# Results


def test_boxes_are_in_pixels_of_the_image(model):
    result = model(picture())
    assert isinstance(result, trt_perception.Detections)
    assert found_by(model, picture()) == {'red': [32, 16, 48, 32], 'blue': [96, 32, 112, 48]}
    np.testing.assert_allclose(result.scores, [1.0, 1.0], atol=1e-3)
    # Another image size, twice as large.
    double = picture().repeat(2, axis=0).repeat(2, axis=1)
    assert found_by(model, double) == {'red': [64, 32, 96, 64], 'blue': [192, 64, 224, 96]}
    # The first result is not overwritten.
    assert sorted(result.boxes.tolist()) == [[32, 16, 48, 32], [96, 32, 112, 48]]


def test_the_color_order_of_the_image(model):
    rgb = np.ascontiguousarray(picture()[..., ::-1])
    assert sorted(found_by(model, rgb, color_order='rgb').items()) == sorted(found_by(model, picture()).items())
    assert found_by(model, rgb) == {'blue': [32, 16, 48, 32], 'red': [96, 32, 112, 48]}
    with pytest.raises(ParameterError, match="color_order is 'gbr': expected one of bgr, rgb"):
        model(rgb, color_order='gbr')


def test_views_and_read_only_images(model):
    expected = found_by(model, picture())
    wide = np.zeros((64, 256, 3), np.uint8)
    wide[:, 64:192] = picture()
    frozen = picture()
    frozen.flags.writeable = False
    for image in (wide[:, 64:192], picture()[::-1][::-1], frozen, np.asfortranarray(picture())):
        before = image.copy()
        assert found_by(model, image) == expected
        assert np.array_equal(image, before)
    # A reversed view: its pixels are not contiguous.
    assert found_by(model, picture()[:, ::-1]) == {'red': [80, 16, 96, 32], 'blue': [16, 32, 32, 48]}


def test_a_grey_image(model):
    grey = np.zeros((64, 64), np.uint8)
    grey[16:24, 32:40] = 255
    # White is in all channels; the first class wins if scores are equal.
    assert found_by(model, grey) == {'red': [32, 16, 40, 24]}


def test_what_a_model_tells_about_itself(model):
    assert (model.names, model.name_of(1), model.name_of(9)) == (('red', 'green', 'blue'), 'green', '9')
    assert (model.task, model.input_size) == ('detection', (64, 64))
    assert repr(model) == '<trt_perception.Model detector.onnx: detection, 3 classes>'
    described = model.describe()
    assert (described['backend'], described['precision_effective']) == ('onnxruntime', 'fp32')
    assert model.timings_ms == {}
    model(picture())
    assert set(model.timings_ms) == {'preprocess', 'infer', 'postprocess'}
    assert all(value > 0 for value in model.timings_ms.values())


def test_thresholds_are_options(detector):
    half = np.zeros((64, 64, 3), np.uint8)
    half[0:8, 0:8] = (0, 0, 128)
    with trt_perception.open(detector, backend='onnxruntime') as model:
        assert len(model(half)) == 1
    with trt_perception.open(str(detector), backend='onnxruntime', score_threshold=np.float32(0.6)) as model:
        assert len(model(half)) == 0
    white = np.full((64, 64, 3), 255, np.uint8)
    with trt_perception.open(detector, backend='onnxruntime', max_detections=7) as model:
        assert len(model(white)) == 7


def test_overlapping_boxes(tmp_path):
    """Three candidates: two of the same class, one of another, IoU 0.6 for each pair of neighbours."""
    candidates = np.zeros((1, 6, 3), np.float32)
    candidates[0, :4] = np.array([(20, 20, 16, 16), (24, 20, 16, 16), (16, 20, 16, 16)]).T
    candidates[0, 4:] = np.array([(0.9, 0), (0.8, 0), (0, 0.7)]).T
    path = fixed_outputs(
        tmp_path / 'overlapping.onnx', candidates, metadata={'names': {0: 'cup', 1: 'bowl'}, 'task': 'detect'})
    image = np.zeros((64, 64, 3), np.uint8)
    for options, scores in (
            ({}, [0.9, 0.7]), ({'iou_threshold': 0.7}, [0.9, 0.8, 0.7]), ({'class_agnostic_nms': True}, [0.9])):
        with trt_perception.open(path, backend='onnxruntime', **options) as model:
            np.testing.assert_allclose(model(image).scores, scores)


def test_a_classifier_and_its_preprocessing(tmp_path):
    path = color_classifier(tmp_path / 'classifier.onnx')
    green = np.full((20, 40, 3), GREEN, np.uint8)
    options = {'mean': np.zeros(3), 'std': 1, 'resize_mode': 'stretch'}
    with trt_perception.open(path, backend='onnxruntime', top_k=2, preprocessing=options) as model:
        result = model(green)
    assert isinstance(result, trt_perception.Classifications)
    # Logits 0, 10, 0
    total = np.exp(10) + 2
    assert result.class_indices.tolist() == [1, 0]
    np.testing.assert_allclose(result.scores, [np.exp(10) / total, 1 / total], rtol=1e-4)
    # ImageNet's mean and std, the defaults of a classifier, would give very different values: (x - mean) / std * 10.
    with trt_perception.open(path, backend='onnxruntime', top_k=1) as model:
        assert model(green).scores[0] > result.scores[0]


def test_one_of_several_outputs(tmp_path):
    path = fixed_outputs(tmp_path / 'm.onnx', [[0.75, 0.25]], [[0.125, 0.375, 0.5]])
    with pytest.raises(ModelError, match='set output_name to one of output0, output1'):
        trt_perception.open(path, backend='onnxruntime')
    with trt_perception.open(path, backend='onnxruntime', output_name='output1') as model:
        assert model(picture()).scores.tolist() == [0.5, 0.375, 0.125]


def test_the_size_and_the_names_of_a_model_that_leaves_them_open(tmp_path):
    (tmp_path / 'names.txt').write_text('one\ntwo\nthree\n')
    path = color_classifier(tmp_path / 'open.onnx', ('height', 'width'), 'batch', metadata={})
    options = {'backend': 'onnxruntime', 'input_size': (48, 32), 'labels': tmp_path / 'names.txt'}
    with trt_perception.open(path, **options) as model:
        assert (model.input_size, model.names) == ((48, 32), ('one', 'two', 'three'))
        assert model.name_of(model(np.full((10, 10, 3), BLUE, np.uint8)).class_indices[0]) == 'three'


def test_int8_with_frames_to_calibrate_with(tmp_path, monkeypatch, caplog):
    pytest.importorskip('cv2')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    path = conv_detector(tmp_path / 'model.onnx')
    image = next(color_frames(1, seed=5))
    with trt_perception.open(path, backend='onnxruntime') as model:
        expected = model(image)
    caplog.set_level(logging.INFO, 'trt_perception')
    with trt_perception.open(
            path, precision='int8', backend='onnxruntime', calibration_source=color_folder(tmp_path / 'frames', 48),
            calibration_samples=32, calibration_method='mse', strict_precision=True) as model:
        described, found = model.describe(), model(image)
    assert described['precision_effective'] == 'int8'
    assert '0 missing, 0 extra in 16 frames' in described['agreement']
    assert found.class_indices.tolist() == expected.class_indices.tolist()
    # int8 gives slightly different scores.
    assert 0 < np.abs(found.scores - expected.scores).max() < 4 / 127
    phases = [record.message for record in caplog.records]
    assert 'comparing with ONNX Runtime fp32 on 16 frames' in phases
    assert all(first != second for first, second in itertools.pairwise(phases)), phases


def test_warnings_go_to_the_logger(detector, caplog):
    with caplog.at_level(logging.WARNING, 'trt_perception'):
        trt_perception.open(detector, backend='onnxruntime', precision='fp16').close()
    assert [record.message for record in caplog.records] == [
        'precision fp16 was requested, but ONNX Runtime runs detector.onnx in fp32, as stored in the file']


def test_labels_that_are_not_used_are_told(detector, tmp_path, caplog):
    (tmp_path / 'names.txt').write_text('crimson\ngreen\nblue\n')
    with trt_perception.open(detector, backend='onnxruntime', labels=str(tmp_path / 'names.txt')) as model:
        assert model.names[0] == 'red'
    assert "such as 'red' instead of 'crimson'" in caplog.text


def test_a_file_runs_as_it_is_stored(tmp_path, caplog):
    """As on the command line: an int8 file without `precision` gives no warning that it is not fp32."""
    from support.tiny_models import FLOAT16
    path = color_detector(tmp_path / 'half.onnx', dtype=FLOAT16)
    with trt_perception.open(path, backend='onnxruntime') as model:
        effective = model.describe()['precision_effective']
    from trt_perception.model.spec import load_model
    assert effective == load_model(path).stored_precision
    assert caplog.records == []


# Errors


WRONG_IMAGES = {
    'none': (None, 'found None, which cv2.imread returns for a file that it cannot read'),
    'list': ([[0, 0, 0]], 'found list: convert it with numpy.asarray'),
    'path': (Path('street.jpg'), r'found PosixPath: read the file with cv2\.imread'),
    'text': ('street.jpg', r'found str: read the file with cv2\.imread'),
    'float': (np.zeros((4, 5, 3)), r'found float64 \(4, 5, 3\): convert the pixels to 0\.\.255 and to uint8'),
    'uint16': (np.zeros((4, 5, 3), np.uint16), r'found uint16 \(4, 5, 3\): convert'),
    'no pixels': (np.zeros((0, 5, 3), np.uint8), 'image of 5x0 pixels: it has no pixels'),
    'no columns': (np.zeros((5, 0), np.uint8), 'image of 0x5 pixels: it has no pixels'),
    'one dimension': (np.zeros(60, np.uint8), r'expected .* HxWx3 or HxW \(grey\), uint8; found uint8 \(60,\)'),
    'batch': (np.zeros((1, 4, 5, 3), np.uint8), 'call the model with one image at a time'),
    'channels first': (np.zeros((3, 4, 5), np.uint8), r'numpy\.moveaxis\(image, 0, 2\)'),
    'alpha': (np.zeros((4, 5, 4), np.uint8), r'leave the alpha channel out with image\[\.\.\., :3\]'),
    'one channel': (np.zeros((4, 5, 1), np.uint8), r'image\[\.\.\., 0\]'),
    'two channels': (np.zeros((4, 5, 2), np.uint8), r'found uint8 \(4, 5, 2\)$'),
    'too large': (np.broadcast_to(np.uint8(0), (20000, 20000)), 'the limit is 268435456'),
}


@pytest.mark.parametrize('image, message', WRONG_IMAGES.values(), ids=WRONG_IMAGES)
def test_an_image_that_is_none(model, image, message):
    with pytest.raises(FrameError, match=message) as error:
        model(image)
    assert '\n' not in str(error.value)
    # The model still works.
    assert set(found_by(model, picture())) == {'red', 'blue'}


def test_a_closed_model(detector):
    with trt_perception.open(detector, backend='onnxruntime') as model:
        pass
    for use in (lambda: model(picture()), model.describe, model.__enter__):
        with pytest.raises(EngineError, match=r'detector\.onnx is closed: open it again with trt_perception\.open'):
            use()
    model.close()
    assert repr(model).endswith('3 classes, closed>')
    assert model.names == ('red', 'green', 'blue')


@pytest.mark.parametrize('copied', [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_model_cannot_be_copied(model, copied):
    with pytest.raises(TypeError, match='cannot be copied or sent to another process: open the model there'):
        copied(model)
    assert len(model(picture())) == 2


def in_thread(function):
    """Run in another thread. Return the exception, or None."""
    raised = []

    def run():
        try:
            function()
        except PerceptionError as error:
            raised.append(error)

    thread = threading.Thread(target=run, name='other')
    thread.start()
    thread.join()
    return raised[0] if raised else None


def test_one_thread_owns_a_model(model):
    for use in (lambda: model(picture()), model.describe, model.close):
        error = in_thread(use)
        assert isinstance(error, EngineError)
        assert "was opened in thread 'MainThread', but is used in thread 'other'. One thread owns a model" in str(error)
    assert len(model(picture())) == 2


def test_a_model_of_a_thread_that_has_ended_can_be_closed(detector):
    opened = []
    assert in_thread(lambda: opened.append(trt_perception.open(detector, backend='onnxruntime'))) is None
    with pytest.raises(EngineError, match="was opened in thread 'other'"):
        opened[0](picture())
    opened[0].close()
    assert repr(opened[0]).endswith('closed>')


WRONG_OPTIONS = {
    'precision': ({'precision': 'fp8'}, ParameterError, "precision is 'fp8': expected one of fp32, fp16, int8"),
    'backend': ({'backend': 'torch'}, ParameterError, f'expected one of {", ".join(BACKENDS)}$'),
    'score text': ({'score_threshold': '0.5'}, ParameterError, "score_threshold is '0.5': expected a number"),
    'score nan': ({'score_threshold': float('nan')}, ParameterError, 'score_threshold is nan: expected a number'),
    'iou': ({'iou_threshold': 45}, ParameterError, 'iou_threshold is 45: expected a number from 0 to 1'),
    'agreement': ({'min_agreement': -1}, ParameterError, 'min_agreement is -1: expected'),
    'top_k': ({'top_k': 0}, ParameterError, 'top_k is 0: expected a whole number from 1 on'),
    'detections': ({'max_detections': True}, ParameterError, 'max_detections is True: expected a whole number'),
    'threads': ({'num_threads': 1.5}, ParameterError, r'num_threads is 1\.5: expected a whole number from 0 on'),
    'size': ({'input_size': 640}, ParameterError, r'input_size is 640: expected \(width, height\)'),
    'size float': ({'input_size': (64.5, 64)}, ParameterError, r'input_size is \(64\.5, 64\): expected'),
    'size fixed': ({'input_size': (32, 32)}, ModelError, r'has the fixed input size \[64, 64\]'),
    'labels': ({'labels': ['red']}, ParameterError, r"labels is \['red'\]: expected a path or a name as text"),
    'no labels': ({'labels': 'missing.txt'}, LabelsError, 'labels file missing.txt: No such file or directory; check'),
    'task': ({'task': 'pose'}, ModelError, "task is 'pose': expected one of"),
    'preprocessing': (
        {'preprocessing': {'means': 0}}, ParameterError, "preprocessing has 'means': expected color_order, "),
    'mean': ({'preprocessing': {'mean': [1, 2]}}, ParameterError, 'mean in preprocessing is .*: expected one number'),
    'scale': ({'preprocessing': {'scale': 'big'}}, ParameterError, 'scale in preprocessing is .big.: expected'),
    'order': ({'preprocessing': {'color_order': 'gbr'}}, ModelError, "is 'gbr': expected rgb or bgr"),
    'int8': ({'precision': 'int8'}, CalibrationError, 'int8 needs calibration data'),
    'task array': ({'task': np.zeros(2)}, ParameterError, 'task is array.*: expected a path or a name as text'),
    'precision array': ({'precision': np.array(['fp32', 'fp16'])}, ParameterError, 'precision is array.*: expected'),
    'no mapping': ({'preprocessing': 'scale'}, ParameterError, "preprocessing is 'scale': expected a dict, such as"),
    'agnostic': ({'class_agnostic_nms': 'no'}, ParameterError, "class_agnostic_nms is 'no': expected True or False"),
    'masks': ({'masks': 'no'}, ParameterError, "masks is 'no': expected True or False"),
    'fetch': ({'fetch': None}, ParameterError, 'fetch is None: expected True or False'),
    'strict text': ({'strict_precision': 'no'}, ParameterError, "strict_precision is 'no': expected True or False"),
    'topic': ({'calibration_topic': 3}, ParameterError, 'calibration_topic is 3: expected a path or a name as text'),
    'NUL': ({'labels': 'a\0b'}, ParameterError, r"labels is 'a\\x00b': expected text without the character NUL"),
    'strict': ({'precision': 'fp16', 'strict_precision': True}, EngineError, 'would run detector.onnx in fp32'),
}


@pytest.mark.parametrize('options, kind, message', WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_a_wrong_option(detector, options, kind, message):
    with pytest.raises(kind, match=message) as error:
        trt_perception.open(detector, **{'backend': 'onnxruntime', **options})
    assert '\n' not in str(error.value)
    assert isinstance(error.value, trt_perception.PerceptionError)


def test_a_wrong_model(tmp_path):
    with pytest.raises(ModelError, match=r"model 'missing\.onnx': there is no such file; expected an ONNX file or"):
        trt_perception.open('missing.onnx')
    with pytest.raises(ModelError, match='it is a folder'):
        trt_perception.open(tmp_path)
    with pytest.raises(ParameterError, match='model is None: expected a path or a name as text'):
        trt_perception.open(None)
    (tmp_path / 'text.onnx').write_text('no model')
    with pytest.raises(ModelError, match=r'text\.onnx'):
        trt_perception.open(tmp_path / 'text.onnx')


def test_a_catalogue_model_is_not_fetched_if_that_is_forbidden(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    with pytest.raises(PerceptionError, match='yolov3-tiny'):
        trt_perception.open('yolov3-tiny', fetch=False)


# The page


def examples():
    return re.findall(r'^```python\n(.*?)^```', PAGE.read_text(), re.M | re.S)


EXPECTED = (
    'red 1.00: 32 16 48 32\nblue 1.00: 96 32 112 48\n',
    'green 1.00\nblue 0.00\n',
    '(1, 5) True\n',
    '(3, 8) int8\n(2, 8) int8\n',
    "model 'missing.onnx': there is no such file; expected an ONNX file or one of the catalogue's models: ")


@pytest.fixture
def page_folder(tmp_path):
    """A folder with the files that the page's examples open."""
    cv2 = pytest.importorskip('cv2')
    color_detector(tmp_path / 'detector.onnx')
    color_classifier(tmp_path / 'classifier.onnx')
    for name, image in (('street', picture()), ('fruit', np.full((20, 20, 3), GREEN, np.uint8))):
        cv2.imwrite(str(tmp_path / f'{name}.png'), image)
        # cv2 detects the format by the content. A JPEG would change the pixels.
        (tmp_path / f'{name}.png').rename(tmp_path / f'{name}.jpg')
    return tmp_path


def test_the_page_has_the_examples_that_are_run_here():
    assert len(examples()) == len(EXPECTED)


@pytest.mark.parametrize('number', range(len(EXPECTED)))
def test_an_example_of_the_page_runs_as_it_stands(page_folder, number):
    if 'import torch' in examples()[number]:
        pytest.importorskip('torch', reason='needs PyTorch: pip install torch torchvision')
    done = subprocess.run(
        [sys.executable, '-c', examples()[number]], cwd=page_folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'XDG_CACHE_HOME': str(page_folder / 'cache')})
    on_cpu = 'precision fp16 was requested, but ONNX Runtime runs the network in fp32 on the CPU\n'
    assert (done.returncode, done.stderr.removeprefix(on_cpu)) == (0, '')
    assert done.stdout.startswith(EXPECTED[number])


def test_type_checkers_see_the_names(page_folder):
    """`py.typed` and the imports for type checkers: the types that a program sees under `mypy --strict`."""
    pytest.importorskip('mypy.version', minversion='1.5', reason='needs mypy 1.5')
    program = page_folder / 'program.py'
    program.write_text(
        'import numpy as np\nimport trt_perception\n'
        "model = trt_perception.open('detector.onnx')\n"
        'found = model(np.zeros((4, 4, 3), np.uint8))\n'
        'reveal_type(model)\nreveal_type(found)\nreveal_type(trt_perception.__version__)\n'
        "trt_perception.open('detector.onnx', precison='fp16')\n"
        'model(1)\ntrt_perception.no_such_name\n')
    done = subprocess.run(
        [sys.executable, '-m', 'mypy', '--strict', '--config-file=', '--follow-imports=silent', '--no-incremental',
         '--ignore-missing-imports', program.name], cwd=page_folder, capture_output=True, text=True, timeout=240,
        env={**os.environ, 'MYPYPATH': str(ROOT), 'PYTHONPATH': str(ROOT)})
    told = done.stdout
    assert 'program.py:5: note: Revealed type is "trt_perception.api.model.Model"' in told
    assert re.search(r'program\.py:6: note: .*results\.Detections.*results\.Classifications', told)
    assert 'Revealed type is "str"' in told or 'Revealed type is "builtins.str"' in told
    errors = re.findall(r'^program\.py:(\d+): error: .*\[([\w-]+)\]$', told, re.M)
    assert errors == [('8', 'call-arg'), ('9', 'arg-type')], told
