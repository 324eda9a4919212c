# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX models whose input or outputs are uint8 or int8: the right integers in, real numbers out, on each backend."""

import json

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
from onnx import helper, numpy_helper
from support.precision_models import color_frames, conv_detector
from support.quantised_models import quantise_edges, quantised_inside, without_first_node
from support.recording_monitor import Told
from support.tiny_models import FLOAT, FLOAT16, UINT8, color_classifier, color_detector, save

from trt_perception.backends.create import create_pipeline
from trt_perception.backends.trial import try_backends
from trt_perception.cli.main import main
from trt_perception.errors import ModelError
from trt_perception.image.frame import Frame
from trt_perception.model.normalisation import METADATA_KEY, Overrides
from trt_perception.model.onnx_quantisation import METADATA_KEY as RULES_KEY
from trt_perception.model.spec import ModelOptions, load_model
from trt_perception.pipeline.options import PipelineOptions
from trt_perception.pipeline.preprocess import Preprocessor
from trt_perception.precision.prepare import float_edges, prepare_model
from trt_perception.tensors.quantisation import Quantisation

# Of the network's input size, so that resizing changes no pixel.
PIXELS = np.random.default_rng(3).integers(0, 256, (64, 64, 3), np.uint8)
FRAME = Frame.from_bgr(PIXELS)
RAW = ('uint8', 1 / 255, 0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def detector(tmp_path, name='m.onnx', **options):
    return color_detector(tmp_path / name, metadata={'names': {0: 'red', 1: 'green', 2: 'blue'}}, **options)


def red_squares():
    """A black image of 64x64 with a pure red and a pure blue cell of the colour detector."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[8:16, 24:32, 2] = 255
    pixels[48:56, 40:48, 0] = 230
    return Frame.from_bgr(pixels)


def run(spec, frame, backend='onnxruntime', precision='fp32'):
    with create_pipeline(spec, PipelineOptions(backend, precision, num_threads=1)) as pipeline:
        return pipeline.run(frame).result


@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
def test_a_uint8_input_of_one_255th_takes_the_pixels_as_they_are(tmp_path, layout):
    spec = load_model(quantise_edges(detector(tmp_path, layout=layout), {'images': RAW}))
    assert spec.input_dtype == np.uint8
    assert spec.input_quantisation == Quantisation('uint8', (np.float32(1 / 255),), (0,))
    assert (spec.stored_precision, spec.preprocessing.scale) == ('fp32', pytest.approx(1 / 255))
    tensor, _ = Preprocessor(spec)(FRAME)
    rgb = PIXELS[..., ::-1]
    assert tensor.dtype == np.uint8
    np.testing.assert_array_equal(tensor[0], rgb.transpose(2, 0, 1) if layout == 'nchw' else rgb)


def test_an_int8_input_takes_the_pixels_less_128(tmp_path):
    spec = load_model(quantise_edges(detector(tmp_path), {'images': ('int8', 1 / 255, -128)}))
    tensor, _ = Preprocessor(spec)(FRAME)
    assert tensor.dtype == np.int8
    np.testing.assert_array_equal(tensor[0].astype(int), PIXELS[..., ::-1].transpose(2, 0, 1).astype(int) - 128)


def test_the_integers_of_another_normalisation_are_rounded_and_limited(tmp_path):
    """The network takes (pixel - 127) / 128, in integers of 1/50 from -40 on: halves, and numbers below the lowest."""
    said = {METADATA_KEY: json.dumps({'scale': 1.0, 'mean': [127.0], 'std': [128.0]})}
    spec = load_model(quantise_edges(detector(tmp_path), {'images': ('uint8', 1 / 50, 40)}, said))
    tensor, _ = Preprocessor(spec)(FRAME)
    real = (PIXELS[..., ::-1].transpose(2, 0, 1).astype(np.float32) - 127) / 128
    expected = np.clip(np.rint(real * 50 + 40), 0, 255)
    assert expected.min() == 0 and np.abs(tensor[0] - expected).max() == 0


def test_channels_with_means_of_their_own(tmp_path):
    overrides = Overrides(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    path = quantise_edges(detector(tmp_path), {'images': ('int8', 0.0187, -14)})
    spec = load_model(path, ModelOptions(preprocessing=overrides))
    assert spec.preprocessing.mean == overrides.mean
    real = (PIXELS[..., ::-1] * (spec.preprocessing.scale * np.float64(1)) - overrides.mean) / overrides.std
    expected = np.clip(np.rint(real / 0.0187 - 14), -128, 127).transpose(2, 0, 1)
    # Two roundings of a number near a half may differ.
    assert np.abs(Preprocessor(spec)(FRAME)[0][0] - expected).max() <= 1


def test_a_grey_model(tmp_path):
    path = save(
        tmp_path / 'm.onnx', [helper.make_node('ReduceMean', ['images'], ['m'], axes=[2, 3], keepdims=0),
                              helper.make_node('Mul', ['m', 'w'], ['scores'])],
        {'images': (FLOAT, [1, 1, 8, 8])}, {'scores': (FLOAT, [1, 3])}, {'w': np.float32([[1, 2, 3]])})
    spec = load_model(quantise_edges(path, {'images': ('int8', 1 / 255, -128)}))
    tensor, _ = Preprocessor(spec)(Frame.from_bgr(np.full((8, 8, 3), 200, np.uint8)))
    assert tensor.shape == (1, 1, 8, 8) and (tensor == 72).all()


@pytest.mark.parametrize('rules', [
    {'images': RAW}, {'images': ('int8', 1 / 255, -128)}, {'output0': ('uint8', 0.25, 0)},
    {'images': ('int8', 2 / 255, 0), 'output0': ('int8', 0.5, -128)}])
def test_the_boxes_are_those_of_the_float_model(tmp_path, rules):
    found = run(load_model(quantise_edges(detector(tmp_path), rules)), red_squares())
    expected = run(load_model(detector(tmp_path, 'float.onnx')), red_squares())
    assert expected.class_indices.tolist() == [0, 2]
    assert found.class_indices.tolist() == expected.class_indices.tolist()
    # Boxes and scores are in one tensor with one scale: half of it is the largest error.
    step = rules.get('output0', ('', 0.0, 0))[1]
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=step + 1e-3)
    np.testing.assert_allclose(found.scores, expected.scores, atol=step / 2 + 5e-3)


def test_a_classifier_with_quantised_logits(tmp_path):
    metadata = {'names': ['red', 'green', 'blue'], METADATA_KEY: json.dumps({'mean': [0], 'std': [1]})}
    path = quantise_edges(color_classifier(tmp_path / 'm.onnx', metadata=metadata), {'logits': ('int8', 0.1, 10)})
    image = Frame.from_bgr(np.full((16, 16, 3), (0, 128, 255), np.uint8))
    expected = run(load_model(color_classifier(tmp_path / 'f.onnx', metadata=metadata)), image)
    found = run(load_model(path), image)
    assert found.class_indices.tolist() == expected.class_indices.tolist() == [0, 1, 2]
    # Softmax of codes would be 1, 0, 0.
    assert 0.5 < expected.scores[0] < 0.999
    np.testing.assert_allclose(found.scores, expected.scores, atol=0.02)


def test_the_metadata_say_what_the_graph_does_not(tmp_path):
    rules = {'images': ('int8', 1 / 255, -128), 'output0': ('uint8', 0.25, 3)}
    path = quantise_edges(detector(tmp_path), rules, in_graph=False)
    with pytest.raises(ModelError) as error:
        load_model(path)
    assert 'neither its graph nor its metadata say what the numbers stand for' in str(error.value)
    said = {name: {'scale': scale, 'zero_point': zero} for name, (_, scale, zero) in rules.items()}
    path = quantise_edges(detector(tmp_path), rules, {RULES_KEY: json.dumps(said)}, in_graph=False)
    found = run(load_model(path), red_squares())
    assert found.class_indices.tolist() == [0, 2]
    np.testing.assert_allclose(found.boxes, [[24, 8, 32, 16], [40, 48, 48, 56]], atol=0.26)


def test_an_integer_output_without_a_rule_is_refused_with_the_remedy(tmp_path):
    path = quantise_edges(detector(tmp_path), {'output0': ('uint8', 0.25, 3)}, in_graph=False)
    with pytest.raises(ModelError) as error:
        load_model(path)
    assert 'write scale and zero point into the metadata trt_perception.quantisation' in str(error.value)


@pytest.mark.parametrize('text, message', [
    ('[1]', 'expected a JSON object such as'), ('{"output0": 3}', 'expected a JSON object such as'),
    ('{"output0": {"zero_point": 3}}', 'expected a JSON object such as'),
    ('{"output0": {"scale": -1}}', "gives 'output0' the scale -1: expected a number above 0"),
    ('{"output1": {"scale": 1}}', "names 'output1': expected an input or output of 8 or 16 bits, which are output0")])
def test_metadata_that_cannot_be_used(tmp_path, text, message):
    path = quantise_edges(detector(tmp_path), {'output0': ('uint8', 0.25, 3)}, {RULES_KEY: text}, in_graph=False)
    with pytest.raises(ModelError) as error:
        load_model(path)
    assert message in str(error.value)


def test_a_graph_that_also_reads_the_shape_of_its_input(tmp_path):
    path = quantise_edges(detector(tmp_path), {'images': RAW})
    model = onnx.load(str(path))
    model.graph.node.insert(0, helper.make_node('Shape', ['images'], ['size']))
    onnx.save(model, str(path))
    spec = load_model(path)
    assert spec.input_quantisation is not None
    assert len(run(float_edges(spec), red_squares())) == 2


def test_pixels_that_the_graph_casts_stay_pixels(tmp_path):
    spec = load_model(detector(tmp_path, dtype=UINT8))
    assert spec.input_quantisation is None
    assert spec.preprocessing.scale == 1.0


def test_symmetric_int8_says_nothing_of_the_range(tmp_path):
    """TensorRT's form has the zero point 0 for 0..1 too: the usual normalisation of a detector counts."""
    spec = load_model(quantise_edges(detector(tmp_path), {'images': ('int8', 1 / 127, 0)}))
    assert spec.preprocessing.mean == (0.0, 0.0, 0.0)
    expected = np.rint(PIXELS[..., ::-1].transpose(2, 0, 1) * np.float32(127 / 255))
    np.testing.assert_array_equal(Preprocessor(spec)(FRAME)[0][0], expected)


def test_the_integers_are_the_pixels_unless_the_file_says_otherwise(tmp_path):
    """By TensorFlow's rule; a network that takes 0..1 cannot be told from one that takes -1..1 in another way."""
    spec = load_model(quantise_edges(detector(tmp_path), {'images': ('uint8', 1 / 127.5, 127)}))
    np.testing.assert_array_equal(Preprocessor(spec)(FRAME)[0][0], PIXELS[..., ::-1].transpose(2, 0, 1))
    by_ultralytics = load_model(quantise_edges(
        detector(tmp_path), {'images': ('uint8', 1 / 127.5, 127)}, {'stride': '32'}))
    expected = np.rint(PIXELS[..., ::-1].transpose(2, 0, 1) / 2) + 127
    assert np.abs(Preprocessor(by_ultralytics)(FRAME)[0][0] - expected).max() <= 1
    assert by_ultralytics.preprocessing.mean == (0.0, 0.0, 0.0)


def test_a_convolution_of_the_operator_format_says_the_rule(tmp_path):
    nodes = [
        helper.make_node(
            'QLinearConv', ['images', 's', 'z', 'w', 'ws', 'wz', 'ys', 'yz'], ['stored'], kernel_shape=[1, 1]),
        helper.make_node('MaxPool', ['stored'], ['best'], kernel_shape=[8, 8]),
        helper.make_node('Reshape', ['best', 'shape'], ['scores'])]
    path = save(
        tmp_path / 'm.onnx', nodes, {'images': (UINT8, [1, 3, 8, 8])}, {'scores': (UINT8, [1, 3])},
        {'s': np.float32(1 / 255), 'z': np.uint8(0), 'w': np.eye(3, dtype=np.uint8)[..., None, None] * 100,
         'ws': np.float32(0.1), 'wz': np.uint8(0), 'ys': np.float32(0.05), 'yz': np.uint8(20),
         'shape': np.int64([1, 3])})
    spec = load_model(path)
    assert dict(spec.quantised) == {
        'images': Quantisation('uint8', (np.float32(1 / 255),), (0,)),
        'scores': Quantisation('uint8', (np.float32(0.05),), (20,))}
    assert spec.stored_precision == 'int8'
    result = run(spec, Frame.from_bgr(np.full((8, 8, 3), (51, 102, 204), np.uint8)), precision='int8')
    with pytest.raises(ModelError, match='has layers such as QLinearConv: TensorRT takes int8 as QuantizeLinear and'):
        float_edges(spec)
    # Ten times the channels, as logits in steps of 0.05.
    expected = np.exp([8, 4, 2]) / np.exp([8, 4, 2]).sum()
    np.testing.assert_allclose(result.scores, expected, atol=1e-3)


def test_an_ssd_of_tensorflow_with_uint8_pixels(tmp_path):
    """[1, height, width, 3] uint8 with a dynamic size, cast at once, as tf2onnx writes it."""
    boxes = np.zeros((1, 10, 4), np.float32)
    boxes[0, 0] = 0.1, 0.2, 0.5, 0.6
    scores, classes = np.zeros((1, 10), np.float32), np.ones((1, 10), np.float32)
    scores[0, 0], classes[0, 0] = 0.9, 17
    outputs = {'detection_boxes:0': boxes, 'detection_classes:0': classes, 'detection_scores:0': scores,
               'num_detections:0': np.float32([10])}
    nodes = [
        helper.make_node('Cast', ['image_tensor:0'], ['f'], to=FLOAT),
        helper.make_node('ReduceMean', ['f'], ['m'], keepdims=0), helper.make_node('Mul', ['m', 'zero'], ['nothing'])]
    nodes += [helper.make_node('Add', [f'c{name}', 'nothing'], [name]) for name in outputs]
    spec = load_model(save(
        tmp_path / 'm.onnx', nodes, {'image_tensor:0': (UINT8, [1, 300, 300, 3])},
        {name: (FLOAT, list(array.shape)) for name, array in outputs.items()},
        {'zero': np.float32(0), **{f'c{name}': array for name, array in outputs.items()}}))
    assert (spec.layout, spec.preprocessing.resize_mode, spec.head.kind) == ('nhwc', 'stretch', 'labelled')
    tensor, _ = Preprocessor(spec)(Frame.from_bgr(np.full((300, 300, 3), (1, 2, 3), np.uint8)))
    assert tensor.dtype == np.uint8 and tensor[0, 0, 0].tolist() == [3, 2, 1]
    result = run(spec, Frame.from_bgr(np.zeros((200, 100, 3), np.uint8)))
    np.testing.assert_allclose(result.boxes, [[20, 20, 60, 100]], atol=1e-3)


@pytest.mark.parametrize('rules', [
    {'images': RAW, 'output0': ('uint8', 0.25, 0)}, {'images': ('int8', 1 / 127, 0), 'output0': ('int8', 0.5, -128)}])
def test_float_edges_for_tensorrt(tmp_path, rules):
    spec = load_model(quantise_edges(detector(tmp_path), rules))
    made = float_edges(spec)
    assert (made.input_dtype, made.quantised, made.outputs) == (np.float32, (), spec.outputs)
    model = onnx.load(str(made.path))
    assert {value.name: value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output)} == {
        'images': 1, 'output0': 1}
    # The network computes in floats, so nothing is rounded, and it can be converted to fp16.
    assert not any('Linear' in node.op_type for node in model.graph.node)
    assert prepare_model(spec, 'fp16', monitor=Told().monitor).precision == 'fp16'
    # Outputs without rounding: the boxes are exact.
    found = run(made, red_squares())
    assert found.class_indices.tolist() == [0, 2]
    np.testing.assert_allclose(found.boxes, [[24, 8, 32, 16], [40, 48, 48, 56]], atol=1e-3)
    assert float_edges(spec) == made
    plain = load_model(detector(tmp_path, 'float.onnx'))
    assert float_edges(plain) is plain


def integer_nodes(spec):
    """The nodes that make 8-bit integers, which TensorRT has only between QuantizeLinear and DequantizeLinear."""
    return [
        node.name for node in onnx.load(str(spec.path)).graph.node
        if node.op_type == 'QuantizeLinear' or (
            node.op_type == 'Cast' and helper.get_node_attr_value(node, 'to') in (2, 3))]


def moving_model(path, source=FLOAT, opset=13):
    """A classifier whose pixels are turned before the Cast, and its result after it; the metadata say the rules."""
    return load_model(save(
        path, [
            helper.make_node('Transpose', ['images'], ['turned'], perm=[0, 3, 1, 2]),
            helper.make_node('Cast', ['turned'], ['real'], to=source),
            helper.make_node('ReduceMean', ['real'], ['means'], axes=[2, 3], keepdims=0),
            helper.make_node('Cast', ['means'], ['whole'], to=UINT8),
            helper.make_node('Reshape', ['whole', 'shape'], ['scores'])],
        {'images': (UINT8, [1, 8, 8, 3])}, {'scores': (UINT8, [1, 3])}, {'shape': np.int64([1, 3])},
        metadata={RULES_KEY: json.dumps({'images': {'scale': 1 / 255}, 'scores': {'scale': 1 / 255}}),
                  'task': 'classify'}, opset=opset))


@pytest.mark.parametrize('source, opset', [(FLOAT, 13), (FLOAT16, 13), (FLOAT, 11)])
def test_metadata_rules_of_integers_that_the_graph_moves(tmp_path, source, opset):
    spec = moving_model(tmp_path / 'm.onnx', source, opset)
    frame = Frame.from_bgr(np.full((8, 8, 3), (10, 60, 200), np.uint8))
    expected, made = run(spec, frame), float_edges(spec)
    assert not integer_nodes(made) and made.input_dtype == np.float32
    found = run(made, frame)
    assert found.class_indices.tolist() == expected.class_indices.tolist() == [0, 1, 2]
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


def test_metadata_rules_before_round_exists(tmp_path):
    with pytest.raises(ModelError, match=r"m.onnx has opset 10: .* 'images' .* needs opset 11 or later; export"):
        float_edges(moving_model(tmp_path / 'm.onnx', opset=10))


def test_metadata_rules_become_nodes_for_tensorrt(tmp_path):
    said = {'images': {'scale': 1 / 127}, 'output0': {'scale': 0.25, 'zero_point': 3}}
    spec = load_model(quantise_edges(
        detector(tmp_path), {'images': ('int8', 1 / 127, 0), 'output0': ('uint8', 0.25, 3)},
        {RULES_KEY: json.dumps(said)}, in_graph=False))
    made = float_edges(spec)
    assert not integer_nodes(made)
    found = run(made, red_squares())
    np.testing.assert_allclose(found.boxes, [[24, 8, 32, 16], [40, 48, 48, 56]], atol=0.26)
    # In steps of the rule, as the integers were.
    assert np.abs(found.boxes * 4 - np.rint(found.boxes * 4)).max() < 1e-4


def test_a_float_network_with_a_quantised_input_is_converted(tmp_path):
    path = quantise_edges(conv_detector(tmp_path / 'm.onnx'), {'images': RAW})
    spec = load_model(path)
    assert spec.stored_precision == 'fp32'
    prepared = prepare_model(spec, 'fp16', monitor=Told().monitor)
    assert (prepared.spec.input_dtype, prepared.spec.stored_precision) == (np.float32, 'fp16')
    frame = Frame.from_bgr(next(color_frames(1, seed=5)))
    found, expected = run(prepared.spec, frame, precision='fp16'), run(spec, frame)
    assert len(expected.scores) > 0
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.1)


def test_int8_of_another_quantiser(tmp_path):
    """A bias in int32, which TensorRT does not dequantise, becomes a float one; uint8 inside is refused."""
    def make(kind, zero):
        nodes = [
            helper.make_node('QuantizeLinear', ['images', 's', 'z'], ['q']),
            helper.make_node('DequantizeLinear', ['q', 's', 'z'], ['d']),
            helper.make_node('DequantizeLinear', ['b', 'bs', 'bz'], ['bias'], 'bias_dq'),
            helper.make_node('Conv', ['d', 'w', 'bias'], ['maps']),
            helper.make_node('GlobalAveragePool', ['maps'], ['means']),
            helper.make_node('Flatten', ['means'], ['scores'])]
        return load_model(save(
            tmp_path / f'{kind}.onnx', nodes, {'images': (FLOAT, [1, 3, 8, 8])}, {'scores': (FLOAT, [1, 3])},
            {'s': np.float32(1 / 100), 'z': np.array(zero, kind), 'b': np.int32([100, 200, -300]),
             'bs': np.float32(0.01), 'bz': np.int32(0), 'w': np.eye(3, dtype=np.float32)[..., None, None]}))

    spec = make('int8', 0)
    made = float_edges(spec)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(str(made.path)).graph.initializer}
    np.testing.assert_allclose(tensors['bias'], [1, 2, -3])
    first, second = run(spec, FRAME, precision='int8'), run(made, FRAME, precision='int8')
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-6)
    with pytest.raises(ModelError) as error:
        float_edges(make('uint8', 128))
    assert 'has 1 Q/DQ nodes with uint8 or with a zero point other than 0' in str(error.value)
    assert 'trt_perception quantize' in str(error.value)


@pytest.mark.parametrize('said, as_it_is', [({}, False), ({'kernel_shape': [1, 1]}, True)])
def test_only_kernels_behind_qdq_need_their_shape(tmp_path, said, as_it_is):
    """A float convolution without it is no reason to write the file again."""
    nodes = [
        helper.make_node('Conv', ['images', 'w'], ['float']),
        helper.make_node('QuantizeLinear', ['float', 's', 'z'], ['q']),
        helper.make_node('DequantizeLinear', ['q', 's', 'z'], ['d']),
        helper.make_node('DequantizeLinear', ['wq', 's', 'z'], ['wd']),
        helper.make_node('Conv', ['d', 'wd'], ['maps'], **said),
        helper.make_node('GlobalAveragePool', ['maps'], ['means']),
        helper.make_node('Flatten', ['means'], ['scores'])]
    kernel = np.eye(3, dtype=np.float32)[..., None, None]
    spec = load_model(save(
        tmp_path / 'm.onnx', nodes, {'images': (FLOAT, [1, 3, 8, 8])}, {'scores': (FLOAT, [1, 3])},
        {'s': np.float32(1 / 100), 'z': np.int8(0), 'w': kernel, 'wq': (100 * kernel).astype(np.int8)}))
    assert spec.stored_precision == 'int8'
    made = float_edges(spec)
    assert (made is spec) == as_it_is
    if not as_it_is:
        shapes = [
            [list(value.ints) for value in node.attribute if value.name == 'kernel_shape']
            for node in onnx.load(str(made.path)).graph.node if node.op_type == 'Conv']
        assert shapes[1] == [[1, 1]]


@pytest.mark.parametrize('kind, symmetric', [('QUInt8', False), ('QInt8', True)])
def test_a_model_of_onnx_runtimes_quantiser_without_its_first_node(tmp_path, kind, symmetric):
    """The stripped file gives exactly what the whole one gives, and TensorRT takes the symmetric one."""
    frames = [Frame.from_bgr(picture) for picture in color_frames(4, seed=1)]
    path = quantised_inside(conv_detector(tmp_path / 'm.onnx'), tmp_path / 'q.onnx', frames, kind, symmetric)
    whole, stripped = load_model(path), load_model(without_first_node(path, tmp_path / 's.onnx'))
    assert not whole.quantised and stripped.input_quantisation.dtype == ('uint8' if kind == 'QUInt8' else 'int8')
    for frame in frames:
        expected, found = run(whole, frame, precision='int8'), run(stripped, frame, precision='int8')
        assert len(expected) > 0
        np.testing.assert_array_equal(found.boxes, expected.boxes)
        np.testing.assert_array_equal(found.scores, expected.scores)
    if symmetric:
        ready = float_edges(stripped)
        nodes = onnx.load(str(ready.path)).graph.node
        # The first layer stays in int8, and TensorRT 8.6 needs the shape of kernels behind Q/DQ.
        assert any(node.op_type == 'QuantizeLinear' and node.input[0] == stripped.input_name for node in nodes)
        assert {attribute.name for node in nodes if node.op_type == 'Conv' for attribute in node.attribute} >= {
            'kernel_shape'}
        made = run(ready, frames[0], precision='int8')
        np.testing.assert_allclose(made.boxes, run(whole, frames[0], precision='int8').boxes, atol=1e-3)
    else:
        with pytest.raises(ModelError, match='with uint8 or with a zero point other than 0'):
            float_edges(stripped)


@pytest.mark.parametrize('kind, zero', [('uint8', 0), ('int8', -128), ('int8', 0)])
def test_tensorrt_reads_the_model(tmp_path, kind, zero):
    pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')
    scale = 1 / 127 if zero == 0 and kind == 'int8' else 1 / 255
    path = quantise_edges(detector(tmp_path), {'images': (kind, scale, zero), 'output0': ('int8', 0.5, 0)})
    _, trials = try_backends(load_model(path), 'tensorrt', Told().monitor)
    assert trials['tensorrt'].runs, trials['tensorrt'].error


@pytest.mark.parametrize('kind', ['uint8', 'int8'])
def test_tensorrt_reads_a_model_with_rules_in_the_metadata(tmp_path, kind):
    pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')
    said = {'images': {'scale': 1 / 255}, 'output0': {'scale': 0.5, 'zero_point': 3}}
    path = quantise_edges(
        detector(tmp_path), {'images': (kind, 1 / 255, 0), 'output0': (kind, 0.5, 3)}, {RULES_KEY: json.dumps(said)},
        in_graph=False)
    _, trials = try_backends(load_model(path), 'tensorrt', Told().monitor)
    assert trials['tensorrt'].runs, trials['tensorrt'].error


def test_inspect_tells_it(tmp_path, capsys):
    path = quantise_edges(detector(tmp_path), {'images': ('int8', 1 / 256, -128), 'output0': ('uint8', 0.25, 3)})
    assert main(['inspect', str(path), '--backend', 'onnxruntime']) == 0
    text = capsys.readouterr().out
    assert 'images int8 [1, 3, 64, 64] (value = (number +128) * 0.00390625) nchw' in text
    assert 'output0 uint8 [1, 7, 64] (value = (number -3) * 0.25)' in text
    assert main(['inspect', str(path), '--backend', 'onnxruntime', '--json']) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report['input']['dtype'], report['input']['scale'], report['input']['zero_point']) == (
        'int8', 1 / 256, -128)
    assert report['outputs'] == [
        {'name': 'output0', 'shape': [1, 7, 64], 'dtype': 'uint8', 'scale': 0.25, 'zero_point': 3}]
