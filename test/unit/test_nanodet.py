# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""NanoDet from a TensorFlow.js graph: a small graph with all its operations, against the same graph in NumPy."""

import base64
import json

import numpy as np
import pytest
from support import tfjs_numpy

from trt_perception.catalogue.converters.nanodet import convert_nanodet
from trt_perception.catalogue.converters.tfjs_graph import read_graph_model
from trt_perception.errors import ModelError
from trt_perception.model.spec import load_model

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')

SIDE, CLASSES, BINS = 64, 3, 11
TO_NHWC, TO_NCHW = [0, 2, 3, 1], [0, 3, 1, 2]


class Maker:
    """Writes model.json and the weights, as the converter of TensorFlow.js does for a network that was ONNX before."""

    def __init__(self):
        self.random = np.random.default_rng(4)
        self.nodes, self.manifest, self.data = [], [], b''

    def weight(self, values, name=None):
        values = np.asarray(values)
        name = name or f'w{len(self.manifest)}'
        entry = {'name': name, 'shape': list(values.shape), 'dtype': 'int32'}
        if values.dtype.kind == 'f':
            entry.update(dtype='float32', quantization={'dtype': 'float16', 'original_dtype': 'float32'})
        self.data += values.astype('<f2' if values.dtype.kind == 'f' else '<i4').tobytes()
        self.manifest.append(entry)
        self.nodes.append({'name': name, 'op': 'Const', 'attr': {}})
        return name

    def node(self, kind, *inputs, name=None, **attributes):
        name = name or f'{kind}_{len(self.nodes)}'
        self.nodes.append({'name': name, 'op': kind, 'input': list(inputs), 'attr': attributes})
        return name

    def numbers(self, scale, *shape):
        return self.weight((self.random.standard_normal(shape) * scale).astype(np.float32))

    def spatial(self, kind, stride, **more):
        def text(value):
            return {'s': base64.b64encode(value.encode()).decode()}

        return {'strides': {'list': {'i': ['1', str(stride), str(stride), '1']}}, 'padding': text('VALID'),
                'data_format': text('NHWC'), **more}

    def transposed(self, source, order):
        return self.node('Transpose', source, self.weight(order))

    def conv(self, source, channels, filters, size=3, stride=1, nchw=True):
        if size > 1:
            source = self.node('Pad', source, self.weight([[0, 0], [0, 0], [1, 1], [1, 1]]))
        kernel = self.numbers((size * size * channels) ** -0.5, size, size, channels, filters)
        result = self.node(
            'Conv2D', self.transposed(source, TO_NHWC), kernel, **self.spatial('Conv2D', stride))
        result = self.node('Add', result, self.numbers(0.3, filters))
        return self.transposed(result, TO_NCHW) if nchw else result

    def leaky(self, source):
        return self.node('LeakyRelu', source, alpha={'f': 0.1})

    def resized(self, source, side, is_nhwc=False):
        image = source if is_nhwc else self.transposed(source, TO_NHWC)
        size = self.weight([side, side])
        return self.transposed(self.node('ResizeBilinear', image, size, half_pixel_centers={'b': True}), TO_NCHW)

    def head(self, source, index, cells):
        # TensorFlow splits the channels of an NCHW tensor.
        parts = self.node(
            'SplitV', self.conv(source, 6, CLASSES + 4 * BINS, 1), self.weight([CLASSES, 4 * BINS]), self.weight(1))
        scores = self.node('Sigmoid', parts)
        for offset, (part, channels) in enumerate(((scores, CLASSES), (f'{parts}:1', 4 * BINS))):
            target = self.node(
                'SparseToDense', self.weight(np.zeros((0, 1), int)), self.weight([3]), self.weight(np.zeros(0, int)),
                self.weight(0))
            shape = self.node('AddV2', self.weight([1, channels, cells]), target)
            flat = self.node('Reshape', part, shape)
            self.node('Identity', self.transposed(flat, [0, 2, 1]), name=f'Identity_{index + 3 * offset}')

    def files(self):
        model = {'modelTopology': {'node': self.nodes}, 'weightsManifest': [{'weights': self.manifest}]}
        return json.dumps(model).encode(), self.data


def small_network():
    make = Maker()
    shape = {'dim': [{'size': str(size)} for size in (1, 3, SIDE, SIDE)]}
    image = make.node('Placeholder', name='input', shape={'shape': shape})
    stem = make.leaky(make.conv(image, 3, 4, stride=2))
    padded = make.node('PadV2', stem, make.weight([[0, 0], [0, 0], [1, 1], [1, 1]]), make.weight(np.float32(-6e4)))
    pooled = make.transposed(make.node(
        'MaxPool', make.transposed(padded, TO_NHWC),
        **make.spatial('MaxPool', 2, ksize={'list': {'i': ['1', '3', '3', '1']}})), TO_NCHW)
    features = make.leaky(make.conv(pooled, 4, 6, stride=2))
    both = make.node('ConcatV2', features, make.leaky(make.conv(features, 6, 2)), make.weight(1))
    eight = make.conv(both, 8, 6, 1, nchw=False)
    sixteen = make.resized(eight, SIDE // 16, is_nhwc=True)
    eight = make.transposed(eight, TO_NCHW)
    # Up again and added, as in a feature pyramid.
    eight = make.node('Add', eight, make.resized(sixteen, SIDE // 8))
    thirty_two = make.conv(sixteen, 6, 6, stride=2)
    for index, level in enumerate((eight, sixteen, thirty_two)):
        make.head(level, index, (SIDE // (8, 16, 32)[index]) ** 2)
    return make


def session(content):
    return onnxruntime.InferenceSession(content, providers=['CPUExecutionProvider'])


def test_the_onnx_file_gives_the_boxes_and_scores_of_the_graph(tmp_path):
    files = small_network().files()
    content = convert_nanodet(*files, {'task': 'detect', 'names': '{0: "a", 1: "b", 2: "c"}'})
    image = np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)
    expected_boxes, expected_scores = tfjs_numpy.decode(tfjs_numpy.run(read_graph_model(*files), image), SIDE)
    (output,) = session(content).run(None, {'images': image})
    assert output.shape == (1, 4 + CLASSES, 64 + 16 + 4)
    boxes, scores = tfjs_numpy.corners(output)
    np.testing.assert_allclose(scores, expected_scores, atol=1e-6)
    np.testing.assert_allclose(boxes, expected_boxes, atol=1e-3)
    assert np.ptp(expected_scores) > 0.3 and np.ptp(expected_boxes[:, 2] - expected_boxes[:, 0]) > 20
    # No Transpose is left: ONNX is NCHW as the network was.
    operators = {node.op_type for node in onnx.load_model_from_string(content).graph.node}
    assert not operators & {'Transpose', 'Pad'}
    path = tmp_path / 'm.onnx'
    path.write_bytes(content)
    assert load_model(path).head.kind == 'yolov8'


def test_weights_that_do_not_belong_to_the_model_are_refused():
    model, data = small_network().files()
    with pytest.raises(ModelError, match=r'the manifest describes \d+ bytes, but there are \d+'):
        convert_nanodet(model, data + b'\0', {})
    with pytest.raises(ModelError, match=r'the manifest needs more than the \d+ bytes'):
        convert_nanodet(model, data[:-1], {})


@pytest.mark.parametrize(
    'content', [b'', b'[]', b'{"modelTopology": {}}', b'\xff', b'{"modelTopology": {"node": [1]}}'])
def test_a_file_that_is_no_graph_model_is_refused(content):
    with pytest.raises(ModelError, match='expected JSON with modelTopology and weightsManifest'):
        read_graph_model(content, b'')


def edited(change):
    make = small_network()
    change({node['name']: node for node in make.nodes}, make)
    return make.files()


def first(nodes, kind):
    return next(node for node in nodes.values() if node['op'] == kind)


@pytest.mark.parametrize('change, message', [
    (lambda nodes, make: first(nodes, 'LeakyRelu').update(op='Swish'), 'Swish is not supported'),
    (lambda nodes, make: first(nodes, 'Conv2D')['attr'].pop('padding'), 'expected VALID padding'),
    (lambda nodes, make: first(nodes, 'ResizeBilinear').update(attr={}), 'expected half-pixel centres'),
    (lambda nodes, make: first(nodes, 'Conv2D').update(input=['input', first(nodes, 'Conv2D')['input'][1]]),
     'expected an input in NHWC'),
    (lambda nodes, make: first(nodes, 'LeakyRelu').update(input=['nowhere']), 'its input nowhere is not computed'),
    (lambda nodes, make: make.manifest[0].update(quantization={'dtype': 'uint8', 'scale': 0.1}),
     'has the type uint8, which is not supported'),
    (lambda nodes, make: first(nodes, 'Placeholder')['attr']['shape']['shape']['dim'][3].update(size='48'),
     r'expected the input shape \[1, 3, side, side\]'),
    (lambda nodes, make: make.nodes.remove(nodes['Identity_2']), 'expected scores of the strides'),
])
def test_another_graph_is_refused_with_the_node(change, message):
    with pytest.raises(ModelError, match=message):
        convert_nanodet(*edited(change), {})
