# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""int8 in the form for OpenVINO: what is quantised, with which numbers, and what it means."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
from support.int8_forms import insert, seen_by
from support.precision_models import color_folder, color_frames
from support.silu_model import silu_detector

from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.ort.saturation import exact_weight_bits, has_wide_weights
from trt_perception.pipeline.options import CalibrationOptions
from trt_perception.precision import graph, quantizer
from trt_perception.precision.form import made_for_other_runtimes
from trt_perception.precision.openvino_form import OpenVinoForm
from trt_perception.precision.prepare import ConversionOptions, prepare_model
from trt_perception.precision.simulation import SimulationBackend

LAYERS = ['mix', 'back', 'twin', 'join']
INPUTS = {'mix': 'images', 'back': 'silu', 'twin': 'same', 'join': 'both'}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


@pytest.fixture
def spec(tmp_path):
    return load_model(silu_detector(tmp_path / 'model.onnx'))


@pytest.fixture
def model(spec):
    return quantizer.prepared(graph.load_model(spec.path), spec.path.name)


@pytest.fixture
def seen(spec, model):
    return seen_by(OpenVinoForm(), spec, model, LAYERS)


def inserted(model, seen, bits=8):
    result = insert(OpenVinoForm(bits), model, seen, LAYERS)
    return result, {tensor.name: numpy_helper.to_array(tensor) for tensor in result.graph.initializer}


def test_only_the_inputs_of_layers_are_quantised(model, seen):
    assert {node.name: node.input[0] for node in model.graph.node if node.name in LAYERS} == INPUTS
    assert OpenVinoForm().tensors(model, LAYERS) == sorted(set(INPUTS.values()))
    result, constants = inserted(model, seen)
    made = {name: node for node in result.graph.node for name in node.output}
    quantised = [node for node in result.graph.node if node.op_type == 'QuantizeLinear']
    # Each layer has its own pair.
    assert sorted(node.input[0] for node in quantised) == sorted(INPUTS.values())
    for node in result.graph.node:
        if node.name in LAYERS:
            pixels, weights = (made[name] for name in node.input[:2])
            assert made[pixels.input[0]].input[0] == INPUTS[node.name]
            assert constants[weights.input[0]].dtype == np.int8
            # A bias is float.
            assert all(constants[name].dtype == np.float32 for name in node.input[2:])


def test_activations_have_a_range_of_their_own_with_a_zero_point(model, seen):
    assert seen['silu'].lowest < -0.2
    result, constants = inserted(model, seen)
    for node in result.graph.node:
        if node.op_type == 'QuantizeLinear':
            scale, zero = (constants[name] for name in node.input[1:])
            assert zero.dtype == np.uint8
            histogram = seen[node.input[0]]
            assert -float(zero * scale) == pytest.approx(histogram.lowest, abs=float(scale))
            assert float((255 - zero) * scale) == pytest.approx(histogram.highest, abs=float(scale))


@pytest.mark.parametrize('bits, largest', [(8, 127), (7, 64)])
def test_weights_have_as_many_bits_as_are_exact(model, seen, bits, largest):
    result, constants = inserted(model, seen, bits)
    weights = [
        constants[node.input[0]] for node in result.graph.node
        if node.op_type == 'DequantizeLinear' and node.input[0] in constants]
    assert [np.abs(values.astype(int)).max() for values in weights] == [largest] * len(LAYERS)
    assert has_wide_weights(result) == (bits == 8)


def test_the_results_are_those_of_exact_rounding_and_near_those_of_fp32(tmp_path, spec, model, seen):
    result, _ = inserted(model, seen, exact_weight_bits())
    onnx.save(result, tmp_path / 'int8.onnx')
    simulated = SimulationBackend(result)
    picture = np.stack(list(color_frames(1, seed=3))).transpose(0, 3, 1, 2).astype(np.float32) / 255
    with OnnxRuntimeBackend(tmp_path / 'int8.onnx') as real, OnnxRuntimeBackend(spec.path) as plain:
        simulated.open()
        found, expected, exact = (one.infer('images', picture)['output0'] for one in (real, simulated, plain))
        simulated.close()
    assert np.abs(found - expected).max() < 1e-3
    assert 0 < np.abs(found[0, 4:] - exact[0, 4:]).max() < 0.04
    assert exact[0, 4:].max() > 0.4


def test_the_file_has_its_own_name(tmp_path, spec):
    calibration = CalibrationOptions(str(color_folder(tmp_path / 'images', 40)), samples=24, method='minmax')
    usual = prepare_model(spec, 'int8', calibration)
    made = prepare_model(spec, 'int8', calibration, conversion=ConversionOptions(form='openvino'))
    assert (made.record['form'], made.record['weight_bits']) == ('openvino', exact_weight_bits())
    assert made.path.name.startswith('model-int8-openvino-')
    assert usual.path != made.path
    assert made_for_other_runtimes(made.path)
    again = prepare_model(spec, 'int8', calibration, conversion=ConversionOptions(form='openvino'))
    assert (again.path, again.cached) == (made.path, True)
