# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Models that cannot be converted to int8 or fp16: one line with the reason, and no file."""

import re

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
import onnx
from onnx import helper, numpy_helper
from support.precision_models import color_folder, conv_classifier, conv_detector

from trt_perception.cli.main import main
from trt_perception.errors import EngineError, ModelError
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import CalibrationOptions
from trt_perception.precision import quantizer
from trt_perception.precision.expected import expected_agreement
from trt_perception.precision.fp16 import to_fp16
from trt_perception.precision.graph import load_model as load_graph
from trt_perception.precision.graph import require_finite
from trt_perception.precision.prepare import prepare_model
from trt_perception.precision.simulation import SimulationBackend


def changed(path, change):
    """Change the graph of the model."""
    proto = onnx.load(str(path))
    change(proto)
    onnx.save(proto, str(path))
    return path


def unknown_operator(path):
    """Write a model with an operator of a custom TensorRT plugin."""
    def change(proto):
        (leaky,) = [node for node in proto.graph.node if node.name == 'leaky']
        leaky.op_type, leaky.domain = 'OddRelu', 'my.ops'
        proto.opset_import.append(helper.make_opsetid('my.ops', 1))

    return changed(conv_classifier(path), change)


def failing_run(path):
    """Write a model with a Reshape to a wrong number of values; only a run shows the error."""
    def change(proto):
        graph = proto.graph
        (pool,) = [node for node in graph.node if node.name == 'pool']
        # The shape depends on the pixels, so loading neither checks nor folds it.
        graph.initializer.append(numpy_helper.from_array(np.array([0, 0, 0, 1], np.int64), 'more'))
        position = list(graph.node).index(pool)
        pool.input[0] = 'reshaped'
        for offset, node in enumerate((
                helper.make_node('Shape', ['images'], ['shape'], 'shape'),
                helper.make_node('ReduceMax', ['images'], ['brightest'], 'brightest', keepdims=0),
                helper.make_node('Cast', ['brightest'], ['whole'], 'whole', to=onnx.TensorProto.INT64),
                helper.make_node('Mul', ['whole', 'more'], ['nothing'], 'nothing'),
                helper.make_node('Add', ['shape', 'nothing'], ['wanted'], 'wanted'),
                helper.make_node('Reshape', ['d', 'wanted'], ['reshaped'], 'wrong'))):
            graph.node.insert(position + offset, node)
        # Gemm then reads three channels.
        for tensor in graph.initializer:
            if tensor.name == 'fc.weight':
                tensor.CopyFrom(numpy_helper.from_array(np.ones((3, 3), np.float32), 'fc.weight'))

    return changed(conv_classifier(path), change)


def damaged(value):
    def make(path):
        def change(proto):
            for tensor in proto.graph.initializer:
                if tensor.name == 'body.weight':
                    array = numpy_helper.to_array(tensor).copy()
                    array[1, 2] = value
                    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

        return changed(conv_classifier(path), change)

    return make


UNKNOWN = (
    r'ONNX Runtime \S+ cannot load .*model\.onnx: .*my\.ops:OddRelu.* is not a registered function/op.*export without')
FAILED = r'ONNX Runtime failed on model\.onnx: .*Reshape node'
NEEDED = 'need a model that ONNX Runtime runs: export such a model, or use fp32, or fp16 without calibration data'
DAMAGED = r"model\.onnx: expected finite weights, found 9 of 1152 in 'body.weight' that are NaN or infinite"


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return color_folder(tmp_path / 'images', 12)


@pytest.mark.parametrize('precision', ['int8', 'fp16'])
@pytest.mark.parametrize('make, error, text, rest', [
    (unknown_operator, ModelError, UNKNOWN, NEEDED), (failing_run, EngineError, FAILED, NEEDED),
    (damaged(np.nan), ModelError, DAMAGED, 'copy or export it again'),
    (damaged(np.inf), ModelError, DAMAGED, 'copy or export it again')])
def test_the_node_and_the_command_line_say_it_in_one_line(
        images, tmp_path, capfd, make, error, text, rest, precision):
    spec = load_model(make(tmp_path / 'model.onnx'))
    with pytest.raises(error, match=f'{text}.*{rest}') as raised:
        prepare_model(spec, precision, CalibrationOptions(str(images), samples=8))
    assert '\n' not in str(raised.value)
    output = tmp_path / 'out' / 'made.onnx'
    output.parent.mkdir()
    for more in ((), ('--checking', '0', *(('--method', 'percentile') if precision == 'int8' else ()))):
        assert main([
            'quantize', str(spec.path), '--precision', precision, '--calibration', str(images), '--output', str(output),
            *more]) == 1
        printed = capfd.readouterr()
        assert printed.out == ''
        # ONNX Runtime prints nothing.
        assert printed.err.count('\n') == 1
        assert str(raised.value) in printed.err
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize('make, text', [(unknown_operator, UNKNOWN), (failing_run, 'ONNX Runtime failed on')])
def test_fp16_that_cannot_be_measured_is_not_written(images, tmp_path, capfd, make, text):
    """Without calibration the conversion does not run the model, so only the converted file fails."""
    source = make(tmp_path / 'model.onnx')
    output = tmp_path / 'out' / 'half.onnx'
    output.parent.mkdir()
    output.write_bytes(b'an older one')
    assert main(['quantize', str(source), '--precision', 'fp16', '--output', str(output)]) == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith(f'trt_perception: {output} is not written, because it could not be measured: ONNX Runtime')
    assert '.part' not in last
    # The older file stays.
    assert [path.name for path in output.parent.iterdir()] == ['half.onnx']
    assert output.read_bytes() == b'an older one'
    # A user may know that TensorRT has the operator: the node converts the model.
    assert prepare_model(load_model(source), 'fp16').path.exists()


@pytest.mark.parametrize('make, error, text', [
    (unknown_operator, ModelError, UNKNOWN), (failing_run, EngineError, FAILED)])
def test_comparing_says_it(images, tmp_path, make, error, text):
    spec = load_model(make(tmp_path / 'model.onnx'))
    prepared = prepare_model(spec, 'fp16', output=tmp_path / 'half.onnx')
    with pytest.raises(error, match=text):
        expected_agreement(spec, prepared, ())
    backend = SimulationBackend(load_graph(spec.path), 'model.onnx')

    def run():
        backend.open()
        backend.infer('images', np.ones((1, 3, 32, 32), np.float32))

    with pytest.raises(error, match=text):
        run()


def test_what_the_quantiser_does_not_do_is_no_trace(tmp_path):
    """An error inside the quantiser, for example its assertion that scales are finite."""
    model = load_graph(damaged(np.nan)(tmp_path / 'model.onnx'))
    with pytest.raises(ModelError, match=r'the quantiser of ONNX Runtime \S+ fails on the model \(.*use fp16'):
        quantizer.insert_qdq(model, {'b': 1.0}, ['body'])


def test_a_quantiser_that_does_not_fit_onnx_is_to_be_updated(tmp_path, monkeypatch):
    """As ONNX Runtime before 1.20 with onnx 1.17 and later."""
    from onnxruntime import quantization

    def missing(*args, **kwargs):
        return onnx.mapping_that_was_removed

    monkeypatch.setattr(quantization.QDQQuantizer, 'quantize_model', missing)
    model = load_graph(conv_detector(tmp_path / 'model.onnx'))
    expected = rf'does not work with onnx {re.escape(onnx.__version__)} .* install --upgrade onnxruntime onnx'
    with pytest.raises(ModelError, match=expected):
        quantizer.insert_qdq(model, {'images': 1.0}, ['mix'])


def test_constants_of_other_nodes_may_be_infinite(tmp_path):
    """Constants may be infinite: an attention mask, or the upper bound of a Clip."""
    def change(proto):
        graph = proto.graph
        (relu,) = [node for node in graph.node if node.name == 'relu']
        relu.op_type = 'Clip'
        relu.input.extend(['low', 'high'])
        for name, value in (('low', 0.0), ('high', np.inf)):
            graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))

    require_finite(load_graph(changed(conv_detector(tmp_path / 'model.onnx'), change)), 'model.onnx')


def test_a_model_that_is_in_fp16_in_part(tmp_path, capsys):
    # Most weights are those of layers that stay in float32, so the file counts as fp32.
    path = conv_classifier(tmp_path / 'm.onnx')
    large = max(load_graph(path).graph.initializer, key=lambda tensor: np.prod(tensor.dims)).name
    kept = [node.name for node in load_graph(path).graph.node if large in node.input]
    half = tmp_path / 'half.onnx'
    to_fp16(path, half, keep_float=kept)
    assert load_model(half).stored_precision == 'fp32'
    assert main(['quantize', str(half), '--precision', 'fp16', '--output', str(tmp_path / 'again.onnx')]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert 'the model was converted to fp16 before, in part (its tensor ' in line
    assert 'expected the float32 model from which it was made' in line
    assert not (tmp_path / 'again.onnx').exists()


@pytest.mark.parametrize('precision', [('fp16',), ('int8', '--calibration', 'frames')])
def test_weights_with_too_few_bytes(tmp_path, capsys, monkeypatch, precision):
    monkeypatch.chdir(tmp_path)
    color_folder(tmp_path / 'frames', 2)
    path = conv_classifier(tmp_path / 'm.onnx')
    proto = onnx.load(str(path))
    tensor = max(proto.graph.initializer, key=lambda tensor: np.prod(tensor.dims))
    tensor.raw_data = numpy_helper.to_array(tensor).tobytes()[:-4]
    onnx.save(proto, str(path))
    assert main(['quantize', 'm.onnx', '--output', 'q.onnx', '--precision', *precision]) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith('warning')]
    size = 4 * np.prod(tensor.dims)
    assert f"m.onnx is damaged: tensor '{tensor.name}' has {size - 4} bytes, but its shape " in line
    assert f'{list(tensor.dims)} needs {size}' in line
