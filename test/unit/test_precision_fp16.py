# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from trt_perception.errors import CalibrationError, ModelError
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.precision.fp16 import to_fp16

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
from onnx import TensorProto, helper, numpy_helper
from support.precision_models import METADATA, color_frames, conv_classifier, conv_detector
from support.tiny_models import COLORS, FLOAT, save

from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.precision.calibration import calibration_of
from trt_perception.precision.expected import expected_agreement
from trt_perception.precision.graph import load_model as load_graph
from trt_perception.precision.half_arithmetic import overflowing, rounding_as_half
from trt_perception.precision.parity import compare
from trt_perception.precision.prepare import prepare_model
from trt_perception.precision.simulation import SimulationBackend


def types_of(path):
    """Return the type of each initializer, by name."""
    return {tensor.name: tensor.data_type for tensor in onnx.load(str(path)).graph.initializer}


def agreement_of(before, after):
    frames = [Frame.from_bgr(pixels) for pixels in color_frames(6)]
    first, second = (HostPipeline(load_model(path), OnnxRuntimeBackend(path)) for path in (before, after))
    with first, second:
        return compare(first, second, frames)


def test_detector_in_half_precision_but_for_its_decoding(tmp_path):
    source = conv_detector(tmp_path / 'model.onnx')
    report = to_fp16(source, tmp_path / 'half.onnx')
    types = types_of(tmp_path / 'half.onnx')
    assert {types[name] for name in ('mix.weight', 'mix.bias', 'back.weight', 'shrink.weight')} == {TensorProto.FLOAT16}
    # Boxes are in pixels: half precision cannot tell 514.0 from 514.3.
    assert types['boxes'] == TensorProto.FLOAT
    assert report.kept_float == ('flat', 'columns')
    assert (report.clipped, report.vanished) == ({}, {})
    onnx.checker.check_model(onnx.load(str(tmp_path / 'half.onnx')), full_check=True)
    agreement = agreement_of(source, tmp_path / 'half.onnx')
    assert agreement.value == 1.0 and agreement.matched > 10
    assert agreement.max_score_difference < 0.002
    assert agreement.min_iou == 1.0


def test_everything_in_half_precision_when_asked(tmp_path):
    source = conv_detector(tmp_path / 'model.onnx')
    to_fp16(source, tmp_path / 'half.onnx', keep_float=())
    assert types_of(tmp_path / 'half.onnx')['boxes'] == TensorProto.FLOAT16


def test_input_and_output_stay_or_change(tmp_path):
    source = conv_classifier(tmp_path / 'model.onnx')
    for keep, kind in ((True, TensorProto.FLOAT), (False, TensorProto.FLOAT16)):
        to_fp16(source, tmp_path / 'half.onnx', keep_io=keep)
        graph = onnx.load(str(tmp_path / 'half.onnx')).graph
        assert {value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)} == {kind}
        assert load_model(tmp_path / 'half.onnx').stored_precision == 'fp16'
        assert agreement_of(source, tmp_path / 'half.onnx').max_score_difference < 0.01


def test_metadata_survives_with_a_record(tmp_path):
    source = conv_detector(tmp_path / 'model.onnx')
    to_fp16(source, tmp_path / 'half.onnx')
    metadata = {entry.key: entry.value for entry in onnx.load(str(tmp_path / 'half.onnx')).metadata_props}
    record = json.loads(metadata.pop('trt_perception.precision'))
    assert metadata == {key: str(value) for key, value in METADATA.items()}
    assert record['precision'] == 'fp16' and record['kept_float'] == ['flat', 'columns']
    before, after = load_model(source), load_model(tmp_path / 'half.onnx')
    assert (after.names, after.preprocessing, after.head) == (before.names, before.preprocessing, before.head)


def test_weights_beyond_half_precision_are_clipped_and_told(tmp_path):
    weights = np.zeros((2, 3, 1, 1), np.float32)
    weights[0, 0], weights[0, 1], weights[1, 0], weights[1, 1] = 1e5, 1e-9, -2e5, 65504
    source = save(
        tmp_path / 'model.onnx', [
            helper.make_node('Conv', ['images', 'weights'], ['maps']),
            helper.make_node('GlobalAveragePool', ['maps'], ['means']),
            helper.make_node('Flatten', ['means'], ['out'])],
        {'images': (FLOAT, [1, 3, 8, 8])}, {'out': (FLOAT, [1, 2])}, {'weights': weights})
    report = to_fp16(source, tmp_path / 'half.onnx')
    assert (report.clipped, report.vanished) == ({'weights': 2}, {'weights': 1})
    (tensor,) = [t for t in onnx.load(str(tmp_path / 'half.onnx')).graph.initializer if t.name == 'weights']
    assert numpy_helper.to_array(tensor)[:, 0, 0, 0].tolist() == [65504.0, -65504.0]


def test_resize_keeps_its_scales_in_float32(tmp_path):
    source = save(
        tmp_path / 'model.onnx', [
            helper.make_node('Conv', ['images', 'weights'], ['maps'], 'first'),
            helper.make_node('Resize', ['maps', '', 'scales'], ['large'], 'enlarge', mode='nearest'),
            helper.make_node('Conv', ['large', 'weights2'], ['maps2'], 'second'),
            helper.make_node('GlobalAveragePool', ['maps2'], ['means']),
            helper.make_node('Flatten', ['means'], ['out'])],
        {'images': (FLOAT, [1, 3, 8, 8])}, {'out': (FLOAT, [1, 3])},
        {'weights': np.full((3, 3, 1, 1), 0.3, np.float32), 'weights2': np.full((3, 3, 1, 1), 0.2, np.float32),
         'scales': np.array([1, 1, 2, 2], np.float32)})
    to_fp16(source, tmp_path / 'half.onnx')
    proto = onnx.load(str(tmp_path / 'half.onnx'))
    assert types_of(tmp_path / 'half.onnx')['scales'] == TensorProto.FLOAT
    # The Resize itself works on halves: no cast between it and the convolutions.
    assert [node.op_type for node in proto.graph.node].count('Cast') == 2
    onnx.checker.check_model(proto, full_check=True)
    assert agreement_of(source, tmp_path / 'half.onnx').max_score_difference < 1e-3


def test_what_cannot_be_converted_is_refused(tmp_path):
    source = conv_detector(tmp_path / 'model.onnx')
    with pytest.raises(ModelError, match="has no node 'boxes'"):
        to_fp16(source, tmp_path / 'half.onnx', keep_float=('boxes',))
    to_fp16(source, tmp_path / 'half.onnx', keep_float=())
    with pytest.raises(ModelError, match='has no float32 weights'):
        to_fp16(tmp_path / 'half.onnx', tmp_path / 'again.onnx')
    with pytest.raises(ModelError, match='no model file'):
        to_fp16(tmp_path / 'nothing.onnx', tmp_path / 'again.onnx')
    assert not (tmp_path / 'again.onnx').exists()


def infer(model, image):
    backend = SimulationBackend(model)
    backend.open()
    return backend.infer('images', image)


def test_rounding_is_that_of_halves(tmp_path):
    source = save(
        tmp_path / 'model.onnx', [
            helper.make_node('Mul', ['images', 'factor'], ['out'], 'scale')],
        {'images': (FLOAT, [1, 3, 64, 64])}, {'out': (FLOAT, [1, 3, 64, 64])}, {'factor': np.array(1.1, np.float32)})
    image = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32) * 100
    model = load_graph(source)
    rounded = infer(rounding_as_half(model, ()), image)['out']
    expected = (image * np.float32(np.float16(1.1))).astype(np.float16).astype(np.float32)
    assert np.array_equal(rounded, expected)
    assert np.array_equal(infer(rounding_as_half(model, ('scale',)), image)['out'], image * np.float32(1.1))


def test_agreement_counts_the_rounding_that_a_cpu_leaves_out(tmp_path):
    source = load_model(conv_detector(tmp_path / 'model.onnx'))
    prepared = prepare_model(source, 'fp16', output=tmp_path / 'half.onnx')
    frames = [Frame.from_bgr(pixels) for pixels in color_frames(6)]
    agreement = expected_agreement(source, prepared, frames)
    assert agreement.value == 1.0 and 0 < agreement.max_score_difference < 1e-3


def test_results_beyond_half_precision_stay_in_float32(tmp_path):
    """The results of the first convolution reach 300000, which would be infinite in fp16."""
    large = np.eye(3, dtype=np.float32)[:, :, None, None] * np.float32(300_000)
    source = conv_detector(tmp_path / 'model.onnx', weights_of_first=large)
    frames = [Frame.from_bgr(pixels) for pixels in color_frames(4)]
    calibration = calibration_of(load_model(source), frames, 'minmax')
    found = overflowing(load_graph(source), calibration)
    assert set(found) == {'mix', 'relu'} and 2e5 < found['mix'] <= 3e5
    report = to_fp16(source, tmp_path / 'half.onnx', calibration=calibration)
    assert report.kept_float == ('mix', 'relu', 'back', 'flat', 'columns')
    assert report.overflowing == found and report.clipped == {}
    assert agreement_of(source, tmp_path / 'half.onnx').value == 1.0


def pooled_classifier(path, nodes, constants=None, opset=13):
    """Write a convolution to `a` [1, 8, 1, 1], `nodes` that compute `y` from it, and a Gemm to three logits."""
    rng = np.random.default_rng(0)
    return save(
        path, [
            helper.make_node('Conv', ['images', 'stem.weight'], ['maps'], 'stem'),
            helper.make_node('GlobalAveragePool', ['maps'], ['a'], 'pool'), *nodes,
            helper.make_node('Flatten', ['y'], ['flat'], 'flat'),
            helper.make_node('Gemm', ['flat', 'fc.weight'], ['logits'], 'fc', transB=1)],
        {'images': (FLOAT, [1, 3, 32, 32])}, {'logits': (FLOAT, [1, 3])}, {
            'stem.weight': rng.normal(size=(8, 3, 3, 3)).astype(np.float32),
            'fc.weight': rng.normal(size=(3, 8)).astype(np.float32), **(constants or {})},
        {'names': dict(enumerate(COLORS)), 'task': 'classify'}, opset)


def logits_of(path):
    image = np.random.default_rng(1).random((1, 3, 32, 32), np.float32)
    return infer(onnx.load(str(path)), image)['logits']


def branches(first, second):
    """Return the branches of an If with a [1, 8, 1, 1] result: lists of nodes that compute `then` and `else`."""
    def branch(name, nodes):
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(name, FLOAT, [1, 8, 1, 1])])

    return {'then_branch': branch('then', first), 'else_branch': branch('else', second)}


@pytest.mark.parametrize('value', [
    {'value_float': 0.3}, {'value_floats': [0.3] * 8}, {'value': numpy_helper.from_array(np.array(0.3, np.float32))}])
def test_constants_in_each_form_become_halves(tmp_path, value):
    """A file with a float32 Constant between halves would not load on any backend."""
    source = pooled_classifier(tmp_path / 'model.onnx', [
        helper.make_node('Constant', [], ['shape'], 'shape', value_ints=[1, -1]),
        helper.make_node('Constant', [], ['axis'], 'axis', value_int=1),
        helper.make_node('Reshape', ['a', 'shape'], ['row'], 'row'),
        helper.make_node('CumSum', ['row', 'axis'], ['sums'], 'sums'),
        helper.make_node('Constant', [], ['factor'], 'factor', **value),
        helper.make_node('Mul', ['sums', 'factor'], ['y'], 'scale')])
    assert 'Constant' not in {node.op_type for node in load_graph(source).graph.node}
    to_fp16(source, tmp_path / 'half.onnx')
    types = types_of(tmp_path / 'half.onnx')
    assert (types['factor'], types['shape'], types['axis']) == (
        TensorProto.FLOAT16, TensorProto.INT64, TensorProto.INT64)
    onnx.checker.check_model(onnx.load(str(tmp_path / 'half.onnx')), full_check=True)
    assert logits_of(tmp_path / 'half.onnx') == pytest.approx(logits_of(source), rel=0.01, abs=0.01)


@pytest.mark.parametrize('bright', [True, False])
def test_constants_inside_branches_become_halves(tmp_path, bright):
    nodes = branches(
        [helper.make_node('Constant', [], ['c1'], value_float=0.3), helper.make_node('Mul', ['a', 'c1'], ['then'])],
        [helper.make_node('Constant', [], ['c2'], value_floats=[5.0]), helper.make_node('Mul', ['a', 'c2'], ['else'])])
    source = pooled_classifier(
        tmp_path / 'model.onnx', [helper.make_node('If', ['bright'], ['y'], 'if', **nodes)],
        {'bright': np.array(bright)})
    to_fp16(source, tmp_path / 'half.onnx')
    onnx.checker.check_model(onnx.load(str(tmp_path / 'half.onnx')), full_check=True)
    assert logits_of(tmp_path / 'half.onnx') == pytest.approx(logits_of(source), rel=0.01, abs=0.01)


@pytest.mark.parametrize('bright', [True, False])
def test_a_cast_that_only_branches_read_stays(tmp_path, bright):
    nodes = branches(
        [helper.make_node('Mul', ['c', 'two'], ['then'])], [helper.make_node('Identity', ['c'], ['else'])])
    source = pooled_classifier(
        tmp_path / 'model.onnx', [
            helper.make_node('Cast', ['a'], ['c'], 'cast', to=TensorProto.FLOAT),
            helper.make_node('If', ['bright'], ['y'], 'if', **nodes)],
        {'bright': np.array(bright), 'two': np.array(2, np.float32)})
    to_fp16(source, tmp_path / 'half.onnx')
    onnx.checker.check_model(onnx.load(str(tmp_path / 'half.onnx')), full_check=True)
    assert logits_of(tmp_path / 'half.onnx') == pytest.approx(logits_of(source), rel=0.01, abs=0.02)


def test_a_cast_of_the_models_own_is_no_round_trip(tmp_path):
    source = pooled_classifier(
        tmp_path / 'model.onnx', [
            helper.make_node('Shape', ['a'], ['shape'], 'shape'),
            helper.make_node('Gather', ['shape', 'one'], ['channels'], 'gather'),
            helper.make_node('Cast', ['channels'], ['c'], 'cast', to=TensorProto.FLOAT),
            helper.make_node('Div', ['a', 'c'], ['y'], 'div')],
        {'one': np.array(1)})
    to_fp16(source, tmp_path / 'half.onnx', keep_float=('div',))
    onnx.checker.check_model(onnx.load(str(tmp_path / 'half.onnx')), full_check=True)
    assert logits_of(tmp_path / 'half.onnx') == pytest.approx(logits_of(source), rel=0.01, abs=0.01)


def logarithm(path, factor):
    """Write a model with a million times the logarithm of (positive part times `factor`); 0 if the part is 0."""
    return pooled_classifier(path, [
        helper.make_node('Relu', ['a'], ['positive'], 'relu'),
        helper.make_node('Mul', ['positive', 'factor'], ['scaled'], 'factor'),
        helper.make_node('Log', ['scaled'], ['log'], 'log'),
        helper.make_node('Mul', ['log', 'million'], ['large'], 'large'),
        helper.make_node('Greater', ['positive', 'zero'], ['any'], 'any'),
        helper.make_node('Where', ['any', 'large', 'zero'], ['y'], 'where')],
        {'factor': np.array(factor, np.float32), 'million': np.array(1e6, np.float32),
         'zero': np.array(0, np.float32)})


def test_infinities_on_purpose_are_no_overflow(tmp_path):
    """Infinities are infinite in a half too. Finite results beside them still count."""
    source = logarithm(tmp_path / 'model.onnx', 1.0)
    calibration = calibration_of(load_model(source), [Frame.from_bgr(pixels) for pixels in color_frames(4)], 'minmax')
    image = next(iter(calibration.inputs()))['images']
    assert np.isinf(infer(load_graph_with(source, 'log'), image)['log']).any()
    found = overflowing(load_graph(source), calibration)
    assert 'log' not in found and 65504 < found['large'] < np.inf
    assert to_fp16(source, tmp_path / 'half.onnx', calibration=calibration).overflowing == found
    with pytest.raises(CalibrationError, match='found NaN or infinity in float32 already'):
        overflowing(load_graph(logarithm(source, -1.0)), calibration)


def load_graph_with(path, tensor):
    """Return the model with one more output."""
    model = load_graph(path)
    model.graph.output.append(onnx.ValueInfoProto(name=tensor))
    return model
