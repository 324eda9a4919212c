# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""int8 files of other programs: weights that saturate, and signed activations as unsigned ones."""

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
from onnx import TensorProto, helper, numpy_helper
from support.int8_graphs import Int8Graph, exact, joined, of_integers

from trt_perception.errors import ModelError
from trt_perception.openvino_runtime.unsigned import joins_signed, make_unsigned
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.ort.saturation import exact_weight_bits, has_wide_weights
from trt_perception.precision import stored_int8
from trt_perception.precision.stored_int8 import sums_saturate


def sum_of_products(path, activation, weight):
    """Write a QLinearConv whose exact result is 200 for uint8 and 100 for int8; returns the input and the result."""
    kind, result = (np.uint8, 200) if activation > 127 else (np.int8, 100)
    shape, count = [1, 32, 4, 4], 32
    constants = {
        'one': np.float32(1), 'none': kind(0), 'weights': np.full((count, count, 1, 1), weight, np.int8),
        'zero': np.int8(0), 'scale': np.float32(count * activation * weight / result)}
    onnx_type = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    model = helper.make_model(helper.make_graph(
        [helper.make_node('QLinearConv', ['x', 'one', 'none', 'weights', 'one', 'zero', 'scale', 'none'], ['y'])],
        'sum', [helper.make_tensor_value_info('x', onnx_type, shape)],
        [helper.make_tensor_value_info('y', onnx_type, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]),
        opset_imports=[helper.make_opsetid('', 13)])
    model.ir_version = 8
    onnx.save(model, str(path))
    return np.full(shape, activation, kind), result


@pytest.mark.parametrize('activation, weight', [(255, 127), (255, 64), (127, 127), (127, 64)])
def test_sums_of_products_are_exact(tmp_path, activation, weight):
    """On a CPU without VNNI, 255 * 127 gave 101 in place of 200."""
    path = tmp_path / 'sum.onnx'
    tensor, expected = sum_of_products(path, activation, weight)
    needed = sums_saturate(path, 'int8')
    assert needed == (weight > 64 and exact_weight_bits() < 8)
    with OnnxRuntimeBackend(path, 1, exact_sums=needed) as backend:
        assert np.unique(backend.infer('x', tensor)['y']) == [expected]


def test_layers_that_refuse_exact_sums_run_without(tmp_path, monkeypatch):
    """ONNX Runtime has no such instructions for int8 by int8 where uint8 by int8 saturates; they are exact."""
    path = tmp_path / 'sum.onnx'
    tensor, expected = sum_of_products(path, 127, 127)
    backend = OnnxRuntimeBackend(path, 1, exact_sums=True)
    load, asked = backend._load, []

    def refuses():
        asked.append(backend.exact_sums)
        if backend.exact_sums:
            raise ModelError('no kernel')
        load()

    monkeypatch.setattr(backend, '_load', refuses)
    with backend:
        assert asked == [True, False] and not backend.exact_sums
        assert np.unique(backend.infer('x', tensor)['y']) == [expected]


def test_a_float_file_is_not_read(tmp_path):
    assert not sums_saturate(tmp_path / 'missing.onnx', 'fp32')


@pytest.mark.parametrize('largest, kind, wide', [
    (64, np.int8, False), (-64, np.int8, False), (65, np.int8, True), (-128, np.int8, True), (255, np.uint8, False)])
@pytest.mark.parametrize('place', ['initializer', 'Constant'])
def test_wide_weights(largest, kind, wide, place):
    weights = np.zeros((4, 3, 1, 1), kind)
    weights[2, 1] = largest
    assert has_wide_weights(with_weights(weights, place)) == wide


@pytest.mark.parametrize('scales, axis, wide', [
    (1 / 127, None, True), (1 / 64, None, False), ([1 / 64] * 8, 0, False), ([1 / 64] * 7 + [1 / 65], 0, True),
    ([1 / 64] * 8, 1, False), ([1 / 64] * 7 + [1 / 65], 1, True)])
def test_weights_that_the_graph_quantises(scales, axis, wide):
    """All are 1, but the last output channel is the half, so its scale may be half as large."""
    graph = Int8Graph()
    weights = np.ones((8, 8, 3, 3), np.float32)
    if axis == 0 and not wide:
        weights[-1], scales = 0.5, [*scales[:-1], scales[-1] / 2]
    rule = graph.constant(scales, np.float32), graph.constant(np.zeros(np.shape(scales)), np.int8)
    where = {} if axis is None else {'axis': axis}
    integers = graph.node('QuantizeLinear', graph.constant(weights), *rule, **where)
    model = graph.model(graph.node(
        'Conv', graph.rounded('x'), graph.node('DequantizeLinear', integers, *rule, **where), pads=[1] * 4))
    assert has_wide_weights(model) == wide
    # A vector of integers is a zero point, a scale or a bias.
    assert not has_wide_weights(with_weights(np.full(4, 127, np.int8), 'initializer'))


def with_weights(weights, place):
    tensor = numpy_helper.from_array(weights, 'w')
    nodes = [helper.make_node('Identity', ['w'], ['y'])]
    if place == 'Constant':
        nodes.insert(0, helper.make_node('Constant', [], ['w'], value=tensor))
    return helper.make_model(helper.make_graph(
        nodes, 'w', [], [helper.make_tensor_value_info('y', tensor.data_type, weights.shape)],
        [tensor] if place == 'initializer' else []))


def test_unsigned_activations_mean_the_same():
    model = joined(np.int8)
    before = exact(model)
    assert joins_signed(model)
    make_unsigned(model)
    onnx.checker.check_model(model)
    assert not joins_signed(model)
    np.testing.assert_array_equal(exact(model), before)
    zeros = {tensor.name: tensor for tensor in model.graph.initializer}
    quantised = [node for node in model.graph.node if node.op_type == 'QuantizeLinear']
    assert [numpy_helper.to_array(zeros[node.input[2]]).item() for node in quantised] == [128, 128]
    # Weights stay int8.
    assert sum(t.data_type == TensorProto.INT8 and len(t.dims) == 4 for t in model.graph.initializer) == 3


def test_other_zero_points_and_a_missing_one_move_too():
    """Each reader has its own zero point; without one it is 0."""
    graph = Int8Graph()
    scale = graph.constant(0.05, np.float32)
    integers = graph.node('QuantizeLinear', 'x', scale, graph.constant(-100, np.int8))
    first = graph.node('DequantizeLinear', integers, scale, graph.constant(-100, np.int8))
    second = graph.node('DequantizeLinear', integers, scale)
    model = graph.model(graph.convolved(graph.node('Concat', first, second, axis=1), 16))
    before = exact(model)
    make_unsigned(model)
    assert not joins_signed(model)
    np.testing.assert_array_equal(exact(model), before)


def test_a_type_that_an_attribute_says_since_opset_21():
    graph = Int8Graph()
    scale = graph.constant(0.05, np.float32)
    integers = graph.node('QuantizeLinear', 'x', scale, output_dtype=TensorProto.INT8)
    read = graph.node('DequantizeLinear', integers, scale)
    model = graph.model(graph.convolved(graph.node('Concat', read, read, axis=1), 16), opset=21)
    before = exact(model)
    make_unsigned(model)
    onnx.checker.check_model(model)
    assert not joins_signed(model)
    np.testing.assert_array_equal(exact(model), before)


def test_integers_that_something_else_reads_stay_signed():
    graph = Int8Graph()
    scale, zero = graph.constant(0.05, np.float32), graph.constant(0, np.int8)
    integers = graph.node('QuantizeLinear', 'x', scale, zero)
    read = graph.node('DequantizeLinear', integers, scale, zero)
    number = graph.node('Cast', integers, to=TensorProto.FLOAT)
    model = graph.model(graph.convolved(graph.node('Concat', read, number, axis=1), 16))
    before = model.SerializeToString()
    make_unsigned(model)
    assert model.SerializeToString() == before and joins_signed(model)


@pytest.mark.parametrize('model, bits, expected', [
    (joined(np.int8, 7), 7, stored_int8.OpenVinoInt8(unsigned=True)),
    (joined(np.int8), 8, stored_int8.OpenVinoInt8(unsigned=True)),
    (joined(np.uint8), 8, stored_int8.OpenVinoInt8()),
    (joined(np.uint8), 7, stored_int8.OpenVinoInt8(in_float=stored_int8._SATURATES)),
    (joined(np.int8), 7, stored_int8.OpenVinoInt8(in_float=stored_int8._SATURATES)),
    (of_integers(np.uint8), 8, stored_int8.OpenVinoInt8(in_float=stored_int8._LAYERS)),
], ids=['7 bits', 'signed', 'unsigned', 'unsigned saturates', 'signed saturates', 'integers'])
def test_what_openvino_gets(tmp_path, monkeypatch, model, bits, expected):
    """The CPU is told to be another one."""
    class Spec:
        path, file_format, stored_precision = tmp_path / 'm.onnx', 'onnx', 'int8'

    onnx.save(model, str(Spec.path))
    monkeypatch.setattr(stored_int8, 'exact_weight_bits', lambda: bits)
    assert stored_int8.for_openvino(Spec) == expected
    Spec.stored_precision = 'fp32'
    assert stored_int8.for_openvino(Spec) == stored_int8.OpenVinoInt8()


def test_external_data_is_not_made_unsigned(tmp_path, monkeypatch):
    class Spec:
        path, file_format, stored_precision = tmp_path / 'm.onnx', 'onnx', 'int8'

    onnx.save(
        joined(np.int8, 7), str(Spec.path), save_as_external_data=True, location='m.data', size_threshold=100)
    assert stored_int8.for_openvino(Spec).in_float == stored_int8._JOINS
