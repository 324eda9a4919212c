# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The spellings of TensorRT 8.6, 10 and 11, in the inspector's format."""

import json
from dataclasses import asdict

import pytest

from trt_perception.backends.tensorrt.library.inspector import (
    layers_from_records,
    parse_layers,
    precision_shortfall,
    summarize,
)
from trt_perception.errors import EngineError


def tensor(name, shape, layout):
    return {'Name': name, 'Location': 'Device', 'Dimensions': shape, 'Format/Datatype': layout}


def convolution(name, layout, channels=(16, 32), tactic='', metadata='', groups=1):
    return {
        'Name': name, 'LayerType': 'CaskConvolution', 'Inputs': [tensor('x', [1, channels[0], 20, 20], layout)],
        'Outputs': [tensor('y', [1, channels[1], 10, 10], layout)], 'ParameterType': 'Convolution', 'Kernel': [3, 3],
        'OutMaps': channels[1], 'Groups': groups, 'Weights': {'Type': 'Half', 'Count': 4608},
        'Bias': {'Type': 'Half', 'Count': 32}, 'TacticName': tactic, 'Metadata': metadata}


def parsed(*layers, **kwargs):
    return parse_layers(json.dumps({'Layers': list(layers), 'Bindings': ['images', 'output0']}), **kwargs)


def test_a_convolution_reports_everything():
    layer, = parsed(convolution(
        'conv + relu', 'Channel major FP16 format where channel % 8 == 0', tactic='sm80_xmma_fprop_f16',
        metadata='[ONNX Layer: /conv/Conv]\x1e[ONNX Layer: /relu/Relu]\x1f[ONNX Layer: /relu/Relu]'))
    assert layer.onnx_nodes == ('/conv/Conv', '/relu/Relu')
    assert (layer.kind, layer.tactic, layer.compute_type) == ('CaskConvolution', 'sm80_xmma_fprop_f16', 'fp16')
    assert layer.weights == 4640
    assert layer.multiply_accumulates == 10 * 10 * 32 * 16 * 9
    assert (layer.inputs[0].shape, layer.inputs[0].dtype, layer.outputs[0].name) == ((1, 16, 20, 20), 'fp16', 'y')


def test_groups_divide_the_work():
    layer, = parsed(convolution('depthwise', 'Half', channels=(32, 32), groups=32))
    assert layer.multiply_accumulates == 10 * 10 * 32 * 9


def test_a_deconvolution_works_per_input_element():
    entry = convolution('up', 'Half', channels=(16, 8))
    entry.update(ParameterType='Deconvolution', LayerType='CaskDeconvolution', Kernel=[2, 2])
    assert parsed(entry)[0].multiply_accumulates == 16 * 20 * 20 * 8 * 4


def test_raw_control_characters_are_read():
    text = '{"Layers": [{"Name": "a", "Metadata": "[ONNX Layer: p]\x1f[ONNX Layer: q]"}], "Bindings": []}'
    with pytest.raises(ValueError, match='control character'):
        json.loads(text)
    assert parse_layers(text)[0].onnx_nodes == ('p', 'q')


@pytest.mark.parametrize('layout, dtype', [
    ('Row major linear FP32', 'fp32'), ('Row major linear FP16 format', 'fp16'),
    ('Thirty-two wide channel vectorized row major Int8 format.', 'int8'), ('Row major linear INT32', 'int32'),
    ('Channel major FP16 format where channel % 8 == 0', 'fp16'), ('Float', 'fp32'), ('Half', 'fp16'),
    ('Int8', 'int8'), ('BFloat16', 'bf16'), ('Bool', 'bool'), ('Int64', 'int64'), ('FP8', 'fp8'), ('', '')])
def test_types_are_read_in_all_spellings(layout, dtype):
    layer, = parsed({'Name': 'n', 'LayerType': 'kgen', 'Inputs': [tensor('x', [1], layout)], 'Outputs': []})
    assert layer.inputs[0].dtype == dtype


def test_type_and_format_may_be_two_fields():
    layer, = parsed({'Name': 'n', 'LayerType': 'gemm', 'Inputs': [
        {'Name': 'x', 'Dimensions': [1], 'Datatype': 'Half', 'Format': 'Row major linear'}], 'Outputs': []})
    assert layer.compute_type == 'fp16'


def test_tf32_is_read_from_the_tactic():
    layer, = parsed(convolution('c', 'Row major linear FP32', tactic='sm80_xmma_fprop_tf32f32_tf32f32_f32_nhwckrsc'))
    assert layer.compute_type == 'tf32'
    assert precision_shortfall('fp32', summarize([layer])).startswith('fp32 was requested, but the engine runs in tf32')


def test_the_type_is_that_of_the_inputs():
    """An int8 convolution may write float16."""
    entry = convolution('c', 'Thirty-two wide channel vectorized row major Int8 format')
    entry['Outputs'][0]['Format/Datatype'] = 'Row major linear FP16 format'
    assert parsed(entry)[0].compute_type == 'int8'


def test_layers_that_move_data_compute_nothing():
    entries = [
        {'Name': 'Reformatting CopyNode for Input Tensor 0 to c', 'LayerType': 'Reformat',
         'Inputs': [tensor('x', [1], 'Row major linear FP32')], 'Outputs': [tensor('y', [1], 'Half')]},
        {'Name': 's', 'LayerType': 'Shuffle', 'Inputs': [tensor('x', [1], 'Float')], 'Outputs': []},
        {'Name': 'n', 'LayerType': 'NoOp', 'Inputs': [tensor('x', [1], 'Float')], 'Outputs': []}]
    layers = parsed(*entries)
    assert [layer.compute_type for layer in layers] == ['', '', '']
    assert layers[0].onnx_nodes == ()
    assert summarize(layers).precision_effective == ''


def test_work_of_fused_layers_comes_from_the_graph():
    layer, = parsed(
        {'Name': '__myl_fused', 'LayerType': 'gemm', 'Inputs': [tensor('x', [1], 'Half')], 'Outputs': [],
         'Metadata': '[ONNX Layer: a]\x1f[ONNX Layer: b]\x1f[ONNX Layer: c]'}, node_work={'a': 100, 'c': 7, 'd': 1000})
    assert layer.multiply_accumulates == 107


def test_the_summary_weighs_by_arithmetic():
    layers = parsed(
        convolution('big', 'Half', channels=(64, 64)), convolution('small', 'Float', channels=(1, 1)),
        convolution('small 2', 'Float', channels=(1, 1)))
    summary = summarize(layers)
    assert summary.precision_effective == 'fp16'
    assert summary.share('fp16') == pytest.approx(4096 / 4098)
    assert summary.as_dict()['fp32']['layers'] == 2
    assert summary.text().startswith('fp16 (100 %, 1 layers), fp32 (0.05 %, 2 layers)')
    assert precision_shortfall('fp16', summary) == ''
    assert 'mostly in fp16' in precision_shortfall('int8', summary)
    assert 'fp32 was requested' in precision_shortfall('fp32', summary)


def test_without_multiplications_layers_count():
    layers = parsed(*({'Name': str(i), 'LayerType': 'PointWiseV2', 'Inputs': [tensor('x', [1], kind)], 'Outputs': []}
                      for i, kind in enumerate(['Half', 'Half', 'Float'])))
    summary = summarize(layers)
    assert (summary.precision_effective, summary.share('fp16')) == ('fp16', pytest.approx(2 / 3))


def test_bare_names_of_an_engine_without_details():
    layers = parsed('Conv_0 + PWN(Sigmoid_1, Mul_2)', 'Reformatting CopyNode for Output Tensor 0 to Conv_3')
    assert layers[0].onnx_nodes == ('Conv_0', 'Sigmoid_1', 'Mul_2')
    assert layers[1].onnx_nodes == ()
    assert summarize(layers).text() == ''
    assert precision_shortfall('fp16', summarize(layers)) == ''


def test_layers_survive_the_sidecar():
    layers = parsed(convolution('c', 'Half', metadata='[ONNX Layer: a]'))
    records = json.loads(json.dumps([asdict(layer) for layer in layers]))
    assert layers_from_records(records) == layers
    del records[0]['tactic']
    with pytest.raises(EngineError, match='damaged'):
        layers_from_records(records)


@pytest.mark.parametrize('name, value', [
    *((name, value) for name in ('name', 'kind', 'compute_type', 'tactic') for value in (None, 3, ['a'])),
    *((name, value) for name in ('weights', 'multiply_accumulates')
      for value in (None, '3', [], 1.5, True, -1, 10**400)),
    *((name, value) for name in ('onnx_nodes', 'inputs', 'outputs') for value in (None, 'ab', 3, {}, [3])),
    ('inputs', [{'name': 'x', 'dtype': 'fp16', 'shape': '12', 'layout': ''}]),
    ('outputs', [{'name': 'x', 'dtype': 'fp16', 'shape': ['1'], 'layout': ''}]),
    ('outputs', [{'name': 'x', 'dtype': None, 'shape': [1], 'layout': ''}])])
def test_every_value_of_a_layer_in_the_sidecar_is_checked(name, value):
    record = json.loads(json.dumps(asdict(parsed(convolution('c', 'Half'))[0])))
    with pytest.raises(EngineError, match=r'the layers kept beside the engine are damaged .*: build it again'):
        layers_from_records([{**record, name: value}])


@pytest.mark.parametrize('records', [[3], ['name'], [None], [[]], [{}]])
def test_a_sidecar_entry_that_is_not_a_layer_is_damaged(records):
    with pytest.raises(EngineError, match='the layers kept beside the engine are damaged'):
        layers_from_records(records)


@pytest.mark.parametrize('text', ['', 'no json', '{}', '{"Layers": 3}', '"text"', '7'])
def test_text_that_is_not_a_list_of_layers_is_an_engine_error(text):
    with pytest.raises(EngineError, match='no list of layers'):
        parse_layers(text)
