# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from trt_perception.errors import CalibrationError, ModelError
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
from onnx import TensorProto, numpy_helper
from support.precision_models import color_frames, conv_classifier, conv_detector

from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.options import CalibrationOptions
from trt_perception.precision import graph
from trt_perception.precision.calibration import calibration_of
from trt_perception.precision.cost import multiplications
from trt_perception.precision.decoder import Decoder, decoder_of
from trt_perception.precision.fp16 import halve_rest
from trt_perception.precision.int8 import quantize
from trt_perception.precision.parity import compare
from trt_perception.precision.prepare import prepare_model
from trt_perception.precision.target import Target

FRAMES = [Frame.from_bgr(pixels) for pixels in color_frames(8)]
OTHERS = [Frame.from_bgr(pixels) for pixels in color_frames(8, seed=1)]
# If one channel is a thousand times as large as the others, it takes all steps of a shared scale.
UNEVEN = np.diag([1000.0, 1.0, 1.0]).astype(np.float32)[:, :, None, None]


def calibrated(path, method='minmax'):
    return calibration_of(load_model(path), FRAMES, method)


def array(proto, name):
    (tensor,) = [tensor for tensor in proto.graph.initializer if tensor.name == name]
    return numpy_helper.to_array(tensor)


def producer(proto, name):
    found = [node for node in proto.graph.node if name in node.output]
    return found[0] if found else None


@pytest.fixture
def quantised(tmp_path):
    source = conv_classifier(tmp_path / 'model.onnx')
    report = quantize(source, tmp_path / 'int8.onnx', calibrated(source), keep_float=())
    return onnx.load(str(tmp_path / 'int8.onnx')), report, source, tmp_path / 'int8.onnx'


def test_each_layer_has_qdq_on_its_input_and_weights_only(quantised):
    proto, report, _, _ = quantised
    assert report.int8 == ('stem', 'body', 'fc') and report.kept_float == () and report.int8_share == 1.0
    layers = [node for node in proto.graph.node if node.op_type in ('Conv', 'Gemm')]
    assert len(layers) == 3
    for layer in layers:
        for name in layer.input[:2]:
            dequantise = producer(proto, name)
            quantise = producer(proto, dequantise.input[0])
            assert (quantise.op_type, dequantise.op_type) == ('QuantizeLinear', 'DequantizeLinear')
            zero_point = array(proto, dequantise.input[2])
            assert zero_point.dtype == np.int8 and not zero_point.any()
        # A bias is a float: TensorRT accepts no DequantizeLinear of int32.
        assert all(producer(proto, name) is None for name in layer.input[2:])
        # The activation follows directly: TensorRT fuses it.
        assert all(
            node.op_type != 'QuantizeLinear' for node in proto.graph.node if layer.output[0] in node.input)
    onnx.checker.check_model(proto, full_check=True)


def test_scales_are_symmetric_and_per_output_channel(quantised):
    proto, _, source, _ = quantised
    weights = array(onnx.load(str(source)), 'stem.weight')
    (stem,) = [node for node in proto.graph.node if node.name == 'stem']
    by_weights = producer(proto, stem.input[1])
    assert [a.i for a in by_weights.attribute if a.name == 'axis'] == [0]
    assert array(proto, by_weights.input[1]) == pytest.approx(np.abs(weights).max(axis=(1, 2, 3)) / 127, rel=1e-3)
    by_input = producer(proto, stem.input[0])
    largest = max(float(np.abs(sample['images']).max()) for sample in calibrated(source).inputs())
    assert array(proto, by_input.input[1]) == pytest.approx(largest / 127, rel=1e-3)


def test_file_says_what_it_is(quantised):
    _, report, source, path = quantised
    before, after = load_model(source), load_model(path)
    assert after.stored_precision == 'int8'
    assert (after.names, after.preprocessing, after.head) == (before.names, before.preprocessing, before.head)
    record = graph.read_record(path)
    assert record == json.loads(json.dumps(report.as_dict()))
    assert (record['method'], record['samples'], record['int8']) == ('minmax', 8, ['stem', 'body', 'fc'])
    assert record['calibration_sha256'] == calibrated(source).sha256


def test_a_detection_heads_last_layer_stays_in_float(tmp_path):
    source = conv_detector(tmp_path / 'model.onnx')
    report = quantize(source, tmp_path / 'int8.onnx', calibrated(source))
    assert (report.int8, report.kept_float) == (('mix', 'back'), ('shrink',))
    assert report.agreement is None and report.method == 'minmax'
    # 64 * 64 * 9 each for mix and back; 8 * 8 cells of 3 * 3 * 64 for shrink.
    assert report.int8_share == pytest.approx(2 / 3)


def test_search_leaves_the_sensitive_layer_in_float(tmp_path):
    """Behind `mix` one channel is a thousand times as large as the others, so `back` cannot be int8."""
    source = conv_detector(tmp_path / 'model.onnx', weights_of_first=UNEVEN)
    calibration = calibrated(source)
    everything = quantize(source, tmp_path / 'naive.onnx', calibration, OTHERS, keep_float=('shrink',))
    assert everything.agreement.value < 0.9
    report = quantize(source, tmp_path / 'int8.onnx', calibration, OTHERS)
    assert (report.int8, report.kept_float) == (('mix',), ('back', 'shrink'))
    assert report.agreement.value >= 0.95 and report.agreement.mean_score_difference <= 0.02
    assert report.sensitivity['back'] > 10 * report.sensitivity['mix']


def test_a_target_out_of_reach_is_an_error_with_numbers(tmp_path):
    source = conv_detector(tmp_path / 'model.onnx')
    with pytest.raises(CalibrationError, match=r'does not reach .*score difference 0.0.*matched.*Use fp16'):
        quantize(source, tmp_path / 'int8.onnx', calibrated(source), OTHERS, targets=(Target(1.0, 0.0),))
    assert not (tmp_path / 'int8.onnx').exists()


def test_auto_measures_all_methods_and_takes_the_best(tmp_path):
    source = conv_detector(tmp_path / 'model.onnx')
    report = quantize(source, tmp_path / 'int8.onnx', calibrated(source, 'auto'), OTHERS)
    assert set(report.losses) == {'minmax', 'entropy', 'percentile', 'mse'}
    assert report.losses[report.method] == min(report.losses.values())


def test_frames_that_show_nothing_cannot_check(tmp_path):
    source = conv_detector(tmp_path / 'model.onnx')
    dark = [Frame.from_bgr(np.zeros((64, 64, 3), np.uint8))]
    with pytest.raises(CalibrationError, match='detects nothing in the 1 frames'):
        quantize(source, tmp_path / 'int8.onnx', calibrated(source), dark)


def test_batch_normalisation_is_folded_and_old_opsets_are_raised(tmp_path):
    source = conv_detector(tmp_path / 'model.onnx', opset=11, batch_norm=True)
    report = quantize(source, tmp_path / 'int8.onnx', calibrated(source), OTHERS)
    proto = onnx.load(str(tmp_path / 'int8.onnx'))
    assert 'BatchNormalization' not in {node.op_type for node in proto.graph.node}
    assert {entry.domain: entry.version for entry in proto.opset_import}[''] >= 13
    assert {node.domain for node in proto.graph.node} <= {'', 'ai.onnx'}
    assert len(report.int8) == 2 and report.agreement.value >= 0.95
    assert len({node.name for node in proto.graph.node}) == len(proto.graph.node)


def test_what_cannot_be_quantised_is_refused(tmp_path, quantised):
    source = conv_detector(tmp_path / 'detector.onnx')
    # `relu` is a node, but it can never be int8.
    for name in ('conv1', 'relu'):
        with pytest.raises(ModelError, match=rf"found '{name}', which is not .*int8: choose from mix, back, shrink$"):
            quantize(source, tmp_path / 'a.onnx', calibrated(source), keep_float=('shrink', name))
    with pytest.raises(CalibrationError, match='found every layer kept in float'):
        quantize(source, tmp_path / 'a.onnx', calibrated(source), keep_float=('mix', 'back', 'shrink'))
    with pytest.raises(ModelError, match='is an int8 model already'):
        quantize(quantised[3], tmp_path / 'a.onnx', calibrated(source))


def test_weights_in_constant_nodes_are_found(tmp_path):
    source = conv_detector(tmp_path / 'model.onnx')
    proto = onnx.load(str(source))
    kept = [tensor for tensor in proto.graph.initializer if tensor.name != 'mix.weight']
    (moved,) = [tensor for tensor in proto.graph.initializer if tensor.name == 'mix.weight']
    proto.graph.node.insert(0, onnx.helper.make_node('Constant', [], ['mix.weight'], value=moved))
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    onnx.save(proto, str(source))
    assert [node.name for node in graph.weighted_nodes(graph.load_model(source).graph)] == ['mix', 'back', 'shrink']


def test_layers_that_share_weights_are_quantised_one_by_one(tmp_path):
    """Without separate weights, the quantiser would let the float layer read the int8 weights too."""
    source = conv_detector(tmp_path / 'model.onnx')
    alone = quantize(source, tmp_path / 'alone.onnx', calibrated(source), keep_float=('back', 'shrink'))
    proto = onnx.load(str(source))
    (back,) = [node for node in proto.graph.node if node.name == 'back']
    back.input[1] = 'mix.weight'  # The same values, for this model.
    back.input.append('mix.bias')
    onnx.save(proto, str(source))
    report = quantize(source, tmp_path / 'int8.onnx', calibrated(source), keep_float=('back', 'shrink'))
    assert (report.int8, report.kept_float) == (alone.int8, alone.kept_float) == (('mix',), ('back', 'shrink'))
    made = onnx.load(str(tmp_path / 'int8.onnx'))
    (back,) = [node for node in made.graph.node if node.name == 'back']
    assert producer(made, back.input[1]) is None
    assert np.array_equal(array(made, back.input[1]), np.eye(3)[:, :, None, None])
    assert np.array_equal(array(made, back.input[2]), np.zeros(3))
    with HostPipeline(load_model(source), OnnxRuntimeBackend(source)) as first, \
            HostPipeline(load_model(tmp_path / 'int8.onnx'), OnnxRuntimeBackend(tmp_path / 'int8.onnx')) as second:
        assert compare(first, second, OTHERS).value == 1.0


def test_tail_reaches_through_a_distribution_over_bins(tmp_path):
    """YOLOv8 computes boxes with a convolution to one channel: it is decoding, and the one before it is the last."""
    helper = onnx.helper
    proto = helper.make_model(helper.make_graph(
        [helper.make_node('Conv', ['images', 'w1'], ['a'], 'box'), helper.make_node('Softmax', ['a'], ['b'], 'softmax'),
         helper.make_node('Conv', ['b', 'w2'], ['c'], 'dfl'), helper.make_node('Sigmoid', ['c'], ['out'], 'end')],
        'g', [], [helper.make_tensor_value_info('out', TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros((16, 3, 1, 1), np.float32), 'w1'),
         numpy_helper.from_array(np.zeros((1, 16, 1, 1), np.float32), 'w2')]))
    assert decoder_of(proto.graph) == Decoder(
        frozenset({'softmax', 'dfl', 'end'}), frozenset({'box'}), frozenset({'dfl'}))


def test_multiplications(tmp_path):
    cost = multiplications(graph.load_model(conv_classifier(tmp_path / 'model.onnx')))
    assert cost == {'stem': 8 * 3 * 9 * 15 * 15, 'body': 16 * 8 * 9 * 13 * 13, 'fc': 3 * 16}


def test_the_rest_in_half_precision(tmp_path):
    """For strongly typed TensorRT: Q reads halves and DQ writes halves, the decoding stays in float32."""
    source = conv_detector(tmp_path / 'model.onnx')
    quantize(source, tmp_path / 'int8.onnx', calibrated(source))
    halve_rest(tmp_path / 'int8.onnx', tmp_path / 'mixed.onnx')
    proto = onnx.load(str(tmp_path / 'mixed.onnx'))
    # Without shape inference: in onnx 1.15 it always takes DequantizeLinear's result for float32.
    onnx.checker.check_model(proto)
    types = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    assert (types['shrink.weight'], types['mix.weight'], types['boxes']) == (
        TensorProto.FLOAT16, TensorProto.FLOAT16, TensorProto.FLOAT)
    quantisers = [node for node in proto.graph.node if node.op_type in ('QuantizeLinear', 'DequantizeLinear')]
    assert len(quantisers) == 8 and {types[node.input[1]] for node in quantisers} == {TensorProto.FLOAT16}
    # One cast in, one before the decoding: none between Q, DQ and their layers.
    assert [node.op_type for node in proto.graph.node].count('Cast') == 2
    before, after = load_model(tmp_path / 'int8.onnx'), load_model(tmp_path / 'mixed.onnx')
    assert (after.stored_precision, after.names) == ('int8', before.names)
    assert graph.read_record(after.path) == {**graph.read_record(before.path), 'rest': 'fp16'}
    with HostPipeline(before, OnnxRuntimeBackend(before.path)) as first, \
            HostPipeline(after, OnnxRuntimeBackend(after.path)) as second:
        agreement = compare(first, second, OTHERS)
    # Two int8 layers: a half may round to the other side, which is a step of 1/127 in each layer.
    assert agreement.value == 1.0 and agreement.max_score_difference < 2.5 / 127
    with pytest.raises(ModelError, match='was not made int8 by this package'):
        halve_rest(source, tmp_path / 'a.onnx')


@pytest.fixture
def folder(tmp_path, monkeypatch):
    cv2 = pytest.importorskip('cv2')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    images = tmp_path / 'images'
    images.mkdir()
    for index, pixels in enumerate(color_frames(40)):
        cv2.imwrite(str(images / f'{index}.png'), pixels)
    return images


def test_prepared_models_come_from_the_cache(tmp_path, folder):
    spec = load_model(conv_detector(tmp_path / 'model.onnx'))
    options = CalibrationOptions(str(folder), samples=30, checking=8, method='mse')
    first = prepare_model(spec, 'int8', options)
    assert not first.cached and len(first.checking) == 8 and len(first.calibration_sha256) == 64
    assert first.path.parent == tmp_path / 'cache' / 'trt_perception' / 'quantized'
    content = first.path.read_bytes()
    again = prepare_model(spec, 'int8', options)
    assert (again.cached, again.path, again.record) == (True, first.path, first.record)
    # Other data give another file; a damaged file is made again.
    fewer = prepare_model(spec, 'int8', CalibrationOptions(str(folder), samples=20, checking=8, method='mse'))
    assert not fewer.cached and fewer.path != first.path
    assert fewer.calibration_sha256 != first.calibration_sha256
    first.path.write_bytes(content[:-100])
    mended = prepare_model(spec, 'int8', options)
    assert not mended.cached and mended.path.read_bytes() == content
    names = {path.suffix for path in first.path.parent.iterdir() if not path.name.startswith('.')}
    assert names == {'.onnx', '.json'}


def test_prepared_precisions(tmp_path, folder):
    spec = load_model(conv_detector(tmp_path / 'model.onnx'))
    assert prepare_model(spec, 'fp32').path == spec.path
    half = prepare_model(spec, 'fp16')
    assert load_model(half.path).stored_precision == 'fp16' and half.calibration_sha256 == ''
    assert prepare_model(load_model(half.path), 'fp16').path == half.path
    with pytest.raises(ModelError, match='is stored in fp16: expected the fp32 file to convert to int8'):
        prepare_model(load_model(half.path), 'int8', CalibrationOptions(str(folder)))
    with pytest.raises(CalibrationError, match='int8 needs calibration data'):
        prepare_model(spec, 'int8')
    with pytest.raises(ModelError, match="precision is 'int4'"):
        prepare_model(spec, 'int4')


def test_command(tmp_path, folder, capsys):
    from trt_perception.cli.main import main
    source, output = conv_detector(tmp_path / 'model.onnx'), tmp_path / 'out.onnx'
    assert main([
        'quantize', str(source), '--calibration', str(folder), '--samples', '30', '--checking', '8', '--method', 'mse',
        '--output', str(output), '--json', str(tmp_path / 'report.json')]) == 0
    shown = capsys.readouterr()
    assert 'int8 (2 layers, 67% of the multiplications): mix back' in shown.out
    assert 'float (1 layers): shrink' in shown.out
    assert 'with fp32, int8 rounding computed exactly: agreement 1.000' in shown.out
    assert 'only 30 calibration samples' in shown.err
    report = json.loads((tmp_path / 'report.json').read_text())
    assert report['conversion']['samples'] == 30 and report['agreement']['value'] == 1.0
    assert load_model(output).stored_precision == 'int8'
    assert main([
        'quantize', str(source), '--calibration', str(folder), '--method', 'mse', '--half-rest',
        '--output', str(output)]) == 0
    assert graph.read_record(output)['rest'] == 'fp16'
    capsys.readouterr()
    assert main(['quantize', str(source), '--output', str(output)]) == 1
    assert 'int8 needs calibration data' in capsys.readouterr().err
    assert main(['quantize', str(source), '--precision', 'fp16', '--output', str(source)]) == 1
    assert 'is also another file of this command' in capsys.readouterr().err
    assert main(['quantize', str(source), '--precision', 'fp16', '--output', str(output)]) == 0
    assert 'agreement not measured: give frames with --calibration' in capsys.readouterr().out
