# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The file for each precision, its place in the cache, and the types that TensorRT reads from it."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
import onnx
from support.precision_models import METADATA, color_folder, conv_detector, dfl_detector, two_topic_bag
from support.recording_monitor import Told
from support.tiny_models import FLOAT, save

from trt_perception.backends.tensorrt.build.process import build_in_process
from trt_perception.backends.tensorrt.build.request import build_request
from trt_perception.backends.tensorrt.library.compat import load_for
from trt_perception.cli.main import main
from trt_perception.errors import CalibrationError, EngineError, ModelError, SourceError
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import CalibrationOptions
from trt_perception.pipeline.tensorrt_options import BuildOptions
from trt_perception.precision import prepare
from trt_perception.precision.graph import read_record
from trt_perception.precision.prepare import prepare_model
from trt_perception.precision.strong_types import for_strong_types

TARGET = BuildOptions('int8', compute_capabilities=('8.6',), optimization_level=0)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return the folder of the converted models."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'trt_perception' / 'quantized'


@pytest.fixture
def spec(tmp_path):
    return load_model(conv_detector(tmp_path / 'model.onnx'))


@pytest.fixture
def calibration(tmp_path):
    return CalibrationOptions(str(color_folder(tmp_path / 'images', 48)), samples=32, method='mse')


def int8_of(spec, calibration, monitor=None):
    return prepare_model(spec, 'int8', calibration, monitor=monitor)


def strongly_typed_int8_of(spec, calibration, monitor=None):
    monitor = monitor or Told().monitor
    return for_strong_types(int8_of(spec, calibration, monitor), monitor)


def kinds_of_weights(path):
    """Return the types of the float constants of a file, by name."""
    names = {1: 'fp32', 10: 'fp16'}
    return {
        tensor.name: names[tensor.data_type] for tensor in onnx.load(str(path)).graph.initializer
        if tensor.data_type in names}


def test_fp32_is_the_file_itself(cache, spec):
    told = Told()
    prepared = prepare_model(spec, 'fp32', monitor=told.monitor)
    assert for_strong_types(prepared, told.monitor) is prepared
    assert prepared.spec is spec
    assert (prepared.path, prepared.precision, prepared.record) == (spec.path, 'fp32', {})
    assert not cache.exists()


def test_fp16_is_made_once_and_kept(cache, spec):
    told = Told()
    first = prepare_model(spec, 'fp16')
    assert (first.path.parent, first.precision, first.cached) == (cache, 'fp16', False)
    assert first.path.name.startswith('model-fp16-')
    again = for_strong_types(prepare_model(spec, 'fp16', monitor=told.monitor), told.monitor)
    assert (again.path, again.cached) == (first.path, True)
    kinds = kinds_of_weights(first.path)
    assert (kinds['mix.weight'], kinds['boxes']) == ('fp16', 'fp32')
    # A file in the requested precision is not converted.
    half = load_model(first.path)
    assert prepare_model(half, 'fp16').path == first.path


def test_the_spec_of_a_prepared_model_is_that_of_its_file(cache, spec):
    prepared = prepare_model(spec, 'fp16')
    found, read = prepared.spec, load_model(prepared.path)
    assert (found.path, found.sha256, found.stored_precision) == (prepared.path, read.sha256, 'fp16')
    assert (found.head, found.names, found.preprocessing) == (spec.head, spec.names, spec.preprocessing)


def test_another_model_of_the_same_name_is_another_file(cache, spec, tmp_path):
    (tmp_path / 'other').mkdir()
    other = load_model(conv_detector(tmp_path / 'other' / 'model.onnx', size=32))
    paths = {prepare_model(each, 'fp16').path for each in (spec, other)}
    assert len(paths) == 2
    assert {path.name[:11] for path in paths} == {'model-fp16-'}


def test_what_cannot_be_made_is_told(cache, spec, calibration):
    with pytest.raises(CalibrationError, match='int8 needs calibration data, found none: give a folder of images'):
        prepare_model(spec, 'int8')
    half = load_model(prepare_model(spec, 'fp16').path)
    with pytest.raises(ModelError, match='is stored in fp16: expected the fp32 file to convert to int8, or prec'):
        int8_of(half, calibration)
    with pytest.raises(SourceError, match='/no-such-folder: no such file or folder'):
        int8_of(spec, replace(calibration, source='/no-such-folder'))


def test_each_image_topic_of_a_bag_is_calibration_data_of_its_own(cache, spec, calibration, tmp_path):
    pytest.importorskip('rosbags.rosbag2')
    given = replace(calibration, source=str(two_topic_bag(tmp_path / 'bag', 48)))
    with pytest.raises(SourceError, match=r'several image topics, choose one by its name .*: /left .*, /right'):
        int8_of(spec, given)
    left, right = (
        int8_of(spec, replace(given, topic=topic)) for topic in ('/left', 'right'))
    assert left.path != right.path and left.calibration_sha256 != right.calibration_sha256
    # The same pictures in a folder are the same data.
    folder = color_folder(tmp_path / 'right', 48, seed=2)
    again = int8_of(spec, replace(calibration, source=str(folder)))
    assert (again.path, again.cached) == (right.path, True)


def test_calibration_is_followed_and_its_warnings_are_passed_on(cache, spec, calibration, tmp_path):
    told = Told()
    few = color_folder(tmp_path / 'few', 30)
    prepared = int8_of(spec, replace(calibration, source=str(few)), told.monitor)
    assert (prepared.precision, prepared.path.parent) == ('int8', cache)
    # A third of 30 frames is held out.
    assert (len(prepared.checking), prepared.record['samples']) == (10, 20)
    assert told.log == [(
        'warning', 'only 20 calibration samples (32 requested): expected 32 or more, of all scenes and lights that the '
        'camera will see')]
    assert (f'reading {few}', 30, 30) in told.progress
    assert 'measuring what int8 costs in each layer' in told.texts


def test_int8_s_other_layers_are_float32_unless_types_are_taken_literally(cache, spec, calibration):
    plain = int8_of(spec, calibration)
    assert kinds_of_weights(plain.path)['shrink.weight'] == 'fp32'
    told = Told()
    literal = strongly_typed_int8_of(spec, calibration, told.monitor)
    assert (literal.path.parent, literal.precision) == (cache, 'int8')
    assert literal.path != plain.path
    kinds = kinds_of_weights(literal.path)
    # The decoding of boxes stays in float32.
    assert (kinds['shrink.weight'], kinds['boxes']) == ('fp16', 'fp32')
    assert read_record(literal.path) == {**read_record(plain.path), 'rest': 'fp16'}
    assert literal.calibration_sha256 == plain.calibration_sha256
    # The gate has the same frames, and no layer was measured again.
    assert [frame.data.tobytes() for frame in literal.checking] == [frame.data.tobytes() for frame in plain.checking]
    assert not any('measuring' in text for text in told.texts)
    again = strongly_typed_int8_of(spec, calibration)
    assert (again.path, again.cached) == (literal.path, True)


def test_an_int8_file_that_somebody_made_is_run_as_it_is(cache, spec, calibration):
    stored = load_model(int8_of(spec, calibration).path)
    told = Told()
    prepared = strongly_typed_int8_of(stored, None, told.monitor)
    assert prepared.path == stored.path
    (severity, text), = told.log
    assert severity == 'info'
    assert '--half-rest' in text
    half = load_model(strongly_typed_int8_of(spec, calibration).path)
    told = Told()
    assert strongly_typed_int8_of(half, None, told.monitor).path == half.path
    assert told.log == []


def test_where_the_rest_cannot_be_halved_it_runs_in_float32_with_a_warning(cache, spec, calibration):
    plain = int8_of(spec, calibration)
    halved = strongly_typed_int8_of(spec, calibration)
    halved.path.unlink()
    lock = cache / f'.{halved.path.stem}.lock'
    lock.unlink()
    lock.mkdir()  # Now the file can be neither found nor made.
    told = Told()
    prepared = strongly_typed_int8_of(spec, calibration, told.monitor)
    assert prepared.path == plain.path
    (severity, text), = told.log
    assert severity == 'warning'
    assert text.startswith("the int8 model's float layers run in float32, which is slower: ")


def test_cancelling_ends_it_and_leaves_nothing(cache, spec, calibration):
    told = Told(lambda text, done, total: told.cancel.set() if 'measuring' in text else None)
    with pytest.raises(EngineError, match=r'int8 of model\.onnx was cancelled while measuring what int8 costs'):
        int8_of(sensitive(spec), calibration, told.monitor)
    assert [path for path in cache.iterdir() if path.suffix != '.lock'] == []
    assert int8_of(sensitive(spec), calibration).path.exists()


def sensitive(spec):
    """Write the detector with a layer that is inaccurate in int8, so the search takes several steps."""
    weights = np.diag([1000.0, 1.0, 1.0]).astype(np.float32)[:, :, None, None]
    return load_model(conv_detector(spec.path, weights_of_first=weights))


def test_a_killed_conversion_leaves_no_file_that_counts(cache, spec, calibration, tmp_path):
    """A process is killed while it measures; the next process does the work again."""
    script = tmp_path / 'convert.py'
    script.write_text(
        'import sys, os, signal\n'
        'from trt_perception.model.spec import load_model\n'
        'from trt_perception.monitor import Monitor\n'
        'from trt_perception.pipeline.options import CalibrationOptions\n'
        'from trt_perception.precision.prepare import prepare_model\n'
        'def progress(text, done, total):\n'
        "    if 'measuring' in text:\n"
        '        os.kill(os.getpid(), signal.SIGKILL)\n'
        'prepare_model(load_model(sys.argv[1]), "int8", CalibrationOptions(sys.argv[2], samples=32, method="mse"),\n'
        '    monitor=Monitor(progress))\n')
    done = subprocess.run(
        [sys.executable, str(script), str(spec.path), calibration.source], check=False, capture_output=True,
        env={**os.environ, 'PYTHONPATH': str(Path(__file__).parents[2])})
    assert done.returncode == -9, done.stderr.decode()
    assert list(cache.glob('*.onnx')) == []
    prepared = int8_of(spec, calibration)
    assert not prepared.cached
    assert load_model(prepared.path).stored_precision == 'int8'


# -- the network in TensorRT, here TensorRT for RTX: strongly typed, and it builds without a GPU

@pytest.fixture
def rtx():
    pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')
    return load_for(TARGET)


def parsed_types(rtx, path):
    """Return layer -> (type, input types, output types) of the network that TensorRT reads from a file.

    Strongly typed, these are the types that the engine computes in.
    """
    builder = rtx.create_builder()
    network = rtx.create_network(builder, TARGET)
    parser = rtx.create_parser(network)
    assert parser.parse_from_file(str(path)), rtx.parser_problems(parser)
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    return {
        layer.name: (
            layer.type.name, [layer.get_input(i).dtype.name for i in range(layer.num_inputs) if layer.get_input(i)],
            [layer.get_output(i).dtype.name for i in range(layer.num_outputs)])
        for layer in layers}


def test_strongly_typed_int8_engines_have_their_float_layers_in_half(cache, spec, calibration, rtx):
    assert rtx.is_strongly_typed(TARGET)
    plain = int8_of(spec, calibration)
    literal = strongly_typed_int8_of(spec, calibration)
    before, after = parsed_types(rtx, plain.path), parsed_types(rtx, literal.path)
    # Without half_rest: float32 around the int8 layers and in the layer that stays in float.
    assert before['shrink'] == ('CONVOLUTION', ['FLOAT'], ['FLOAT'])
    assert before['relu'] == ('ACTIVATION', ['FLOAT'], ['FLOAT'])
    assert after['shrink'] == ('CONVOLUTION', ['HALF'], ['HALF'])
    assert after['relu'] == ('ACTIVATION', ['HALF'], ['HALF'])
    assert after['columns'] == ('CONCATENATION', ['FLOAT', 'FLOAT'], ['FLOAT'])
    # The int8 layers: Q/DQ pairs on both factors, from half and to half.
    for layers, kind in ((before, 'FLOAT'), (after, 'HALF')):
        quantising = [layer for layer in layers.values() if layer[0] == 'QUANTIZE']
        assert len(quantising) == 4
        assert {(layer[1][0], layer[2][0]) for layer in quantising} == {(kind, 'INT8')}
    for prepared in (plain, literal):
        built = build_in_process(build_request(load_model(prepared.path), TARGET))
        assert built.report['strongly_typed']
        assert len(built.plan) > 10_000


def test_the_box_decoder_is_float32_in_an_int8_engine(cache, calibration, rtx, tmp_path):
    spec = load_model(dfl_detector(tmp_path / 'dfl.onnx'))
    prepared = strongly_typed_int8_of(spec, calibration)
    assert prepared.record['int8'] == ['mix', 'back']
    layers = parsed_types(rtx, prepared.path)
    assert layers['dfl'] == ('CONVOLUTION', ['FLOAT'], ['FLOAT'])
    assert layers['softmax'] == ('SOFTMAX', ['FLOAT'], ['FLOAT'])
    # The layers that stay in float, but learned their weights, are halves.
    assert layers['sides'] == layers['shrink'] == ('CONVOLUTION', ['HALF'], ['HALF'])
    assert sum(layer[0] == 'QUANTIZE' for layer in layers.values()) == 4
    built = build_in_process(build_request(load_model(prepared.path), TARGET))
    assert built.report['strongly_typed'] and len(built.plan) > 10_000


def test_the_command_line_builds_the_same_file(cache, spec, calibration, rtx, tmp_path, capsys):
    """`trt_perception build` makes the same engine as the node, before deployment."""
    plan = tmp_path / 'm.plan'
    assert main([
        'build', str(spec.path), '--precision', 'int8', '--calibration', calibration.source,
        '--compute-capability', '8.6', '--optimization-level', '0', '--output', str(plan)]) == 0, capsys.readouterr()
    expected = strongly_typed_int8_of(spec, replace(calibration, samples=64, method='auto'))
    assert expected.cached
    assert json.loads(plan.with_name('m.plan.json').read_text())['key']['model_sha256'] == (
        load_model(expected.path).sha256)


def test_the_command_line_calibrates_as_a_node_with_other_parameters(cache, spec, calibration, rtx, tmp_path, capsys):
    pytest.importorskip('rosbags.rosbag2')
    plan, bag = tmp_path / 'm.plan', str(two_topic_bag(tmp_path / 'bag', 48))
    assert main([
        'build', str(spec.path), '--precision', 'int8', '--calibration', bag, '--topic', '/right', '--samples', '32',
        '--method', 'mse', '--compute-capability', '8.6', '--optimization-level', '0', '--output', str(plan)]) == 0, (
        capsys.readouterr())
    expected = strongly_typed_int8_of(spec, replace(calibration, source=bag, topic='/right'))
    assert expected.cached
    assert json.loads(plan.with_name('m.plan.json').read_text())['key']['model_sha256'] == (
        load_model(expected.path).sha256)


def test_a_model_without_layers_to_quantise_is_refused(cache, tmp_path, calibration):
    helper = onnx.helper
    path = save(
        tmp_path / 'none.onnx',
        [helper.make_node('GlobalAveragePool', ['images'], ['means']), helper.make_node('Flatten', ['means'], ['out'])],
        {'images': (FLOAT, [1, 3, 16, 16])}, {'out': (FLOAT, [1, 3])}, {}, {**METADATA, 'task': 'classify'})
    with pytest.raises(ModelError, match='no convolution or matrix multiplication'):
        int8_of(load_model(path), calibration)


def test_a_file_that_is_there_needs_no_folder_that_can_be_written(cache, spec, calibration):
    made = int8_of(spec, calibration)
    lock, = cache.glob('.*.lock')
    lock.unlink()
    # No file can be opened for writing there, as on a read-only file system.
    lock.mkdir()
    again = int8_of(spec, calibration)
    assert (again.path, again.cached) == (made.path, True)


def test_another_head_is_another_file(cache, spec, calibration, monkeypatch):
    """The head's results decide which layers become int8."""
    made = int8_of(spec, calibration)

    def made_anew(*_):
        raise CalibrationError('made anew')

    monkeypatch.setattr(prepare, 'quantize', made_anew)
    with pytest.raises(CalibrationError, match='made anew'):
        int8_of(replace(spec, head=replace(spec.head, transposed=not spec.head.transposed)), calibration)
    assert int8_of(spec, calibration).path == made.path
