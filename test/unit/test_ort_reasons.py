# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's messages: the reason is kept whole, the C++ around it is removed, and a remedy follows."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from support.tiny_models import FLOAT, color_classifier, save

from trt_perception.errors import EngineError, ModelError
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.ort.reasons import reason_of, remedy_of

_IR_1_16 = (
    '[ONNXRuntimeError] : 1 : FAIL : Load model from /data/m.onnx failed:/onnxruntime_src/onnxruntime/core/graph/'
    'model.cc:149 onnxruntime::Model::Model(onnx::ModelProto&&, const PathString&, const IOnnxRuntimeOpSchema'
    'RegistryList*, const onnxruntime::logging::Logger&, const onnxruntime::ModelOptions&) Unsupported model IR '
    'version: '
    '10, max supported IR version: 9\n')
_IR_1_32 = (
    '[ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx '
    'failed:/onnxruntime_src/onnxruntime/core/graph/model.cc:256 '
    'onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::PathString&, const onnxruntime::'
    'IOnnxRuntimeOpSchemaRegistryList*, const onnxruntime::logging::Logger&, const onnxruntime::ModelOptions&) '
    'Unsupported model IR version: 99, max supported IR version: 14\n')
_OPSET = (
    '[ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx failed:/onnxruntime_src/onnxruntime/core/graph/'
    'model_load_utils.h:46 void onnxruntime::model_load_utils::ValidateOpsetForDomain(const std::unordered_map<std::'
    '__cxx11::basic_string<char>, int>&, const onnxruntime::logging::Logger&, bool, const std::string&, int) ONNX '
    'Runtime '
    'only *guarantees* support for models stamped with official released onnx opset versions. Opset {} is under '
    'development and support for this is limited. The operator schemas and or other functionality may change before '
    'next '
    'ONNX release and in this case ONNX Runtime will not guarantee backward compatibility. Current official support '
    'for '
    'domain {} is till opset {}.\n')


@pytest.mark.parametrize('message, reason', [
    (_IR_1_16, 'Unsupported model IR version: 10, max supported IR version: 9'),
    (_IR_1_32, 'Unsupported model IR version: 99, max supported IR version: 14'),
    (_OPSET.format(28, 'ai.onnx', 19), 'opset 28 of ai.onnx is too new, official support for ai.onnx is till opset 19'),
    ('[ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx '
     'failed:/onnxruntime_src/onnxruntime/core/graph/graph.cc:1617 '
     'void onnxruntime::Graph::InitializeStateFromModelFileGraphProto() This is an invalid model. Graph output '
     '(nothere) '
     'does not exist in the graph.\n', 'This is an invalid model. Graph output (nothere) does not exist in the graph.'),
    ('[ONNXRuntimeError] : 1 : FAIL : Deserialize tensor boxes failed.tensorprotoutils.cc:2201 '
     'GetExtDataFromTensorProto '
     'External initializer: boxes offset: 0 size to read: 1024 given file_length: 100 are out of bounds',
     'Deserialize tensor boxes failed. External initializer: boxes offset: 0 size to read: 1024 given file_length: 100 '
     'are out of bounds'),
    ('[ONNXRuntimeError] : 1 : FAIL : Load model from m.onnx failed:Node () Op (Reshape) /onnxruntime_src/onnxruntime/'
     'core/graph/graph.cc:2828 virtual const onnx::TensorProto* '
     'onnxruntime::InferenceContextImpl::getInputData(size_t) '
     "const [ONNXRuntimeError] : 1 : FAIL : tensorprotoutils.cc:1730 ValidateEmbeddedTensorProtoDataSizeAndShape "
     "Initializer 'scores_shape': raw_data size (24 bytes) does not match expected size from shape and data type (72 "
     'bytes)\n',
     "Node () Op (Reshape) Initializer 'scores_shape': raw_data size (24 bytes) does not match expected size from "
     "shape "
     'and data type (72 bytes)'),
    ("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Add node. Name:'' "
     "Status "
     'Message: /onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:540 void onnxruntime::'
     'BroadcastIterator::Init(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. Attempting to broadcast an '
     'axis by a dimension other than 1. 10 by 11\n',
     "Non-zero status code returned while running Add node. Name:'' Status Message: axis == 1 || axis == largest was "
     'false. Attempting to broadcast an axis by a dimension other than 1. 10 by 11'),
    ('/onnxruntime_src/include/onnxruntime/core/framework/op_kernel_context.h:42 const T* '
     'onnxruntime::OpKernelContext::'
     'Input(int) const [with T = onnxruntime::Tensor] Missing Input: x', 'Missing Input: x'),
    ('/src/session.cc:10 onnxruntime::Initialize(const std::function<void(int)>&)::<lambda(const auto:1&)> [with '
     'auto:1 = '
     'std::vector<int>] the fault', 'the fault'),
    # Not of the usual form: nothing is lost.
    ('SystemError : 21', 'SystemError : 21'),
    ('Load model of me : it failed : at the end', 'Load model of me : it failed : at the end'),
    ('file.cc:12 onnxruntime::Half(const a signature', 'onnxruntime::Half(const a signature'),
    ('two\nlines of\ttext', 'two lines of text'),
    ('\x1b[1;31mred\x1b[m', '\\x1b[1;31mred\\x1b[m'),
])
def test_reasons(message, reason):
    assert reason_of(RuntimeError(message)) == reason


def test_an_empty_message_is_the_type_of_the_error():
    assert reason_of(ValueError('')) == 'ValueError'


def test_a_long_reason_keeps_its_beginning_and_its_end():
    text = reason_of(RuntimeError('In Node, (' + 'x' * 100_000 + ') the fault'))
    assert text.startswith('In Node, (xxx') and text.endswith('xxx) the fault') and ' ... ' in text
    assert len(text) <= 510


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet='ab:<>()[] ,&*~=/.c1|const', max_size=300))
def test_any_text_has_a_reason(text):
    reason = reason_of(RuntimeError(text))
    assert reason and '\n' not in reason


@settings(deadline=None)
@given(
    st.sampled_from(['a::b(', 'a::b<', '(', 'x.cc:1 ', ':: ', ' [with ', '::<lambda', 'const ']), st.integers(1, 4000))
def test_no_text_takes_long(part, count):
    assert reason_of(RuntimeError('x.cc:1 ' + part * count))


@pytest.mark.parametrize('message, remedy', [
    (_IR_1_16, "Install onnxruntime 1.18 or newer, which reads IR version 10, or export the model with an older onnx "
     "package (pip install 'onnx<1.16'), or write IR version 9 into the file (see models/README.md)"),
    (_IR_1_16.replace(': 10,', ': 12,'), 'Install onnxruntime 1.24 or newer, which reads IR version 12, or'),
    (_IR_1_32, 'No version of onnxruntime up to 1.32 reads IR version 99: install a newer one if there is one, or '
     'write '
     'IR version 14 into the file'),
    (_OPSET.format(22, 'ai.onnx', 19), 'Install onnxruntime 1.21 or newer, which reads opset 22 of ai.onnx, or '
     'export the '
     'model with opset 19 or lower (Ultralytics: opset=17; torch.onnx.export: opset_version=17)'),
    (_OPSET.format(24, 'ai.onnx', 16), 'Install onnxruntime 1.24 or newer, which reads opset 24 of ai.onnx, or '
     'export the '
     'model with opset 16 or lower (Ultralytics: opset=16;'),
    (_OPSET.format(99, 'ai.onnx', 28), 'No version of onnxruntime up to 1.32 reads opset 99 of ai.onnx'),
    (_OPSET.format(5, 'ai.onnx.ml', 3), 'Install onnxruntime 1.18 or newer, which reads opset 5 of ai.onnx.ml, or '
     'export '
     'the model with opset 3 of ai.onnx.ml or lower'),
    (_OPSET.format(9, 'com.microsoft', 1), 'No version of onnxruntime up to 1.32 reads opset 9 of com.microsoft: '
     'install a '
     'newer one if there is one, or export the model with opset 1 of com.microsoft or lower'),
    (_OPSET.format(2, 'com.acme', 1), 'No version of onnxruntime up to 1.32 reads opset 2 of com.acme'),
    ('Fatal error: TRT:EfficientNMS_TRT(-1) is not a registered function/op', 'no --end2end'),
    ("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for EfficientNMS_TRT(1) node with "
     "name "
     "''", 'That operator is a plugin of TensorRT: set backend to tensorrt'),
    ('Error No Op registered for Gelu with domain_version of 13', 'or with a newer opset if it is an operator of ONNX'),
    ("[ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for Conv(11) node with name 'c'",
     'export the model in float32, with opset 13 or newer'),
])
def test_remedies(message, remedy):
    text = remedy_of(RuntimeError(message))
    assert text.startswith('. ') and remedy in text


def test_other_errors_have_no_remedy():
    assert remedy_of(RuntimeError('This is an invalid model. Error: the graph is not acyclic.')) == ''


# With the installed ONNX Runtime


def failed(path):
    pytest.importorskip('onnxruntime')
    with pytest.raises(ModelError) as error, OnnxRuntimeBackend(path, 1):
        pass
    assert '\n' not in str(error.value)
    assert 'onnxruntime_src' not in str(error.value) and '::' not in str(error.value)
    return str(error.value)


def changed(path, change):
    model = onnx.load(str(color_classifier(path)))
    change(model)
    onnx.save(model, str(path))
    return path


def test_an_ir_version_from_the_future(tmp_path, capfd):
    path = changed(tmp_path / 'm.onnx', lambda model: setattr(model, 'ir_version', 99))
    text = failed(path)
    assert 'Unsupported model IR version: 99, max supported IR version: ' in text
    assert text.endswith('into the file (see models/README.md)')
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('domain', ['', 'ai.onnx.ml', 'com.microsoft'])
def test_an_opset_from_the_future(tmp_path, capfd, domain):
    def change(model):
        if domain:
            model.opset_import.add(domain=domain)
        model.opset_import[-1].version = 99

    text = failed(changed(tmp_path / 'm.onnx', change))
    name = domain or 'ai.onnx'
    assert f'm.onnx: opset 99 of {name} is too new, official support for {name} is till opset ' in text
    assert 'or export the model with opset ' in text
    assert capfd.readouterr() == ('', '')


def test_a_failed_run_is_reported_once(tmp_path, capfd):
    pytest.importorskip('onnxruntime')
    path = save(
        tmp_path / 'm.onnx', [helper.make_node('Add', ['images', 'ten'], ['out'])],
        {'images': (FLOAT, [1, 'width'])}, {'out': (FLOAT, [1, 'w'])}, {'ten': np.zeros((1, 10), np.float32)})
    with OnnxRuntimeBackend(path, 1) as backend, pytest.raises(EngineError) as error:
        backend.infer('images', np.zeros((1, 11), np.float32))
    assert str(error.value).startswith('ONNX Runtime failed on m.onnx: Non-zero status code returned while running Add')
    assert 'onnxruntime_src' not in str(error.value) and '::' not in str(error.value)
    # Not printed by ONNX Runtime itself, with the time and colours.
    assert capfd.readouterr() == ('', '')
