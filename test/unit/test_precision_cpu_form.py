# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""int8 in the form for CPUs, on ONNX Runtime: what is quantised, what runs in int8, and that it finds the same."""

import platform
from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
from support.int8_forms import insert, seen_by
from support.precision_models import color_folder, color_frames
from support.recording_monitor import Told
from support.silu_model import silu_detector

from trt_perception.backends.create import create_pipeline
from trt_perception.errors import EngineError
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.ort.saturation import exact_weight_bits
from trt_perception.pipeline.options import CalibrationOptions, PipelineOptions
from trt_perception.precision import form, graph, quantizer, stored_int8
from trt_perception.precision.cpu_form import CpuForm, carriers
from trt_perception.precision.executed import Executed, executed
from trt_perception.precision.form import made_for_other_runtimes
from trt_perception.precision.prepare import ConversionOptions, prepare_model
from trt_perception.precision.simulation import SimulationBackend

LAYERS = ['mix', 'back', 'twin', 'join']
BETWEEN = ['sigmoid', 'mul', 'leaky', 'add', 'pool', 'resize', 'concat']


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture
def spec(tmp_path):
    return load_model(silu_detector(tmp_path / 'model.onnx'))


@pytest.fixture
def int8(tmp_path):
    """Options; strict, so that int8 runs although such a small model is faster in fp32."""
    return PipelineOptions(
        'onnxruntime', 'int8', num_threads=1, strict_precision=True,
        calibration=CalibrationOptions(str(color_folder(tmp_path / 'images', 40)), samples=24, method='minmax'))


@pytest.fixture
def model(spec):
    return quantizer.prepared(graph.load_model(spec.path), spec.path.name)


@pytest.fixture
def seen(spec, model):
    return seen_by(CpuForm(), spec, model, LAYERS)


def inserted(model, seen, layers=LAYERS, bits=8):
    return insert(CpuForm(bits), model, seen, layers)


def test_operators_between_int8_layers_are_int8_too(model):
    assert carriers(model, LAYERS) == BETWEEN
    # Behind the last int8 layer, and from a layer in float, nothing is.
    assert carriers(model, ['back', 'join']) == ['add', 'pool', 'resize', 'concat']
    assert carriers(model, ['back']) == []
    assert carriers(model, ['mix']) == []
    assert CpuForm().tensors(model, ['back', 'join']) == [
        'silu', 'same', 'twin', 'double', 'small', 'large', 'both', 'joined']


def test_each_tensor_has_a_range_of_its_own_with_a_zero_point(model, seen):
    result = inserted(model, seen)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.graph.initializer}
    ranges = {}
    for node in result.graph.node:
        if node.op_type == 'QuantizeLinear':
            scale, zero = (constants[name] for name in node.input[1:])
            assert zero.dtype == np.uint8
            ranges[node.input[0]] = (-float(zero * scale), float((255 - zero) * scale))
    # Pixels are 0..1, colours at least 0, and mixed has both signs. The step of a range is 1/255 of it.
    assert ranges['images'] == pytest.approx((0.0, seen['images'].highest), abs=0.01)
    assert ranges['mixed'] == pytest.approx((seen['mixed'].lowest, seen['mixed'].highest), abs=0.04)
    assert ranges['gate'] == pytest.approx((0.0, seen['gate'].highest), abs=0.01)
    assert ranges['silu'] == pytest.approx((seen['silu'].lowest, seen['silu'].highest), abs=0.02)
    assert ranges['silu'][0] < -0.2
    assert not {'scores', 'output0'} & ranges.keys()
    # Pooling and upsampling move values, so they keep the range of what they read.
    assert ranges['small'] == ranges['large'] == ranges['double']


def test_values_that_a_silu_makes_0_get_no_steps(model, seen):
    seen['mixed'].lowest = -40.0
    seen['mixed'].highest = seen['mixed'].maximum = 40.0
    result = inserted(model, seen)
    (node,) = [node for node in result.graph.node if node.op_type == 'QuantizeLinear' and node.input[0] == 'mixed']
    scale, zero = (numpy_helper.to_array(tensor) for name in node.input[1:]
                   for tensor in result.graph.initializer if tensor.name == name)
    assert (float(scale), int(zero)) == (pytest.approx(48 / 255), round(8 * 255 / 48))


@pytest.mark.parametrize('bits, largest', [(8, 127), (7, 64)])
def test_weights_have_as_many_bits_as_are_exact(model, seen, bits, largest):
    result = inserted(model, seen, bits=bits)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in result.graph.initializer}
    weights = [
        constants[node.input[0]] for node in result.graph.node
        if node.op_type == 'DequantizeLinear' and constants.get(node.input[0], np.empty(0)).dtype == np.int8]
    assert [np.abs(values.astype(int)).max() for values in weights] == [largest] * len(LAYERS)
    # Activations keep 8 bits.
    zeros = [constants[node.input[2]] for node in result.graph.node if node.op_type == 'QuantizeLinear']
    assert {zero.dtype for zero in zeros} == {np.dtype(np.uint8)}


def test_int8_arithmetic_is_that_of_the_simulation(tmp_path, model, seen):
    """With as many bits as are exact on this CPU; a simulation computes each rounding literally."""
    result = inserted(model, seen, bits=exact_weight_bits())
    path = tmp_path / 'int8.onnx'
    onnx.save(result, path)
    real, simulated = OnnxRuntimeBackend(path), SimulationBackend(result)
    picture = np.stack(list(color_frames(1, seed=3))).transpose(0, 3, 1, 2).astype(np.float32) / 255
    with real:
        simulated.open()
        found, expected = real.infer('images', picture), simulated.infer('images', picture)
        simulated.close()
    difference = np.abs(found['output0'] - expected['output0'])
    # A cell's mean hides the rounding of single pixels by one step in each of four layers.
    assert difference.max() < 0.01
    assert expected['output0'][0, 4:].max() > 0.4


def test_the_pipeline_runs_int8_kernels_and_finds_the_same_boxes(spec, int8):
    told = Told()
    frames = [Frame.from_bgr(picture) for picture in color_frames(6, seed=9)]
    plain_options = PipelineOptions('onnxruntime', 'fp32', num_threads=1)
    with create_pipeline(spec, plain_options) as plain, create_pipeline(spec, int8, monitor=told.monitor) as pipeline:
        described = pipeline.describe()
        for frame in frames:
            expected, found = plain.run(frame).result, pipeline.run(frame).result
            order, other = np.lexsort(expected.boxes.T), np.lexsort(found.boxes.T)
            np.testing.assert_array_equal(found.boxes[other], expected.boxes[order])
            np.testing.assert_array_equal(found.class_indices[other], expected.class_indices[order])
            assert np.abs(found.scores[other] - expected.scores[order]).max() < 0.03
    assert described['precision_effective'] == 'int8'
    # Multiplications at 64x64: mix and back 18 a pixel, twin 9, join 18 (int8); shrink 9 a pixel (float).
    assert described['execution_types'] == 'int8 (87.5 % of the arithmetic, 4 layers), fp32 (12.5 %, 1 layers)'
    assert described['agreement'].startswith('agreement 1.000')

    backend = OnnxRuntimeBackend(pipeline.spec.path, inspected=True)
    with backend:
        kinds = Counter(backend.operators.values())
    expected_kinds = {
        'QLinearConv': 4, 'QLinearSigmoid': 1, 'QLinearMul': 1, 'QLinearLeakyRelu': 1, 'QLinearAdd': 1,
        'QLinearConcat': 1, 'QuantizeLinear': 1, 'Resize': 1}
    assert {kind: kinds[kind] for kind in expected_kinds} == expected_kinds
    assert not {'Sigmoid', 'Mul', 'Add', 'LeakyRelu'} & kinds.keys()


def test_the_form_for_tensorrt_runs_in_float_and_says_so(spec, int8):
    """ONNX Runtime rounds to int8 there, but multiplies in float.

    On ARM it multiplies in int8 where the result of a layer is the input of an int8 layer, here `back`: only there does
    it take tensors of int8, not only of uint8 (QDQIsInt8Allowed in its source).
    """
    types = 'fp32 (100 % of the arithmetic, 5 layers)'
    if platform.machine() in ('aarch64', 'arm64'):
        types = 'fp32 (75 % of the arithmetic, 4 layers), int8 (25 %, 1 layers)'
    stored = load_model(prepare_model(spec, 'int8', int8.calibration).path)
    told = Told()
    loose = replace(int8, strict_precision=False, min_agreement=0.0)
    with create_pipeline(stored, loose, monitor=told.monitor) as pipeline:
        described = pipeline.describe()
    assert described['precision_effective'] == 'fp32'
    assert described['execution_types'] == types
    assert told.log == [(
        'info', f'ONNX Runtime rounds {stored.path.name} to int8, but computes mostly in fp32: {types}; for int8 '
        'make a file with trt_perception quantize --form cpu')]
    with pytest.raises(EngineError, match=r'ONNX Runtime would run .* in fp32; strict_precision is set'):
        create_pipeline(stored, int8).open()


def test_each_form_is_a_file_of_its_own(spec, int8):
    usual = prepare_model(spec, 'int8', int8.calibration)
    cpu = prepare_model(spec, 'int8', int8.calibration, conversion=ConversionOptions(form='cpu'))
    assert 'form' not in usual.record
    assert (cpu.record['form'], cpu.record['weight_bits']) == ('cpu', exact_weight_bits())
    assert cpu.path.name.startswith('model-int8-cpu-')
    assert usual.path.name.startswith('model-int8-')
    assert usual.path != cpu.path
    assert [made_for_other_runtimes(path) for path in (usual.path, cpu.path, spec.path)] == [True, False, False]
    for name, first in (('tensorrt', usual), ('cpu', cpu)):
        again = prepare_model(spec, 'int8', int8.calibration, conversion=ConversionOptions(form=name))
        assert (again.path, again.cached) == (first.path, True)


@pytest.mark.parametrize('bits, lines', [(8, 1), (7, 0)])
def test_a_file_with_weights_that_saturate_here_runs_with_exact_sums(spec, int8, monkeypatch, bits, lines):
    """The CPU is told to be another one; whether it saturates is measured in ort/saturation.py."""
    monkeypatch.setattr(form, 'exact_weight_bits', lambda: bits)
    prepared = prepare_model(spec, 'int8', int8.calibration, conversion=ConversionOptions(form='cpu'))
    assert prepared.record['weight_bits'] == bits
    monkeypatch.setattr(stored_int8, 'exact_weight_bits', lambda: 7)
    told = Told()
    stored, plain = load_model(prepared.path), create_pipeline(spec, replace(int8, precision='fp32'))
    with plain, create_pipeline(stored, replace(int8, min_agreement=0.0), monitor=told.monitor) as pipeline:
        assert pipeline._backend.exact_sums == (bits == 8)
        for picture in color_frames(4, seed=7):
            frame = Frame.from_bgr(picture)
            np.testing.assert_array_equal(
                np.sort(pipeline.run(frame).result.class_indices), np.sort(plain.run(frame).result.class_indices))
    assert not told.warnings
    assert sum('has int8 weights of 8 bits. With the fast instructions' in text for _, text in told.log) == lines


def test_layers_without_names_are_counted(tmp_path, spec, int8):
    """A file of another program need not have names."""
    path = prepare_model(spec, 'int8', int8.calibration, conversion=ConversionOptions(form='cpu')).path
    proto = onnx.load(str(path))
    for node in proto.graph.node:
        node.name = ''
    onnx.save(proto, str(tmp_path / 'nameless.onnx'))
    operators = {'a': 'QLinearConv', 'b_token_7': 'QLinearConv', 'c': 'Conv', 'd': 'Relu'}
    assert executed(tmp_path / 'nameless.onnx', operators) == Executed(2, 3, 2 / 3)
    assert executed(path, {}).precision_effective == ''
