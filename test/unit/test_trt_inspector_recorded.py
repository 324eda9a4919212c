# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The inspector's JSON of real engines, from test/data/tensorrt_inspector; the expected values come from it."""

from dataclasses import asdict
from pathlib import Path

import pytest

from trt_perception.backends.tensorrt.library.inspector import (
    layers_from_records,
    parse_layers,
    precision_shortfall,
    summarize,
)

RECORDINGS = Path(__file__).parents[1] / 'data' / 'tensorrt_inspector'
# The detector's convolutions: 3 -> 32 channels, 8x8, stride 8; 32 -> 32, 3x3; 32 -> 25, 1x1; outputs are 40x40.
DETECTOR_WORK = [40 * 40 * 32 * 3 * 64, 40 * 40 * 32 * 32 * 9, 40 * 40 * 25 * 32]


def recorded(name):
    return parse_layers((RECORDINGS / f'8.6.0-{name}.json').read_text())


def fused(layers):
    """Return the ONNX nodes of each layer that was fused from several."""
    return [layer.onnx_nodes for layer in layers if len(layer.onnx_nodes) > 1]


@pytest.mark.parametrize('name, layers, nodes', [
    # All nodes of the file except Split, whose slices the next layers read; the fp16 files also have casts.
    ('fp32', 13, 13), ('all_fp16', 13, 15), ('fp16', 18, 16), ('int8', 5, 5)])
def test_all_layers_and_nodes_are_found(name, layers, nodes):
    found = recorded(name)
    assert len(found) == layers
    assert len({node for layer in found for node in layer.onnx_nodes}) == nodes


@pytest.mark.parametrize('name, groups', [
    ('fp32', [('node_of_c0', 'node_of_r0'), ('node_of_c1', 'node_of_r1'),
              ('node_of_centred', 'node_of_moved', 'node_of_centres')]),
    # All in float16: the sigmoid too is fused with the convolution before it.
    ('all_fp16', [('Conv_0', 'Relu_1'), ('Conv_2', 'Relu_3'), ('Conv_4', 'Sigmoid_5'), ('Sub_8', 'Mul_9', 'Add_10')]),
    # Here the sigmoid is in float32, so it is a separate layer.
    ('fp16', [('Conv_0', 'Relu_1'), ('Conv_2', 'Relu_3'), ('Sub_8', 'Mul_9', 'Add_10')]),
    ('int8', [])])
def test_which_nodes_became_one_kernel(name, groups):
    assert fused(recorded(name)) == groups


@pytest.mark.parametrize('name, kinds', [('fp32', ['fp32'] * 3), ('all_fp16', ['fp16'] * 3), ('fp16', ['fp16'] * 3)])
def test_the_detectors_convolutions(name, kinds):
    layers = [layer for layer in recorded(name) if layer.kind == 'CaskConvolution']
    assert [layer.compute_type for layer in layers] == kinds
    assert [layer.multiply_accumulates for layer in layers] == DETECTOR_WORK
    assert [layer.weights for layer in layers] == [32 * 3 * 64, 32 * 32 * 9, 25 * 32]
    assert [layer.outputs[0].shape for layer in layers] == [(1, 32, 40, 40), (1, 32, 40, 40), (1, 25, 40, 40)]
    assert layers[1].tactic.startswith('sm80_xmma_fprop_')


@pytest.mark.parametrize('name, counts, work, effective', [
    ('fp32', {'fp32': 6}, {'fp32': sum(DETECTOR_WORK)}, 'fp32'),
    ('all_fp16', {'fp16': 5}, {'fp16': sum(DETECTOR_WORK)}, 'fp16'),
    # Sigmoid, centres and extents are in float32, without matrix multiplications.
    ('fp16', {'fp16': 3, 'fp32': 3}, {'fp16': sum(DETECTOR_WORK)}, 'fp16'),
    # 3 -> 64 channels in float32 and 64 -> 64 in int8, both 3x3 at 64x64; the pooling in float32.
    ('int8', {'int8': 1, 'fp32': 2}, {'int8': 64 * 64 * 64 * 64 * 9, 'fp32': 64 * 64 * 64 * 3 * 9}, 'int8')])
def test_layers_and_arithmetic_by_type(name, counts, work, effective):
    summary = summarize(recorded(name))
    assert summary.layers == counts
    assert summary.multiply_accumulates == work
    assert summary.precision_effective == effective
    assert precision_shortfall(effective, summary) == ''


def test_the_shares():
    assert summarize(recorded('all_fp16')).share('fp16') == 1.0
    fp16 = summarize(recorded('fp16'))
    assert (fp16.share('fp16'), fp16.share('fp32')) == (1.0, 0.0)
    int8 = summarize(recorded('int8'))
    assert int8.share('int8') == pytest.approx(64 / 67)
    assert int8.text() == 'int8 (95.5 %, 1 layers), fp32 (4.48 %, 2 layers)'


def test_an_engine_without_the_requested_precision():
    assert precision_shortfall('fp16', summarize(recorded('fp32'))) == (
        'fp16 was requested, but the engine runs mostly in fp32: fp32 (100 %, 6 layers)')
    assert precision_shortfall('int8', summarize(recorded('fp16'))).startswith('int8 was requested, but')
    # With one float16 layer the engine is not fp32.
    assert precision_shortfall('fp32', summarize(recorded('fp16'))).startswith('fp32 was requested, but')


def test_the_int8_layer():
    heavy, = [layer for layer in recorded('int8') if layer.compute_type == 'int8']
    # The name also contains the constant whose DequantizeLinear TensorRT folded.
    assert (heavy.name, heavy.onnx_nodes) == ('w + heavy', ('heavy',))
    assert (heavy.inputs[0].dtype, heavy.outputs[0].dtype) == ('int8', 'fp32')
    assert heavy.weights == 64 * 64 * 3 * 3
    assert '_i8i32_' in heavy.tactic


def test_layers_that_only_move_data():
    layers = {layer.name: layer for layer in recorded('fp16')}
    quantize = {layer.name: layer for layer in recorded('int8')}['node_of_q']
    moving = [
        quantize, layers['graph_input_cast0'], layers['Sigmoid_5_input_cast0'], layers['Transpose_13'],
        layers['Reshape_6'], layers['Add_10_output_cast_0 copy']]
    assert [layer.compute_type for layer in moving] == [''] * 6
    assert (quantize.inputs[0].dtype, quantize.outputs[0].dtype) == ('fp32', 'int8')
    cast = layers['graph_input_cast0']
    assert (cast.inputs[0].dtype, cast.outputs[0].dtype) == ('fp32', 'fp16')
    # Layers that TensorRT added belong to no node; a copy is part of its Concat.
    assert layers['Reformatting CopyNode for Input Tensor 0 to Conv_2 + Relu_3'].onnx_nodes == ()
    assert layers['Add_10_output_cast_0 copy'].onnx_nodes == ('Concat_12',)


@pytest.mark.parametrize('name', ['fp32', 'fp16', 'all_fp16'])
def test_a_constant_is_not_a_node(name):
    constant, = [layer for layer in recorded(name) if layer.kind == 'Constant']
    assert (constant.name, constant.onnx_nodes, constant.compute_type) == ('grid', (), '')


@pytest.mark.parametrize('name', ['fp32', 'fp16', 'all_fp16', 'int8'])
def test_recorded_layers_survive_the_sidecar(name):
    layers = recorded(name)
    assert layers_from_records([asdict(layer) for layer in layers]) == layers
