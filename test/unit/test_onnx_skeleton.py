# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares a model read without its weights with the whole file read by onnx."""

import os

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper
from support.tiny_models import FLOAT, color_classifier, color_detector, save

from trt_perception.errors import ModelError
from trt_perception.model.onnx_file import load_proto
from trt_perception.model.onnx_skeleton import read_skeleton
from trt_perception.model.spec import load_model

VALUES = ('float_data', 'int32_data', 'string_data', 'int64_data', 'raw_data', 'double_data', 'uint64_data')


def without_values(proto, largest=4096):
    """The whole file's proto; protobuf clears the values of its large initializers."""
    for tensor in proto.graph.initializer:
        if tensor.ByteSize() > largest:
            for name in VALUES:
                tensor.ClearField(name)
    return proto


def heavy(path):
    """A model with an initializer for each way to store values, small and large, and one in a separate file."""
    rng = np.random.default_rng(0)
    raw = numpy_helper.from_array(rng.random((64, 100), np.float32), 'raw')
    floats = helper.make_tensor('floats', FLOAT, [50, 50], rng.random(2500).tolist())
    longs = helper.make_tensor('longs', onnx.TensorProto.INT64, [3000], list(range(3000)))
    texts = helper.make_tensor('texts', onnx.TensorProto.STRING, [2], [b'x' * 3000, b'y' * 3000])
    shape = numpy_helper.from_array(np.array([1, 3, -1], np.int64), 'shape')
    beside = onnx.TensorProto(name='beside', data_type=FLOAT, dims=[10**6], data_location=onnx.TensorProto.EXTERNAL)
    beside.external_data.add(key='location', value='weights.bin')
    graph = helper.make_graph(
        [helper.make_node('Reshape', ['images', 'shape'], ['out'])], 'heavy',
        [helper.make_tensor_value_info('images', FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info('out', FLOAT, [1, 3, 64])], [raw, floats, longs, texts, shape, beside])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], producer_name='somebody')
    helper.set_model_props(model, {'names': '["a"]', 'long': 'z' * 10000})
    onnx.save(model, path)
    (path.parent / 'weights.bin').write_bytes(b'')
    os.truncate(path.parent / 'weights.bin', 4 * 10**6)
    return path


@pytest.mark.parametrize('make', [heavy, color_detector, color_classifier])
def test_all_but_the_large_values_is_there(tmp_path, make):
    path = make(tmp_path / 'm.onnx')
    expected = without_values(onnx.load(path, load_external_data=False))
    assert onnx.ModelProto.FromString(read_skeleton(path)) == expected
    assert load_proto(path, weights=False) == expected


def test_small_values_stay_and_large_ones_go(tmp_path):
    path = heavy(tmp_path / 'm.onnx')
    tensors = {tensor.name: tensor for tensor in load_proto(path, weights=False).graph.initializer}
    assert numpy_helper.to_array(tensors['shape']).tolist() == [1, 3, -1]
    assert all(not getattr(tensors['raw'], name) for name in VALUES)
    assert (list(tensors['raw'].dims), tensors['raw'].data_type) == ([64, 100], FLOAT)
    assert tensors['beside'].external_data[0].value == 'weights.bin'
    assert path.stat().st_size > 50_000 > 20_000 > len(read_skeleton(path))


def test_a_model_is_the_same_either_way(tmp_path, monkeypatch):
    """Dynamic output shapes are inferred from the small values only."""
    path = tmp_path / 'm.onnx'
    weights = np.random.default_rng(0).normal(size=(7 * 64, 3 * 64 * 64)).astype(np.float32)
    save(path,
         [helper.make_node('Flatten', ['images'], ['flat']), helper.make_node('Gemm', ['flat', 'w'], ['y'], transB=1),
          helper.make_node('Reshape', ['y', 'to'], ['output0'])],
         {'images': (FLOAT, [1, 3, 64, 64])}, {'output0': (FLOAT, [1, 'columns', 'boxes'])},
         {'w': weights, 'to': np.array([1, 7, 64], np.int64)}, {'names': {0: 'a', 1: 'b', 2: 'c'}, 'task': 'detect'})
    spec = load_model(path)

    def refused(path):
        raise ValueError(f'{path} is to be read whole')

    monkeypatch.setattr('trt_perception.model.onnx_file.read_skeleton', refused)
    assert load_model(path) == spec
    assert (spec.head.kind, spec.stored_precision) == ('yolov8', 'fp32')


@pytest.mark.parametrize('size', [0, 1, 100, 1000, 20_000])
def test_a_file_that_was_cut_off_fails_as_always(tmp_path, size):
    path = tmp_path / 'cut.onnx'
    path.write_bytes(heavy(tmp_path / 'm.onnx').read_bytes()[:size])
    messages = []
    for weights in (True, False):
        with pytest.raises(ModelError) as error:
            load_proto(path, weights)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_other_formats_of_onnx_are_read_whole(tmp_path):
    onnx.save(onnx.load(color_detector(tmp_path / 'm.onnx')), tmp_path / 'm.textproto')
    assert load_proto(tmp_path / 'm.textproto', weights=False) == load_proto(tmp_path / 'm.onnx')


@pytest.mark.parametrize('unit', [b'\0', b'x', b'\x08\x01'])
def test_a_long_file_of_something_else_is_given_up_soon(tmp_path, unit):
    path = tmp_path / 'm.onnx'
    path.write_bytes(unit * 2_000_000)
    with pytest.raises(ValueError, match=r'fields in one message|begins at byte 0'):
        read_skeleton(path)


@settings(deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_a_skeleton_or_a_value_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / 'any.bin'
    path.write_bytes(data)
    try:
        found = read_skeleton(path)
    except ValueError:
        return
    assert len(found) <= len(data)


@settings(deadline=None)
@given(place=st.integers(0, 60_000), value=st.integers(0, 255))
def test_a_damaged_byte_is_read_as_onnx_reads_it(tmp_path_factory, place, value):
    folder = tmp_path_factory.getbasetemp()
    path = folder / 'whole.onnx'
    if not path.exists():
        heavy(path)
    data = bytearray(path.read_bytes())
    data[place % len(data)] = value
    damaged = folder / 'damaged.onnx'
    damaged.write_bytes(data)
    try:
        expected = without_values(onnx.ModelProto.FromString(bytes(data)))
    except Exception:
        return
    try:
        found = onnx.ModelProto.FromString(read_skeleton(damaged))
    except ValueError:
        # Files with rare features of protobuf, such as groups, are left to onnx.load.
        return
    assert without_values(found) == expected
