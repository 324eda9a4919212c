# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Darknet compared with a plain NumPy forward pass; checkpoints built byte by byte, harmless and hostile."""

import os
import struct

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from trt_perception.catalogue.converters.darknet import convert_darknet, parse_cfg
from trt_perception.catalogue.converters.efficientnet_lite import LITE0_STAGES, convert_efficientnet_lite0
from trt_perception.catalogue.converters.onnx_writer import graph_sha256
from trt_perception.catalogue.converters.torch_checkpoint import read_checkpoint
from trt_perception.errors import ModelError

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')

CLASSES = 3
ANCHORS = [(4, 5), (9, 7), (12, 20)]
CFG = """
[net]
width=32
height=32   # comments and spaces are allowed
channels=3

[convolutional]
batch_normalize=1
filters=4
size=3
stride=1
pad=1
activation=leaky

[maxpool]
size=2
stride=2

[convolutional]
batch_normalize=1
filters=6
size=3
stride=2
pad=1
activation=leaky

[maxpool]
size=2
stride=1

[convolutional]
size=1
stride=1
pad=1
filters=16
activation=linear

[yolo]
mask = 1,2
anchors = 4,5, 9,7, 12,20
classes=3
num=3

[route]
layers = -3

[upsample]
stride=2

[route]
layers = -1, 1

[convolutional]
size=1
stride=1
pad=1
filters=8
activation=linear

[yolo]
mask = 0
anchors = 4,5, 9,7, 12,20
classes=3
num=3
"""


class Net:
    """The network of CFG in NumPy, written from Darknet's formulas, with random weights."""

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.parts = []

        def numbers(*shape, low=-0.5, high=0.5):
            values = rng.uniform(low, high, shape).astype(np.float32)
            self.parts.append(values)
            return values

        def layer(filters, channels, size, normalised):
            bias = numbers(filters)
            norm = None
            if normalised:
                norm = numbers(filters), numbers(filters), numbers(filters, low=0.2, high=1.5)
            return bias, norm, numbers(filters, channels, size, size)

        self.conv0 = layer(4, 3, 3, True)
        self.conv2 = layer(6, 4, 3, True)
        self.head0 = layer(16, 6, 1, False)
        self.head1 = layer(8, 10, 1, False)

    def weights(self, major=0, minor=2):
        seen = struct.pack('<q', 1) if major * 10 + minor >= 2 else struct.pack('<i', 1)
        return struct.pack('<3i', major, minor, 0) + seen + b''.join(p.tobytes() for p in self.parts)

    def forward(self, image, anchors_of_second=(0,)):
        x = leaky(conv(image, *self.conv0, 1, 1))
        routed = x = pool(x, 2)
        x = leaky(conv(x, *self.conv2, 2, 1))
        before_head = x = pool(x, 1)
        first = decode(conv(x, *self.head0, 1, 0), (1, 2), 32)
        x = np.concatenate([before_head.repeat(2, 1).repeat(2, 2), routed])
        second = decode(conv(x, *self.head1, 1, 0), anchors_of_second, 32)
        return np.concatenate([first, second])


def conv(x, bias, norm, weight, stride, pad):
    size = weight.shape[2]
    x = np.pad(x.astype(np.float64), ((0, 0), (pad, pad), (pad, pad)))
    windows = sliding_window_view(x, (size, size), (1, 2))[:, ::stride, ::stride]
    y = np.einsum('cijkl,ockl->oij', windows, weight.astype(np.float64))
    if norm is not None:
        scale, mean, variance = (part[:, None, None].astype(np.float64) for part in norm)
        y = (y - mean) / (np.sqrt(variance) + 1e-6) * scale
    return y + bias[:, None, None]


def leaky(x):
    return np.where(x > 0, x, 0.1 * x)


def pool(x, stride):
    padded = np.pad(x, ((0, 0), (0, 1), (0, 1)), constant_values=-np.inf)
    sides = [side // stride for side in x.shape[1:]]
    return sliding_window_view(padded, (2, 2), (1, 2)).max((3, 4))[:, ::stride, ::stride][
        :, :sides[0], :sides[1]]


def decode(x, mask, size):
    def sigmoid(value):
        return 1 / (1 + np.exp(-value))

    rows = []
    for number, anchor in enumerate(mask):
        part = x[number * (5 + CLASSES):(number + 1) * (5 + CLASSES)]
        for row in range(x.shape[1]):
            for column in range(x.shape[2]):
                v = part[:, row, column]
                rows.append([
                    (column + sigmoid(v[0])) / x.shape[2] * size,
                    (row + sigmoid(v[1])) / x.shape[1] * size,
                    np.exp(v[2]) * ANCHORS[anchor][0], np.exp(v[3]) * ANCHORS[anchor][1],
                    *sigmoid(v[4:])])
    return np.array(rows)


def run(model, image):
    session = onnxruntime.InferenceSession(model, providers=['CPUExecutionProvider'])
    (output,) = session.run(None, {'images': image[None].astype(np.float32)})
    return output


@pytest.fixture
def image():
    return np.random.default_rng(7).random((3, 32, 32), np.float32)


def test_darknet_equals_a_plain_forward_pass(image):
    net = Net()
    output = run(convert_darknet(CFG, net.weights(), {}), image)
    assert output.shape == (1, 2 * 8 * 8 + 16 * 16, 5 + CLASSES)
    np.testing.assert_allclose(output[0], net.forward(image), rtol=1e-4, atol=1e-4)


def test_darknet_masks_replace_the_cfgs(image):
    net = Net()
    output = run(convert_darknet(CFG, net.weights(), {}, masks=[[1, 2], [2]]), image)
    np.testing.assert_allclose(output[0], net.forward(image, (2,)), rtol=1e-4, atol=1e-4)
    assert not np.allclose(output[0], net.forward(image, (0,)), rtol=1e-2)


def test_darknet_old_header_has_a_shorter_count(image):
    net = Net()
    old, new = (convert_darknet(CFG, net.weights(0, minor), {}) for minor in (1, 2))
    assert old == new


def test_darknet_at_another_size_has_another_number_of_rows():
    model = onnx.load_model_from_string(convert_darknet(CFG, Net().weights(), {}, input_size=64))
    shape = [dim.dim_value for dim in model.graph.output[0].type.tensor_type.shape.dim]
    assert shape == [1, 2 * 16 * 16 + 32 * 32, 8]


def test_model_carries_metadata_opset_and_no_trace_of_when_it_was_made():
    metadata = {'names': '{"0": "a"}', 'task': 'detect'}
    first = convert_darknet(CFG, Net().weights(), metadata)
    assert first == convert_darknet(CFG, Net().weights(), metadata)
    model = onnx.load_model_from_string(first)
    assert {entry.key: entry.value for entry in model.metadata_props} == metadata
    assert model.opset_import[0].version == 13
    assert model.graph.input[0].name == 'images'
    assert [output.name for output in model.graph.output] == ['output0']


def test_graph_sha256_sees_weights_attributes_and_metadata_and_nothing_else():
    original = convert_darknet(CFG, Net().weights(), {'task': 'detect'})
    model = onnx.load_model_from_string(original)
    model.doc_string = 'written by another version'
    model.graph.node[0].doc_string = 'and here'
    assert graph_sha256(model.SerializeToString()) == graph_sha256(original)
    for other in (
        convert_darknet(CFG, Net(1).weights(), {'task': 'detect'}),
        convert_darknet(CFG, Net().weights(), {'task': 'classify'}),
        convert_darknet(CFG, Net().weights(), {'task': 'detect'}, masks=[[1, 2], [1]]),
        convert_darknet(CFG.replace('stride=1\npad=1\nactivation=leaky', 'stride=1\npad=1\nactivation=linear'),
                        Net().weights(), {'task': 'detect'}),
    ):
        assert graph_sha256(other) != graph_sha256(original)


@pytest.mark.parametrize('change, message', [
    (lambda c, w: (c, w[:-4]), 'needs more than the .* do not belong together'),
    (lambda c, w: (c, w + b'\0\0\0\0'), '1 numbers are left over'),
    (lambda c, w: (c, w[:-1]), 'cut off in the middle of a number'),
    (lambda c, w: (c, b'\0' * 8), 'found 8 bytes'),
    (lambda c, w: (c.replace('[upsample]', '[reorg]'), w), r'layer \[reorg\] is not supported'),
    (lambda c, w: (c.replace('=leaky', '=mish', 1), w), "line 7: activation 'mish' is not supported"),
    (lambda c, w: (c.replace('classes=3', 'classes=80'), w), 'expected 170 channels .* found 16'),
    (lambda c, w: (c.replace('mask = 0', 'mask = 7'), w), r'mask \[7\] names an anchor beyond the 3'),
    (lambda c, w: (c.replace('layers = -1, 1', 'layers = -1, 99'), w), 'there is no layer 99'),
    (lambda c, w: (c.replace('filters=4', 'filters=four'), w), "integer filters, found 'four'"),
    (lambda c, w: ('filters=4\n' + c, w), 'line 1: expected'),
    (lambda c, w: ('', w), r'expected a \[net\] section first, found an empty file'),
    (lambda c, w: ('[net]\nwidth=32\nheight=32\n', struct.pack('<3iq', 0, 2, 0, 0)), r'expected a \[yolo\] section'),
])
def test_darknet_files_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ModelError, match=message):
        convert_darknet(*change(CFG, Net().weights()), {})


def test_darknet_size_that_is_no_multiple_of_the_stride_is_refused():
    with pytest.raises(ModelError, match='multiple of'):
        convert_darknet(CFG, Net().weights(), {}, input_size=34)


def test_parse_cfg_keeps_order_and_line_numbers():
    sections = parse_cfg('# head\n[net]\na = 1\n\n[yolo]\nmask = 0,1 # trailing\n')
    assert [(section.kind, section.line) for section in sections] == [('net', 2), ('yolo', 5)]
    assert sections[1].numbers('mask') == [0, 1]


# --- checkpoints -----------------------------------------------------------------------------

def text(value):
    raw = value.encode()
    return b'X' + struct.pack('<I', len(raw)) + raw


def number(value):
    return b'J' + struct.pack('<i', value)


def tensor(key, count, offset, shape, strides, storage='FloatStorage'):
    """The opcodes that PyTorch writes for one tensor."""
    def tuple_of(values):
        return b'(' + b''.join(number(value) for value in values) + b't'

    return (
        b'ctorch._utils\n_rebuild_tensor_v2\n'
        + b'((' + text('storage') + b'ctorch\n' + storage.encode() + b'\n' + text(key) + text('cpu')
        + number(count) + b'NtQ' + number(offset) + tuple_of(shape) + tuple_of(strides)
        + b'\x89' + b'ccollections\nOrderedDict\n)R' + b'tR')


def checkpoint(state, storages, keys=None, magic=0x1950A86A20F9469CFC6C):
    """state: opcodes that leave the object; storages: key to array."""
    head = b'\x80\x02\x8a\x0a' + magic.to_bytes(10, 'little') + b'.' + b'\x80\x02M\xe9\x03.'
    system = b'\x80\x02}(' + text('little_endian') + b'\x88u.'
    listed = b'\x80\x02](' + b''.join(text(key) for key in (keys or storages)) + b'e.'
    data = b''.join(struct.pack('<q', array.size) + array.tobytes() for array in storages.values())
    return head + system + b'\x80\x02' + state + b'.' + listed + data


def ordered(**items):
    return b'ccollections\nOrderedDict\n)R(' + b''.join(
        text(name) + opcodes for name, opcodes in items.items()) + b'u'


def test_checkpoint_views_offsets_and_dtypes():
    floats = np.arange(12, dtype='<f4')
    longs = np.array([5], '<i8')
    data = checkpoint(ordered(
        whole=tensor('a', 12, 0, (3, 4), (4, 1)), transposed=tensor('a', 12, 0, (4, 3), (1, 4)),
        part=tensor('a', 12, 6, (2,), (3,)), count=tensor('b', 1, 0, (), (), 'LongStorage'),
        empty=tensor('a', 12, 0, (0, 4), (4, 1))), {'a': floats, 'b': longs})
    arrays = read_checkpoint(data)
    assert list(arrays) == ['whole', 'transposed', 'part', 'count', 'empty']
    np.testing.assert_array_equal(arrays['whole'], floats.reshape(3, 4))
    np.testing.assert_array_equal(arrays['transposed'], floats.reshape(3, 4).T)
    np.testing.assert_array_equal(arrays['part'], [6, 9])
    assert arrays['count'].dtype == np.int64 and arrays['count'] == 5
    assert arrays['empty'].shape == (0, 4)


@pytest.mark.parametrize('opcodes, asked', [
    (b"cos\nsystem\n(S'touch {mark}'\ntR", 'posix.system|os.system'),
    (b"cbuiltins\neval\n(S'open(\"{mark}\", \"w\")'\ntR", 'builtins.eval'),
    (b"csubprocess\nPopen\n((S'touch'\nS'{mark}'\nltR", 'subprocess.Popen'),
    (b'ctorch\nload\n)R', 'torch.load'),
    (b'ctorch.storage\n_load_from_bytes\n)R', 'torch.storage._load_from_bytes'),
    (b'cnumpy\nload\n)R', 'numpy.load'),
])
def test_checkpoint_that_names_code_is_refused_and_not_run(tmp_path, opcodes, asked):
    mark = tmp_path / 'executed'
    data = checkpoint(opcodes.replace(b'{mark}', os.fsencode(mark)), {})
    with pytest.raises(ModelError, match=f'checkpoint refused: it asks for ({asked})'):
        read_checkpoint(data)
    assert not mark.exists()


@pytest.mark.parametrize('shape, strides, offset', [
    ((13,), (1,), 0), ((2, 2), (100, 1), 0), ((1,), (1,), 12), ((2,), (-1,), 1), ((2, 2), (1,), 0)])
def test_checkpoint_tensor_outside_its_storage_is_refused(shape, strides, offset):
    data = checkpoint(
        ordered(a=tensor('s', 12, offset, shape, strides)), {'s': np.zeros(12, np.float32)})
    with pytest.raises(ModelError, match='checkpoint: a tensor'):
        read_checkpoint(data)


@pytest.mark.parametrize('data, message', [
    (b'', 'checkpoint refused'),
    (b'PK\x03\x04rest', 'found a zip file'),
    (checkpoint(ordered(), {}, magic=1), 'expected a PyTorch checkpoint'),
    (checkpoint(number(3), {}), 'expected a dictionary of tensors, found int'),
    (checkpoint(ordered(a=number(3)), {}), "expected tensors by name, found 'a': int"),
    (checkpoint(ordered(a=tensor('s', 4, 0, (4,), (1,))), {'s': np.zeros(4, np.float32)})[:-1], 'cut off'),
    (checkpoint(ordered(a=tensor('s', 4, 0, (4,), (1,))), {'s': np.zeros(3, np.float32)}), 'cut off'),
    (checkpoint(ordered(a=tensor('s', 4, 0, (4,), (1,))), {'t': np.zeros(4, np.float32)}), 'does not match'),
    (checkpoint(ordered(a=tensor('s', 4, 0, (4,), (1,), 'ComplexStorage')), {}), 'torch.ComplexStorage'),
])
def test_damaged_checkpoints_are_refused(data, message):
    with pytest.raises(ModelError, match=message):
        read_checkpoint(data)


# --- EfficientNet-Lite0 ----------------------------------------------------------------------

@pytest.fixture(scope='module')
def lite0_weights():
    """Random weights in the shapes of the published checkpoint."""
    rng = np.random.default_rng(3)
    weights = {}

    def add(conv_name, norm, shape):
        fan_in = np.prod(shape[1:])
        weights[f'{conv_name}.weight'] = rng.normal(0, fan_in ** -0.5, shape).astype(np.float32)
        for key, low, high in (('weight', 0.8, 1.2), ('bias', -0.2, 0.6), ('running_mean', -0.2, 0.2),
                               ('running_var', 0.5, 1.5)):
            weights[f'{norm}.{key}'] = rng.uniform(low, high, shape[0]).astype(np.float32)
        weights[f'{norm}.num_batches_tracked'] = np.array(1)

    add('_conv_stem', '_bn0', (32, 3, 3, 3))
    channels, index = 32, 0
    for stage in LITE0_STAGES:
        for _ in range(stage.repeats):
            name, wide = f'_blocks.{index}', channels * stage.expand
            if stage.expand != 1:
                add(f'{name}._expand_conv', f'{name}._bn0', (wide, channels, 1, 1))
            add(f'{name}._depthwise_conv', f'{name}._bn1', (wide, 1, stage.kernel, stage.kernel))
            add(f'{name}._project_conv', f'{name}._bn2', (stage.channels, wide, 1, 1))
            channels, index = stage.channels, index + 1
    add('_conv_head', '_bn1', (1280, channels, 1, 1))
    weights['_fc.weight'] = rng.normal(0, 0.03, (10, 1280)).astype(np.float32)
    weights['_fc.bias'] = rng.normal(0, 0.1, 10).astype(np.float32)
    return weights


def same_conv(x, weight, stride):
    """TensorFlow's SAME padding, dense or depthwise."""
    size = weight.shape[2]
    out = -(-x.shape[1] // stride)
    total = max((out - 1) * stride + size - x.shape[1], 0)
    pad = (total // 2, total - total // 2)
    windows = sliding_window_view(np.pad(x, ((0, 0), pad, pad)), (size, size), (1, 2))[:, ::stride, ::stride]
    if weight.shape[1] == 1 and x.shape[0] == weight.shape[0]:
        return np.einsum('cijkl,ckl->cij', windows, weight[:, 0], optimize=True)
    return np.einsum('cijkl,ockl->oij', windows, weight, optimize=True)


def lite0_forward(w, x):
    def layer(x, conv_name, norm, stride=1, relu6=True):
        x = same_conv(x, w[f'{conv_name}.weight'].astype(np.float64), stride)
        gamma, beta, mean, var = (
            w[f'{norm}.{key}'][:, None, None].astype(np.float64)
            for key in ('weight', 'bias', 'running_mean', 'running_var'))
        x = (x - mean) / np.sqrt(var + 1e-3) * gamma + beta
        return np.clip(x, 0, 6) if relu6 else x

    x = layer(x, '_conv_stem', '_bn0', 2)
    index = 0
    for stage in LITE0_STAGES:
        for repeat in range(stage.repeats):
            name, before = f'_blocks.{index}', x
            if stage.expand != 1:
                x = layer(x, f'{name}._expand_conv', f'{name}._bn0')
            x = layer(x, f'{name}._depthwise_conv', f'{name}._bn1', stage.stride if repeat == 0 else 1)
            x = layer(x, f'{name}._project_conv', f'{name}._bn2', relu6=False)
            if repeat > 0:
                x = x + before
            index += 1
    x = layer(x, '_conv_head', '_bn1').mean((1, 2))
    return w['_fc.weight'] @ x + w['_fc.bias']


def test_efficientnet_lite0_equals_a_plain_forward_pass(lite0_weights):
    image = np.random.default_rng(5).uniform(-1, 1, (3, 224, 224)).astype(np.float32)
    output = run(convert_efficientnet_lite0(lite0_weights, {}), image)
    assert output.shape == (1, 10)
    expected = lite0_forward(lite0_weights, image.astype(np.float64))
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(output[0], expected, atol=2e-4)


def test_efficientnet_lite0_refuses_other_weights(lite0_weights):
    without = {k: v for k, v in lite0_weights.items() if k != '_blocks.3._bn1.bias'}
    with pytest.raises(ModelError, match=r'the checkpoint has no _blocks\.3\._bn1\.bias'):
        convert_efficientnet_lite0(without, {})
    more = {**lite0_weights, '_blocks.16._bn0.weight': np.zeros(1)}
    with pytest.raises(ModelError, match=r'1 weights that this network does not have: _blocks\.16'):
        convert_efficientnet_lite0(more, {})
