# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import hashlib

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from support.tiny_models import (
    FLOAT,
    FLOAT16,
    UINT8,
    color_classifier,
    color_detector,
    dynamic_detector,
    fixed_outputs,
    save,
)

from trt_perception.errors import ModelError
from trt_perception.model.onnx_file import load_proto, metadata_size, read_onnx, sha256_of
from trt_perception.model.onnx_tensors import all_tensors
from trt_perception.model.output_shapes import output_shapes


def test_a_static_float32_detector(tmp_path):
    summary = read_onnx(color_detector(tmp_path / 'm.onnx', 64, 32))
    assert (summary.input_name, summary.input_dtype, summary.layout) == ('images', np.float32, 'nchw')
    assert (summary.width, summary.height, summary.channels) == (64, 32, 3)
    assert summary.dynamic_batch is False
    assert summary.names == ('red', 'green', 'blue')
    assert summary.metadata['task'] == 'detect'
    assert summary.declared_outputs == (('output0', (1, 7, 32)),)
    assert summary.end_to_end is None
    assert summary.stored_precision == 'fp32'
    assert output_shapes(summary, 64, 32) == (('output0', (1, 7, 32)),)


@pytest.mark.parametrize('dtype, expected', [(FLOAT, np.float32), (FLOAT16, np.float16), (UINT8, np.uint8)])
@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
def test_input_types_and_layouts(tmp_path, dtype, expected, layout):
    summary = read_onnx(color_detector(tmp_path / 'm.onnx', 64, 32, layout, dtype))
    assert (summary.input_dtype, summary.layout) == (expected, layout)
    assert (summary.width, summary.height, summary.channels) == (64, 32, 3)


@pytest.mark.parametrize('shape, expected', [
    ([1, 1, 28, 40], ('nchw', 40, 28, 1)),
    ([1, 28, 40, 1], ('nhwc', 40, 28, 1)),
    ([1, 3, 224, 3], ('nchw', 3, 224, 3))])
def test_layouts_by_shape(tmp_path, shape, expected):
    summary = read_onnx(fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 10)), input_shape=shape))
    assert (summary.layout, summary.width, summary.height, summary.channels) == expected


def test_open_batch_and_size(tmp_path):
    summary = read_onnx(dynamic_detector(tmp_path / 'm.onnx'))
    assert (summary.width, summary.height, summary.dynamic_batch) == (0, 0, True)
    assert summary.declared_outputs == (('output0', (0, 7, 0)),)
    # 8x8 cells of 64x32, and of an odd size
    assert output_shapes(summary, 64, 32) == (('output0', (1, 7, 32)),)
    assert output_shapes(summary, 70, 47) == (('output0', (1, 7, 40)),)


def test_a_batch_of_minus_one_is_open(tmp_path):
    summary = read_onnx(color_classifier(tmp_path / 'm.onnx', batch=-1))
    assert summary.dynamic_batch is True
    assert output_shapes(summary, 16, 16) == (('logits', (1, 3)),)


def test_shapes_that_inference_cannot_tell_are_read_off_a_run(tmp_path):
    # The number of pixels that are not zero is known only at run time: here it is 0.
    path = save(
        tmp_path / 'm.onnx', [helper.make_node('NonZero', ['images'], ['where'])],
        {'images': (FLOAT, [1, 3, 8, 8])}, {'where': (TensorProto.INT64, [4, 'count'])})
    assert output_shapes(read_onnx(path), 8, 8) == (('where', (4, 0)),)


def halving_and_doubling(path):
    """A network that accepts only even sizes, like networks with skip connections."""
    return save(
        path,
        [helper.make_node('AveragePool', ['images'], ['half'], kernel_shape=[2, 2], strides=[2, 2]),
         helper.make_node('Resize', ['half', '', 'scales'], ['again'], mode='nearest'),
         helper.make_node('Add', ['images', 'again'], ['sum']),
         helper.make_node('NonZero', ['sum'], ['where'])],
        {'images': (FLOAT, [1, 3, 'height', 'width'])}, {'where': (TensorProto.INT64, [4, 'count'])},
        {'scales': np.array([1, 1, 2, 2], np.float32)})


def test_a_size_that_the_network_cannot_take(tmp_path):
    summary = read_onnx(halving_and_doubling(tmp_path / 'm.onnx'))
    assert output_shapes(summary, 10, 8) == (('where', (4, 0)),)
    with pytest.raises(ModelError) as error:
        output_shapes(summary, 11, 8)
    assert str(error.value).startswith('m.onnx cannot run at 11x8: ONNX Runtime failed on m.onnx: ')
    assert 'set input_size to a size that the network accepts, usually a multiple of 32' in str(error.value)


# Whether NMS is included


@pytest.mark.parametrize('metadata, expected', [
    ({}, None),
    ({'end2end': 'True'}, True),
    ({'end2end': 'False'}, False),
    # YOLO11 with nms=True: the network is not end-to-end, but the export is
    ({'end2end': 'False', 'args': "{'batch': 1, 'half': False, 'nms': True}"}, True),
    ({'end2end': 'False', 'args': "{'batch': 1, 'nms': False}"}, False),
    # YOLOv10 from an older Ultralytics without end2end: nms=False means nothing
    ({'args': "{'batch': 1, 'dynamic': False, 'nms': False}"}, None),
    ({'args': "{'nms': True}"}, True),
    ({'args': 'none of this'}, None),
    ({'args': '[1, 2]'}, None),
])
def test_end_to_end_by_metadata(tmp_path, metadata, expected):
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 300, 6)), metadata=metadata)
    assert read_onnx(path).end_to_end is expected


def test_end_to_end_by_the_graph(tmp_path):
    path = save(
        tmp_path / 'm.onnx', [helper.make_node('NonMaxSuppression', ['boxes', 'scores'], ['chosen'])],
        {'images': (FLOAT, [1, 3, 8, 8])}, {'chosen': (TensorProto.INT64, ['count', 3])},
        {'boxes': np.zeros((1, 5, 4), np.float32), 'scores': np.zeros((1, 2, 5), np.float32)})
    assert read_onnx(path).end_to_end is True


@pytest.mark.parametrize('text, size', [
    ('[480, 640]', (640, 480)), ('[640, 640]', (640, 640)), ('640', None), ('[640]', None), ('large', None),
    ('', None)])
def test_size_by_metadata(tmp_path, text, size):
    path = fixed_outputs(tmp_path / 'm.onnx', np.zeros((1, 10)), metadata={'imgsz': text})
    assert read_onnx(path).metadata_size == size


# Precision


def test_stored_precision(tmp_path):
    def model(name, weights, kind):
        nodes = [helper.make_node('Flatten', ['images'], ['flat']),
                 helper.make_node('MatMul', ['flat', 'weights'], ['out'])]
        return save(tmp_path / name, nodes, {'images': (kind, [1, 3, 2, 2])}, {'out': (kind, [1, 5])},
                    {'weights': weights})

    assert read_onnx(model('a.onnx', np.zeros((12, 5), np.float32), FLOAT)).stored_precision == 'fp32'
    assert read_onnx(model('b.onnx', np.zeros((12, 5), np.float16), FLOAT16)).stored_precision == 'fp16'
    path = save(
        tmp_path / 'c.onnx',
        [helper.make_node('QuantizeLinear', ['images', 'scale', 'zero'], ['q']),
         helper.make_node('DequantizeLinear', ['q', 'scale', 'zero'], ['out'])],
        {'images': (FLOAT, [1, 3, 2, 2])}, {'out': (FLOAT, [1, 3, 2, 2])},
        {'scale': np.array(0.1, np.float32), 'zero': np.array(0, np.int8)})
    assert read_onnx(path).stored_precision == 'int8'
    path = save(
        tmp_path / 'd.onnx',
        [helper.make_node('Flatten', ['images'], ['flat']),
         helper.make_node('DynamicQuantizeLinear', ['flat'], ['q', 'scale', 'zero']),
         helper.make_node('MatMulInteger', ['q', 'weights', 'zero'], ['sums']),
         helper.make_node('Cast', ['sums'], ['numbers'], to=FLOAT),
         helper.make_node('Mul', ['numbers', 'scale'], ['out'])],
        {'images': (FLOAT, [1, 3, 2, 2])}, {'out': (FLOAT, [1, 5])}, {'weights': np.zeros((12, 5), np.int8)})
    assert read_onnx(path).stored_precision == 'int8'


# Files that are not ONNX


@pytest.mark.parametrize('name, content, message', [
    ('m.onnx', b'', 'm.onnx is empty: expected an ONNX file; copy or export it again'),
    ('m.onnx', b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n',
     'is a Git LFS pointer, not the model: run git lfs pull'),
    ('m.onnx', b'<!DOCTYPE html><html>404</html>', 'cannot be read as ONNX'),
    ('m.onnx', b'\x89PNG\r\n\x1a\n' + bytes(range(256)), 'cannot be read as ONNX'),
    ('yolov5s.pt', b'PK\x03\x04',
     'yolov5s.pt is not an ONNX file: python export.py --weights yolov5s.pt --include onnx'),
    ('yolov8n.PT', b'PK\x03\x04', 'yolo export model=yolov8n.PT format=onnx'),
    ('m.pth', b'PK', 'torch.onnx.export'),
    ('m.engine', b'ftrt', 'm.engine is not an ONNX file: give the ONNX file it was built from'),
    ('m.tflite', b'\x1c\0\0\0TFL3', 'a TensorFlow Lite model: only backend litert reads it'),
])
def test_files_that_are_no_onnx(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError) as error:
        read_onnx(path)
    assert message in str(error.value)
    assert '\n' not in str(error.value)


def test_an_empty_protobuf_is_no_model(tmp_path):
    path = tmp_path / 'm.onnx'
    path.write_bytes(onnx.ModelProto(ir_version=8).SerializeToString())
    with pytest.raises(ModelError, match=r'm\.onnx contains no graph: expected an ONNX file'):
        load_proto(path)


@pytest.mark.parametrize('part', [0.3, 0.6, 0.95])
def test_a_truncated_file(tmp_path, part):
    whole = color_detector(tmp_path / 'whole.onnx').read_bytes()
    path = tmp_path / 'm.onnx'
    path.write_bytes(whole[:int(len(whole) * part)])
    message = r'm\.onnx (cannot be read as ONNX|contains no graph).*copy or export it again'
    with pytest.raises(ModelError, match=message):
        read_onnx(path)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ModelError, match=r'no model file at .*m\.onnx: expected an ONNX file; check model_file'):
        read_onnx(tmp_path / 'm.onnx')
    with pytest.raises(ModelError, match='is a folder: expected an ONNX file'):
        read_onnx(tmp_path)


# Inputs that are not an image


def test_two_inputs(tmp_path):
    path = save(
        tmp_path / 'm.onnx', [helper.make_node('Flatten', ['images'], ['out'])],
        {'images': (FLOAT, [1, 3, 8, 8]), 'sizes': (TensorProto.INT64, [1, 2])}, {'out': (FLOAT, [1, 192])})
    with pytest.raises(ModelError) as error:
        read_onnx(path)
    assert str(error.value) == (
        'm.onnx has 2 inputs (images float [1, 3, 8, 8], sizes int64 [1, 2]): expected one image input; '
        'export it with the image as its only input')


def test_an_initializer_that_is_listed_as_input_is_none(tmp_path):
    # Exporters of ONNX IR 3 write it this way.
    path = color_classifier(tmp_path / 'm.onnx')
    model = onnx.load(str(path))
    model.graph.input.append(helper.make_tensor_value_info('ten', FLOAT, []))
    onnx.save(model, str(path))
    assert read_onnx(path).input_name == 'images'


@pytest.mark.parametrize('kind, shape, message', [
    (TensorProto.DOUBLE, [1, 3, 8, 8], 'double [1, 3, 8, 8]: expected float32, float16, uint8, or quantised int8; '
                                       'export it with a float32 input'),
    (TensorProto.INT64, [1, 3, 8, 8], 'int64 [1, 3, 8, 8]: expected float32, float16, uint8, or quantised int8'),
    (FLOAT, [1, 12], 'input images float [1, 12]: expected an image, [1, 3, height, width] or [1, height, width, 3]'),
    (FLOAT, [1, 4, 8, 8], 'input images float [1, 4, 8, 8]: expected an image'),
    (FLOAT, [1, 3, 2, 8, 8], 'input images float [1, 3, 2, 8, 8]: expected an image'),
    (FLOAT, ['n', 'c', 'h', 'w'], 'input images float [?, ?, ?, ?]: expected an image'),
    (FLOAT, [4, 3, 8, 8], 'fixed batch size 4 (input images float [4, 3, 8, 8]): export it with batch size 1 or with a '
                          'dynamic batch'),
])
def test_inputs_that_are_no_image(tmp_path, kind, shape, message):
    path = save(tmp_path / 'm.onnx', [helper.make_node('Identity', ['images'], ['out'])],
                {'images': (kind, shape)}, {'out': (kind, shape)})
    with pytest.raises(ModelError) as error:
        read_onnx(path)
    assert message in str(error.value)


@pytest.mark.parametrize('imgsz, size', [
    ('[480, 640]', (640, 480)), ('[64.0, 96.0]', (96, 64)), ('["64", "96"]', (96, 64)), ('[-64, 96]', None),
    ('[0, 96]', None), ('[1e400, 96]', None), ('[NaN, 96]', None), ('[96]', None), ('640', None), ('x', None)])
def test_the_size_in_the_metadata(imgsz, size):
    assert metadata_size({'imgsz': imgsz}) == size


# External data and the hash


def external(path, seed=0, location='weights.bin'):
    """A model with its weights in a separate file."""
    weights = np.random.default_rng(seed).normal(size=(12, 40)).astype(np.float32)
    save(path, [helper.make_node('Flatten', ['images'], ['flat']), helper.make_node('MatMul', ['flat', 'w'], ['out'])],
         {'images': (FLOAT, [1, 3, 2, 2])}, {'out': (FLOAT, [1, 40])}, {'w': weights})
    onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location=location, size_threshold=0)
    return path


def test_the_hash_is_that_of_the_file(tmp_path):
    path = color_detector(tmp_path / 'm.onnx')
    assert read_onnx(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_hash_covers_external_data(tmp_path):
    path = external(tmp_path / 'm.onnx')
    data = tmp_path / 'weights.bin'
    assert len(data.read_bytes()) >= 12 * 40 * 4
    first = read_onnx(path).sha256
    assert first == hashlib.sha256(path.read_bytes() + data.read_bytes()).hexdigest()
    assert sha256_of(path) == first
    changed = bytearray(data.read_bytes())
    changed[100] ^= 1
    data.write_bytes(changed)
    assert read_onnx(path).sha256 != first


def weights_tensor(name='w', kind=np.float32):
    return numpy_helper.from_array(np.random.default_rng(0).normal(size=(12, 40)).astype(kind), name)


def constant_nodes(name='w', kind=np.float32):
    return [helper.make_node('Constant', [], [name], value=weights_tensor(kind=kind))]


def in_a_branch():
    """Weights that are only in the two graphs inside an If."""
    branches = {
        key: helper.make_graph(
            [helper.make_node('MatMul', ['flat', 'w'], ['o'])], key, [],
            [helper.make_tensor_value_info('o', FLOAT, [1, 40])], [weights_tensor()])
        for key in ('then_branch', 'else_branch')}
    return [
        helper.make_node('Flatten', ['images'], ['flat']),
        helper.make_node('Constant', [], ['yes'], value=numpy_helper.from_array(np.array(True))),
        helper.make_node('If', ['yes'], ['out'], **branches)]


def outside(path, nodes):
    """A model with its nodes' tensors in a separate file."""
    save(path, nodes, {'images': (FLOAT, [1, 3, 2, 2])}, {'out': (FLOAT, [1, 40])}, {})
    onnx.save(
        onnx.load(str(path)), str(path), save_as_external_data=True, location='weights.bin', size_threshold=100,
        convert_attribute=True)
    return path


FLAT_PRODUCT = [
    helper.make_node('Flatten', ['images'], ['flat']), helper.make_node('MatMul', ['flat', 'w'], ['out'])]


@pytest.mark.parametrize('nodes', [constant_nodes() + FLAT_PRODUCT, in_a_branch()], ids=['constant', 'branch'])
def test_the_hash_covers_external_data_of_nodes(tmp_path, nodes):
    path = outside(tmp_path / 'm.onnx', nodes)
    data = tmp_path / 'weights.bin'
    first = read_onnx(path).sha256
    assert first == sha256_of(path) == hashlib.sha256(path.read_bytes() + data.read_bytes()).hexdigest()
    changed = bytearray(data.read_bytes())
    changed[-100] ^= 1
    data.write_bytes(changed)
    assert read_onnx(path).sha256 != first
    data.unlink()
    with pytest.raises(ModelError, match=r'm\.onnx has weights in the file weights\.bin, which is missing in'):
        read_onnx(path)


@pytest.mark.parametrize('kind, precision', [(np.float32, 'fp32'), (np.float16, 'fp16')])
def test_the_precision_is_that_of_the_weights_wherever_they_are(tmp_path, kind, precision):
    nodes = [
        helper.make_node('Cast', ['images'], ['cast'], to=helper.np_dtype_to_tensor_dtype(np.dtype(kind))),
        helper.make_node('Flatten', ['cast'], ['flat']), *constant_nodes(kind=kind),
        helper.make_node('MatMul', ['flat', 'w'], ['product']),
        helper.make_node('Cast', ['product'], ['out'], to=FLOAT)]
    path = save(tmp_path / 'm.onnx', nodes, {'images': (FLOAT, [1, 3, 2, 2])}, {'out': (FLOAT, [1, 40])}, {})
    assert read_onnx(path).stored_precision == precision


def test_all_tensors_are_found():
    """In every place that ONNX has for a tensor."""
    def tensor(name):
        return numpy_helper.from_array(np.zeros(2, np.float32), name)

    def sparse(name):
        return onnx.helper.make_sparse_tensor(tensor(name), numpy_helper.from_array(np.zeros(2, np.int64), name), [4])

    def graph(name, **fields):
        return helper.make_graph([], name, [], [], [tensor(f'{name} initializer')], **fields)

    node = helper.make_node(
        'Anything', [], ['y'], one=tensor('one'), many=[tensor('many')], thin=sparse('thin'), thins=[sparse('thins')],
        inner=graph('inner'), inners=[graph('inners')])
    function = helper.make_function(
        'd', 'F', [], ['y'], [helper.make_node('Constant', [], ['y'], value=tensor('function'))], [])
    model = helper.make_model(
        helper.make_graph([node], 'g', [], [], [tensor('initializer')], sparse_initializer=[sparse('sparse')]),
        functions=[function])
    assert sorted(found.name for found in all_tensors(model)) == [
        'function', 'initializer', 'inner initializer', 'inners initializer', 'many', 'one', 'sparse', 'sparse',
        'thin', 'thin', 'thins', 'thins']


def test_missing_external_data_is_named(tmp_path):
    path = external(tmp_path / 'm.onnx')
    (tmp_path / 'weights.bin').unlink()
    with pytest.raises(ModelError) as error:
        read_onnx(path)
    assert str(error.value) == (
        f'm.onnx has weights in the file weights.bin, which is missing in {tmp_path}: copy that file too')
