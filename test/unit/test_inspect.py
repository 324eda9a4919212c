# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception inspect` comes to the same verdict as the commands that run the model."""

import copy
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.subprocesses import without_progress
from support.tiny_models import COLORS, FLOAT, color_detector, fixed_outputs, save

from trt_perception import dependencies
from trt_perception.cli.main import main

pytest.importorskip('onnxruntime')
cv2 = pytest.importorskip('cv2')


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    cv2.imwrite('p.png', np.zeros((64, 64, 3), np.uint8))


def run(capfd, *arguments):
    code = main([str(argument) for argument in arguments])
    out, err = capfd.readouterr()
    return code, out, without_progress(err)


def rows(out):
    return {name: value.strip() for name, _, value in (line.partition(':') for line in out.splitlines())}


def detector(change=None):
    model = onnx.load(str(color_detector('m.onnx')))
    if change is not None:
        change(model)
    Path('m.onnx').write_bytes(model.SerializeToString())


def reverse(model):
    nodes = [copy.deepcopy(node) for node in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))


def replace(old, *new):
    """Return a change that replaces the last node by others."""
    def change(model):
        del model.graph.node[-1]
        model.graph.node.extend(new)

    return change


def half(model):
    """As Ultralytics' half=True: the weights are float16, and the casts of input and output come last."""
    for tensor in model.graph.initializer:
        if tensor.data_type == FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    model.graph.node[0].input[0] = 'graph_input_cast_0'
    model.graph.node[-1].output[0] = 'graph_output_cast_0'
    model.graph.node.extend([
        helper.make_node('Cast', ['images'], ['graph_input_cast_0'], to=TensorProto.FLOAT16),
        helper.make_node('Cast', ['graph_output_cast_0'], ['output0'], to=FLOAT)])


@pytest.mark.parametrize('change', [reverse, half])
def test_nodes_that_are_not_sorted_are_right(capfd, change):
    detector(change)
    code, out, err = run(capfd, 'inspect', 'm.onnx')
    assert (code, err) == (0, '')
    assert rows(out)['onnx.checker'] == 'ok, but its nodes are not sorted (ONNX Runtime and TensorRT sort them)'
    assert rows(out)['ONNX Runtime'].startswith('runs the model (onnxruntime ')
    assert rows(out)['precision'] == ('fp16' if change is half else 'fp32')
    assert rows(out)['GFLOPs'].startswith('0.0 (')
    assert run(capfd, 'predict', 'm.onnx', 'p.png')[0] == 0


def cycle(model):
    model.graph.node[0].input[0] = 'columns'


def twice(model):
    model.graph.node.append(copy.deepcopy(model.graph.node[0]))


def missing(model):
    model.graph.node[0].input[0] = 'nowhere'


def undeclared(model):
    model.graph.output[0].name = 'nowhere'


def future_ir(model):
    model.ir_version = 99


def future_opset(model):
    model.opset_import[0].version = 99


def future_domain(model):
    model.opset_import.add(domain='com.microsoft', version=99)


def no_opset(model):
    del model.opset_import[:]


def wrong_dims(model):
    model.graph.initializer[0].dims[0] = 9


def wrong_type(model):
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16


def training(model):
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), 'yes'))
    replace(0, helper.make_node('Dropout', ['columns', '', 'yes'], ['output0']))(model)


def unknown_operator(model):
    replace(0, helper.make_node('Whirl', ['columns'], ['output0']))(model)


REFUSED = {
    'cycle': (cycle, 'the graph is not acyclic'),
    'cycle and not sorted': (lambda model: (cycle(model), reverse(model)), 'the graph is not acyclic'),
    'a tensor that is made twice': (twice, 'Duplicate definition of name (means)'),
    'a missing input': (missing, "Node input 'nowhere' is not a graph input"),
    'a missing output': (undeclared, 'nowhere'),
    'IR': (future_ir, 'Unsupported model IR version: 99'),
    'opset': (future_opset, 'opset 99 of ai.onnx is too new'),
    'opset of another domain': (future_domain, 'opset 99 of com.microsoft is too new'),
    'no opset': (no_opset, 'Missing opset in the model'),
    'wrong dims': (wrong_dims, 'scores_shape'),
    'wrong type': (wrong_type, 'Type (tensor(float16)) of output arg (output0)'),
    'training mode': (training, 'm.onnx was exported in training mode: node with output output0 is a Dropout'),
    'unknown operator': (unknown_operator, 'Whirl'),
}


@pytest.mark.parametrize('kind', REFUSED)
def test_what_predict_refuses_inspect_refuses_with_the_same_words(capfd, kind):
    change, message = REFUSED[kind]
    detector(change)
    inspected, out, err = run(capfd, 'inspect', 'm.onnx', '--backend', 'onnxruntime')
    predicted, _, expected = run(capfd, 'predict', 'm.onnx', 'p.png', '--backend', 'onnxruntime')
    assert (inspected, predicted) == (1, 1)
    assert err == expected
    assert message in err
    assert err.count('\n') == 1
    # A model that is refused when it is read has no such row.
    if 'ONNX Runtime' in rows(out):
        assert rows(out)['ONNX Runtime'].startswith('refuses the model (onnxruntime ')


def unused_domain(model):
    model.opset_import.add(domain='com.acme', version=3)


def the_same_weights_twice(model):
    model.graph.initializer.append(copy.deepcopy(model.graph.initializer[0]))


@pytest.mark.parametrize('change', [None, unused_domain, the_same_weights_twice, reverse, half])
def test_what_predict_accepts_inspect_accepts(capfd, change):
    detector(change)
    assert run(capfd, 'predict', 'm.onnx', 'p.png', '--backend', 'onnxruntime')[0] == 0
    assert run(capfd, 'inspect', 'm.onnx', '--backend', 'onnxruntime')[0] == 0


def test_boxes_that_are_not_decoded(capfd, tmp_path):
    rng = np.random.default_rng(0)
    fixed_outputs(
        tmp_path / 'm.onnx', rng.uniform(0, 1, (1, 3 + 4, 84)), metadata={'names': dict(enumerate(COLORS))})
    code, out, err = run(capfd, 'inspect', 'm.onnx')
    assert code == 1
    assert rows(out)['onnx.checker'] == 'ok'
    assert err == run(capfd, 'predict', 'm.onnx', 'p.png')[2]


def test_external_data_that_was_cut(capfd, tmp_path):
    color_detector('m.onnx')
    onnx.save(onnx.load('m.onnx'), 'm.onnx', save_as_external_data=True, location='m.bin', size_threshold=100)
    data = tmp_path / 'm.bin'
    size = data.stat().st_size
    code, out, _ = run(capfd, 'inspect', 'm.onnx', '--json')
    report = json.loads(out)
    assert (code, report['external_data']) == (0, ['m.bin'])
    assert report['bytes'] == (tmp_path / 'm.onnx').stat().st_size + size
    _, out, _ = run(capfd, 'inspect', 'm.onnx')
    assert rows(out)['size'] == f"{report['bytes']:,} bytes, with 1 file of external data"
    data.write_bytes(data.read_bytes()[:-10])
    code, out, err = run(capfd, 'inspect', 'm.onnx')
    assert (code, out) == (1, '')
    assert 'm.bin, which is too short' in err


def test_the_reasons_are_in_the_json(capfd):
    detector(future_ir)
    code, out, err = run(capfd, 'inspect', 'm.onnx', '--json')
    report = json.loads(out)
    assert code == 1
    entry = report['backends']['onnxruntime']
    assert entry['runs'] is False and entry['version'].startswith('onnxruntime ')
    assert err == f"trt_perception: {entry['reason']}\n"
    assert 'ir_version 99 is higher' in report['checker']


# Other backends


def test_tensorrt_reads_the_model(capfd):
    pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')
    detector(half)
    assert 'reads the model (tensorrt' in rows(run(capfd, 'inspect', 'm.onnx')[1])['TensorRT']
    detector(the_same_weights_twice)
    # ONNX Runtime runs this file, and without a GPU it decides.
    code, out, err = run(capfd, 'inspect', 'm.onnx', '--backend', 'tensorrt')
    assert code == 1
    assert rows(out)['TensorRT'].startswith('refuses the model (tensorrt') and 'ONNX Runtime' not in rows(out)
    assert 'm.onnx cannot be used by tensorrt' in err and 'duplicate tensor name: scores_shape' in err
    assert err.count('\n') == 1
    code, out, err = run(capfd, 'inspect', 'm.onnx')
    if code == 0:
        assert 'refuses the model: m.onnx cannot be used by tensorrt' in rows(out)['TensorRT']


@pytest.fixture
def no_runtime(monkeypatch):
    """No backend is installed."""
    for module in ('onnxruntime', 'tensorrt', 'tensorrt_rtx'):
        monkeypatch.setitem(sys.modules, module, None)
    dependencies.require.cache_clear()
    yield
    dependencies.require.cache_clear()


@pytest.mark.parametrize('change, code', [(None, 0), (half, 0), (reverse, 0), (missing, 1), (cycle, 1)])
def test_without_a_backend_the_checker_decides(capfd, no_runtime, change, code):
    detector(change)
    found, out, err = run(capfd, 'inspect', 'm.onnx')
    assert found == code
    assert rows(out)['ONNX Runtime'] == rows(out)['TensorRT'] == 'not installed'
    assert (err == '') is (code == 0)
    if code:
        assert err.startswith('trt_perception: m.onnx is not a valid ONNX file: ')
    if change is cycle:
        assert 'the nodes read each other in a circle: with output means, with output scores, ' in err


def test_a_backend_that_is_requested_must_be_installed(capfd, no_runtime):
    detector()
    code, _, err = run(capfd, 'inspect', 'm.onnx', '--backend', 'onnxruntime')
    assert code == 1 and "the Python package 'onnxruntime' is not installed" in err


# Advice about sizes


def even_sizes(path, outputs, **metadata):
    """A network that accepts only even sizes; its output shapes are known only after a run."""
    return save(
        path,
        [helper.make_node('AveragePool', ['images'], ['half'], kernel_shape=[2, 2], strides=[2, 2]),
         helper.make_node('Resize', ['half', '', 'scales'], ['again'], mode='nearest'),
         helper.make_node('Add', ['images', 'again'], ['sum']),
         helper.make_node('NonZero', ['sum'], ['where']),
         helper.make_node('Transpose', ['where'], ['rows'])],
        {'images': (FLOAT, [1, 3, 'height', 'width'])}, {'rows': (TensorProto.INT64, outputs)},
        {'scales': np.array([1, 1, 2, 2], np.float32)}, metadata)


_MULTIPLE = '; set input_size to a size that the network accepts, usually a multiple of 32\n'
_OWN = '; set input_size to the size that the model was exported or trained for\n'


@pytest.mark.parametrize('outputs, metadata, advice', [
    (['n', 'c'], {'task': 'detect'}, _MULTIPLE), ([5, 'c'], {}, _MULTIPLE),
    (['n', 'c'], {'task': 'classify'}, _OWN), (['n', 'c'], {}, _OWN)])
def test_a_multiple_of_32_is_advised_only_to_detectors(capfd, outputs, metadata, advice):
    even_sizes('m.onnx', outputs, **metadata)
    code, _, err = run(capfd, 'inspect', 'm.onnx', '--input-size', 99, 64)
    assert code == 1 and 'm.onnx cannot run at 99x64: ' in err
    assert err.endswith(advice)


@pytest.mark.parametrize('size, input_shape, advice', [
    ((320, 192), ['h', 'w'], _OWN), ((320, 200), ['h', 'w'], _MULTIPLE), ((320, 200), [200, 'w'], _OWN),
    ((300, 200), [200, 'w'], _MULTIPLE), ((300, 200), [200, 300], '\n'), ((320, 192), [192, 320], '\n')])
def test_a_multiple_of_32_is_advised_only_if_the_size_is_none(capfd, size, input_shape, advice):
    """This model runs at no size: the reason is another one."""
    save(
        'm.onnx',
        [helper.make_node('NonZero', ['images'], ['found']), helper.make_node('Reshape', ['found', 'shape'], ['seven']),
         helper.make_node('NonZero', ['seven'], ['rows'])],
        {'images': (FLOAT, [1, 3, *input_shape])}, {'rows': (TensorProto.INT64, [2, 'n'])},
        {'shape': np.array([7, 7], np.int64)}, {'task': 'detect'})
    code, _, err = run(capfd, 'inspect', 'm.onnx', '--input-size', *size)
    assert code == 1 and f'm.onnx cannot run at {size[0]}x{size[1]}: ONNX Runtime failed on m.onnx: ' in err
    assert err.endswith(advice)
    assert ('input_size' in err) is (advice != '\n')
