# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The errors of TensorRT's ONNX parser become one line, without C++ and without repetition."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.recording_monitor import Told
from support.tiny_models import FLOAT, color_detector, save

from trt_perception.backends.tensorrt.build.parsing import parser_error
from trt_perception.backends.tensorrt.build.process import build_in_process
from trt_perception.backends.tensorrt.build.request import BuildRequest, build_request
from trt_perception.backends.tensorrt.engine_source import EngineSource
from trt_perception.backends.tensorrt.library.compat import ParserProblem, load
from trt_perception.errors import ModelError
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import PipelineOptions

_END = '. Export the model without the unsupported parts, or set backend to onnxruntime'


def text_of(*problems, log=(), nodes=()):
    text = str(parser_error('m.onnx', 'tensorrt 10.3.0', list(problems), list(log), list(nodes)))
    assert text.startswith('m.onnx cannot be used by tensorrt 10.3.0: ') and text.endswith(_END)
    return text[len('m.onnx cannot be used by tensorrt 10.3.0: '):-len(_END)]


@pytest.mark.parametrize('said, reason', [
    ('creator && "Plugin not found, are the plugin name, version, and namespace correct?"',
     'Plugin not found, are the plugin name, version, and namespace correct'),
    ('!isTraining && "This version of TensorRT does not support training_mode == 1 in BatchNormalization."',
     'This version of TensorRT does not support training_mode == 1 in BatchNormalization'),
    ('Assertion failed: !trainingMode[0]: TensorRT does not support the Dropout operator in training mode.',
     'TensorRT does not support the Dropout operator in training mode'),
    ('Assertion failed: toposort(graph.node(), &topoOrder): Failed to sort the model topologically.',
     'Failed to sort the model topologically'),
    ('Assertion failed: dims.nbDims == 4', 'Assertion failed: dims.nbDims == 4'),
    ('ONNX graph has duplicate tensor name: w', 'ONNX graph has duplicate tensor name: w')])
def test_reasons(said, reason):
    assert text_of(ParserProblem(-1, '', '', said)) == reason


def test_nodes_are_named_and_errors_are_not_repeated():
    nodes = [helper.make_node('Relu', ['x'], ['y']), helper.make_node('Whirl', ['y'], ['z'], name='spin')]
    problems = [ParserProblem(1, '', '', 'no'), ParserProblem(1, '', '', 'no'), ParserProblem(0, '', '', 'no.'),
                ParserProblem(0, 'given', 'Relu', 'no')]
    assert text_of(*problems, nodes=nodes) == (
        'node spin (operator Whirl): no; node with output y (operator Relu): no; node given (operator Relu): no')
    many = [ParserProblem(-1, '', '', f'error {i}') for i in range(5)]
    assert text_of(*many) == 'error 0; error 1; error 2 (and 2 more)'


def test_details_of_the_log_are_kept():
    log = ['ModelImporter.cpp:151: ERROR: ModelImporter.cpp:899 In function importInitializers: failed',
           'WeightsContext.cpp:534: Size mismatch when importing initializer: w. Expected size: 24 , actual size: 72']
    assert text_of(ParserProblem(-1, '', '', 'failed'), log=log) == (
        'failed; Size mismatch when importing initializer: w. Expected size: 24 , actual size: 72')
    assert text_of(log=log[:1]) == log[0]
    assert text_of() == 'the parser gave no reason'


# With TensorRT for RTX, which needs no GPU


@pytest.fixture
def rtx():
    pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')
    return load('tensorrt_rtx')


def parsed(rtx, path):
    told = Told()
    EngineSource(load_model(path), PipelineOptions('tensorrt'), told.monitor, rtx).require_parsable()
    return told


def test_a_model_that_is_only_parsed(rtx, tmp_path):
    path = color_detector(tmp_path / 'm.onnx')
    request = replace(build_request(load_model(path), PipelineOptions().build, tensorrt=rtx.name), only_parse=True)
    assert BuildRequest.from_json(request.to_json()) == request
    built = build_in_process(request)
    assert (built.plan, built.report) == (b'', {})
    assert not [text for severity, text in parsed(rtx, path).log if severity == 'error']


@pytest.mark.parametrize('order', [1, -1])
def test_nodes_in_any_order_are_parsed(rtx, tmp_path, order):
    path = color_detector(tmp_path / 'm.onnx')
    model = onnx.load(str(path))
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node][::order]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(path))
    parsed(rtx, path)


def test_what_cannot_be_parsed_is_reported_once(rtx, tmp_path):
    """Four nodes with the same fault and different names: TensorRT logs each error in four lines."""
    path = save(
        tmp_path / 'm.onnx', [
            helper.make_node('GlobalAveragePool', ['images'], ['means']),
            helper.make_node('Flatten', ['means'], ['flat']), helper.make_node('Det', ['square'], ['one']),
            helper.make_node('Mul', ['flat', 'one'], ['logits'])],
        {'images': (FLOAT, [1, 3, 8, 8])}, {'logits': (FLOAT, [1, 3])}, {'square': np.eye(2, dtype=np.float32)})
    told = Told()
    source = EngineSource(load_model(path), PipelineOptions('tensorrt'), told.monitor, rtx)
    with pytest.raises(ModelError, match=r'm\.onnx cannot be used by tensorrt_rtx .*\(operator Det\): ') as error:
        source.require_parsable()
    assert [text for severity, text in told.log if severity == 'error'] == []
    assert 'Assertion failed' not in str(error.value)


def test_weights_of_the_wrong_size_are_named(rtx, tmp_path):
    path = color_detector(tmp_path / 'm.onnx')
    model = onnx.load(str(path))
    boxes, = [tensor for tensor in model.graph.initializer if tensor.name == 'boxes']
    boxes.raw_data = numpy_helper.to_array(boxes).tobytes()[:100]
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r'boxes.*Size mismatch|Size mismatch.*boxes'):
        parsed(rtx, path)


def test_a_plugin_that_tensorrt_does_not_have_is_not_sent_to_onnxruntime():
    problem = ParserProblem(0, '', '', 'creator && "Plugin not found, are the plugin name and version correct?"')
    nodes = [helper.make_node('EfficientNMS_TRT', ['boxes', 'scores'], ['num_dets'])]
    text = str(parser_error('m.onnx', 'tensorrt 10.3.0', [problem], [], nodes))
    assert text.endswith(
        'EfficientNMS_TRT is a plugin that this TensorRT does not have: export the model without it (for NMS in the '
        'network: no --end2end)')
    assert 'onnxruntime' not in text
