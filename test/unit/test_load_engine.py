# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""trt_perception.load_engine: networks as ONNX files, arrays on the GPU, and engines of TensorRT, without PyTorch."""

import copy
import ctypes
import math
import os
import pickle

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
import onnx
from onnx import helper
from support.tiny_models import FLOAT, save

import trt_perception
from trt_perception.api.engine import Engine
from trt_perception.backends.raw import RawOnnxRuntime
from trt_perception.backends.tensorrt import raw_engine
from trt_perception.backends.tensorrt.cache.engine_cache import EngineCache
from trt_perception.backends.tensorrt.cuda.gpu_info import GpuInfo
from trt_perception.backends.tensorrt.raw_engine import RawEngine
from trt_perception.cli.main import main
from trt_perception.errors import EngineError, ModelError, ParameterError
from trt_perception.file_cache import record_path
from trt_perception.model.onnx_file import sha256_of
from trt_perception.model.unchanged import unchanged
from trt_perception.pipeline.raw import RawOptions
from trt_perception.pipeline.raw_file import METADATA_KEY, read_raw_model
from trt_perception.pipeline.tensorrt_options import BuildOptions
from trt_perception.precision.raw import stored_networks

CARD = GpuInfo('a card', '8.6', 28, 12288, integrated=False)
TARGET = BuildOptions(compute_capabilities=('8.6',), optimization_level=0)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'trt_perception'


def network(path, batch='batch'):
    """Two inputs: product and sum of each pixel with a scale, and weights that int8 and fp16 can convert."""
    weights = np.random.default_rng(0).normal(0, 0.5, (6, 3, 3, 3)).astype(np.float32)
    return save(
        path, [
            helper.make_node('Conv', ['image', 'weights'], ['features'], pads=[1, 1, 1, 1]),
            helper.make_node('Mul', ['features', 'scale'], ['product']),
            helper.make_node('ReduceSum', ['product', 'axes'], ['sum'], keepdims=0)],
        {'image': (FLOAT, [batch, 3, 8, 8]), 'scale': (FLOAT, [batch, 1, 1, 1])},
        {'product': (FLOAT, [batch, 6, 8, 8]), 'sum': (FLOAT, [batch, 6])},
        {'weights': weights, 'axes': np.array([2, 3], np.int64)})


def inputs(batch=1, seed=1):
    random = np.random.default_rng(seed)
    return random.random((batch, 3, 8, 8), np.float32), random.random((batch, 1, 1, 1), np.float32) + 1


def test_any_onnx_file(tmp_path):
    path = network(tmp_path / 'pair.onnx')
    session = RawOnnxRuntime(read_raw_model(path, 3)[0], RawOptions())
    with session, trt_perception.load_engine(path, backend='onnxruntime', max_batch=3) as engine:
        for batch in (1, 2, 3):
            image, scale = inputs(batch)
            product, total = engine(image, scale=scale)
            expected = session.run([image, scale], batch)
            np.testing.assert_array_equal(product, expected[0])
            np.testing.assert_allclose(total, product.sum((2, 3)), rtol=1e-5)
        with pytest.raises(ParameterError, match="input 'scale' has a batch of 1, but input 'image' one of 2"):
            engine(inputs(2)[0], inputs(1)[1])
        assert engine.difference is None and engine.max_batch == 3
        assert str(engine.inputs[0]) == 'image float32 [batch, 3, 8, 8]'
    with trt_perception.load_engine(path, backend='onnxruntime') as engine:
        engine(*inputs(1))
        with pytest.raises(ParameterError, match='has a batch of 2, expected 1 to 1'):
            engine(*inputs(2))


def test_a_file_without_inputs_is_refused(tmp_path):
    path = save(tmp_path / 'constant.onnx', [helper.make_node('Identity', ['one'], ['y'])], {}, {'y': (FLOAT, [1])},
                {'one': np.ones(1, np.float32)})
    with pytest.raises(ModelError, match=r'constant\.onnx has no inputs: expected a network that is called with'):
        trt_perception.load_engine(path, backend='onnxruntime')


def test_a_tflite_file_is_for_open(tmp_path):
    path = tmp_path / 'model.tflite'
    path.write_bytes(b'\x1c\0\0\0TFL3' + bytes(100))
    with pytest.raises(ModelError, match=r'is a TensorFlow Lite model: expected an ONNX file; trt_perception\.open'):
        trt_perception.load_engine(path)


@pytest.mark.parametrize('place, message', [
    (None, 'path is None: expected a path'), (b'x.onnx', "path is b'x.onnx': expected a path"),
    ('a\0b', 'expected text without the character NUL'), ('', '. is a folder: expected the name of the file to write'),
    ('.', '. is a folder: expected the name of the file to write')])
def test_a_wrong_place_to_save_at(tmp_path, place, message):
    engine = trt_perception.load_engine(network(tmp_path / 'pair.onnx'), backend='onnxruntime')
    with engine, pytest.raises(ParameterError) as found:
        engine.save(place)
    assert message in str(found.value)


@pytest.mark.parametrize('copied', [copy.copy, copy.deepcopy, pickle.dumps])
def test_an_engine_cannot_be_copied(tmp_path, copied):
    with trt_perception.load_engine(network(tmp_path / 'pair.onnx'), backend='onnxruntime') as engine:
        with pytest.raises(TypeError, match=r'cannot be copied or sent to another process: save it with engine\.save'):
            copied(engine)
        engine(*inputs())


def test_int8_and_fp16_of_any_file(tmp_path, cache):
    path = network(tmp_path / 'pair.onnx', 1)
    image, scale = inputs()
    with trt_perception.load_engine(path, backend='onnxruntime') as engine:
        expected = engine(image, scale)
    samples = [inputs(seed=seed) for seed in range(10)]
    with trt_perception.load_engine(
            path, precision='int8', calibration=samples, backend='onnxruntime') as engine:
        product, _ = engine(image, scale)
        assert 1e-6 < np.abs(product - expected[0]).max() < 0.1 * np.abs(expected[0]).max()
        engine.save(tmp_path / 'int8.onnx')
    assert any(node.op_type == 'QuantizeLinear' for node in onnx.load(str(tmp_path / 'int8.onnx')).graph.node)
    # `cache` shows and removes it.
    files = list((cache / 'networks').glob('*.onnx'))
    assert len(files) == 1


def test_the_cache_command_lists_and_removes_networks(tmp_path, cache, capsys):
    path = network(tmp_path / 'pair.onnx', 1)
    samples = [inputs(seed=seed) for seed in range(10)]
    trt_perception.load_engine(path, precision='int8', calibration=samples, backend='onnxruntime').close()
    assert main(['cache', 'list']) == 0
    shown = capsys.readouterr().out
    assert 'pair-int8-' in shown and '1 networks of from_torch' in shown
    assert main(['cache', 'prune', '--unused-for', '1']) == 0
    assert len(list((cache / 'networks').glob('*.onnx'))) == 1
    assert main(['cache', 'prune', '--all']) == 0
    assert '1 networks removed' in capsys.readouterr().out
    assert list((cache / 'networks').iterdir()) == []


def test_another_user_of_a_stored_network_does_not_disturb_its_build(tmp_path, cache):
    """A build fails if its model changes; that the network is used again is no change, but `cache` knows of it."""
    path = network(tmp_path / 'pair.onnx', 1)
    samples = [inputs(seed=seed) for seed in range(10)]

    def use():
        trt_perception.load_engine(path, precision='int8', calibration=samples, backend='onnxruntime').close()

    use()
    stored, = (cache / 'networks').glob('*.onnx')
    os.utime(record_path(stored), (1, 1))
    assert stored_networks()[0].last_used == 1
    with unchanged(stored, sha256_of(stored), 'its engine was built') as check:
        use()
        check()
    assert stored_networks()[0].last_used > 1e9


@pytest.mark.parametrize('change, options, message', [
    (lambda path: path.unlink(), {}, 'there is no such file; expected an ONNX file'),
    (lambda path: (path.unlink(), path.mkdir()), {}, 'it is a folder; expected an ONNX file'),
    (lambda path: path.write_bytes(b'text'), {}, 'is not an ONNX file|cannot be read as ONNX'),
    (lambda path: network(path, 1), {'max_batch': 2}, 'max_batch is 2, but pair.onnx has fixed shapes'),
    (lambda path: save(
        path, [helper.make_node('Relu', ['x'], ['y'])], {'x': (FLOAT, [1, 'width'])}, {'y': (FLOAT, [1, 'width'])}, {}),
     {}, 'pair.onnx: the shape of x is not fixed')])
def test_a_wrong_file_is_one_clear_error(tmp_path, change, options, message):
    path = network(tmp_path / 'pair.onnx')
    change(path)
    with pytest.raises(ModelError, match=message):
        trt_perception.load_engine(path, backend='onnxruntime', **options)


@pytest.mark.parametrize('value', [
    '', '[]', '{"inputs": [["a", "float32", [1], false]], "outputs": [], "max_batch": 1, "structure": 0}',
    '{"inputs": [], "outputs": [], "max_batch": 1, "structure": {"dict": [[1, 2]]}}',
    '{"inputs": [], "outputs": [], "max_batch": 1, "structure": ' + '{"list": [' * 100 + ']}' * 100 + '}'])
def test_damaged_metadata_is_one_clear_error(tmp_path, value):
    path = network(tmp_path / 'pair.onnx')
    model = onnx.load(str(path))
    helper.set_model_props(model, {METADATA_KEY: value})
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r'its metadata trt_perception\.network is damaged'):
        trt_perception.load_engine(path, backend='onnxruntime')


# Arrays on the GPU, by __cuda_array_interface__


class HostGpu(RawOnnxRuntime):
    """A GPU whose memory is that of the host: it runs the network on what lies at the given addresses."""

    device_index = 1

    def __init__(self, model):
        super().__init__(model, RawOptions())
        self._model = model
        self.buffers, self.free, self.streams, self.waits = {}, [], [], 0

    def at(self, address, spec, batch):
        shape = spec.shape_for(batch)
        memory = (ctypes.c_char * (math.prod(shape) * spec.dtype.itemsize)).from_address(address)
        return np.frombuffer(memory, spec.dtype).reshape(shape)

    def enqueue(self, inputs, outputs, batch, stream, wait=False):
        self.streams.append(stream)
        self.waits += wait
        results = self.run([self.at(a, s, batch) for a, s in zip(inputs, self._model.inputs)], batch)
        for address, spec, result in zip(outputs, self._model.outputs, results):
            self.at(address, spec, batch)[...] = result

    def device_of(self, address):
        return 1

    def borrow(self, size):
        if self.free:
            return self.free.pop()
        buffer = np.zeros(size, np.uint8)
        self.buffers[buffer.ctypes.data] = buffer
        return buffer.ctypes.data

    def give_back(self, address):
        self.free.append(address)

    def download(self, address, array):
        ctypes.memmove(array.ctypes.data, address, array.nbytes)


class OnGpu:
    """An array as CuPy or pycuda have it."""

    def __init__(self, array, **changes):
        self.array = array
        self.changes = changes

    @property
    def __cuda_array_interface__(self):
        interface = {
            'shape': self.array.shape, 'typestr': self.array.dtype.str, 'data': (self.array.ctypes.data, True),
            'strides': self.array.strides, 'version': 3, 'stream': None}
        return {**interface, **self.changes}


@pytest.fixture
def gpu(tmp_path):
    model, structure = read_raw_model(network(tmp_path / 'pair.onnx'), 4)
    backend = HostGpu(model)
    backend.open()
    with Engine(model, backend, structure) as engine:
        yield engine, backend


def test_arrays_of_other_libraries_are_read_and_results_written_where_they_are(gpu):
    engine, backend = gpu
    for batch in (1, 3):
        image, scale = inputs(batch)
        product, total = engine(OnGpu(image), OnGpu(scale))
        expected = engine(image, scale)
        assert isinstance(product, trt_perception.DeviceArray)
        np.testing.assert_array_equal(product.numpy(), expected[0])
        np.testing.assert_array_equal(total.numpy(), expected[1])
        interface = total.__cuda_array_interface__
        assert interface['data'] == (total.address, False) and interface['shape'] == (batch, 6)
        assert (interface['typestr'], interface['strides'], interface['version']) == ('<f4', None, 3)
    assert backend.waits == 2


def test_results_keep_their_memory_until_they_are_gone(gpu):
    engine, backend = gpu
    image, scale = inputs()
    first, _ = engine(OnGpu(image), OnGpu(scale))
    before = first.numpy()
    second, _ = engine(OnGpu(image * 2), OnGpu(scale))
    assert first.address != second.address
    np.testing.assert_array_equal(first.numpy(), before)
    address = first.address
    del first
    assert address in backend.free


def test_the_stream_of_the_inputs_is_followed(gpu):
    engine, backend = gpu
    image, scale = inputs()
    engine(OnGpu(image), OnGpu(scale))
    engine(OnGpu(image, stream=7), OnGpu(scale))
    engine(OnGpu(image, stream=7), OnGpu(scale, stream=7))
    # Before version 3 there is no stream: the default one.
    old = OnGpu(image).__cuda_array_interface__
    old.update(version=2)
    del old['stream']
    engine(type('Old', (), {'__cuda_array_interface__': old, 'keep': image})(), OnGpu(scale))
    assert backend.streams == [None, 7, 7, 0]
    with pytest.raises(ParameterError, match='the inputs are made on several CUDA streams'):
        engine(OnGpu(image, stream=7), OnGpu(scale, stream=8))


@pytest.mark.parametrize('change, message', [
    (lambda image: OnGpu(image.transpose(0, 1, 3, 2)), "input 'image' is not contiguous"),
    (lambda image: OnGpu(image, mask=OnGpu(image)), "input 'image' has a mask"),
    (lambda image: OnGpu(image.astype(np.float16)), "input 'image' is float16, expected float32"),
    (lambda image: OnGpu(image[0]), r"input 'image' has the shape \[3, 8, 8\], expected \[batch, 3, 8, 8\]")])
def test_a_wrong_array_on_the_gpu(gpu, change, message):
    engine, _ = gpu
    image, scale = inputs()
    with pytest.raises(ParameterError, match=message):
        engine(change(image), OnGpu(scale))
    # The strides of a dimension of 1 have no effect.
    engine(OnGpu(image, strides=(1, *image.strides[1:])), OnGpu(scale))


def test_wrong_places(gpu, monkeypatch, tmp_path):
    engine, backend = gpu
    image, scale = inputs()
    with pytest.raises(ParameterError, match=r"input 'scale' is on the host \(ndarray\), expected the GPU, as"):
        engine(OnGpu(image), scale)
    monkeypatch.setattr(backend, 'device_of', lambda address: 0)
    with pytest.raises(ParameterError, match="input 'image' is on GPU 0, expected GPU 1: move it to GPU 1"):
        engine(OnGpu(image), OnGpu(scale))
    with (
            trt_perception.load_engine(network(tmp_path / 'cpu.onnx'), backend='onnxruntime') as on_cpu,
            pytest.raises(ParameterError, match='is on the GPU, expected the CPU, on which ONNX Runtime runs')):
        on_cpu(OnGpu(image), OnGpu(scale))
    engine.close()
    with pytest.raises(EngineError, match='the engine is closed'):
        engine(OnGpu(image), OnGpu(scale))


# Engines of TensorRT for RTX, which builds without a GPU


@pytest.fixture
def rtx(monkeypatch):
    module = pytest.importorskip(
        'tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')
    monkeypatch.setattr(raw_engine, 'gpu_info', lambda index: CARD)
    return module


def test_two_inputs_with_a_batch_become_one_plan_and_the_next_time_it_is_found(rtx, tmp_path):
    model, _ = read_raw_model(network(tmp_path / 'pair.onnx'), 4)
    options = RawOptions(build=TARGET)
    built = RawEngine(model, options).engine()
    assert not built.hit and len(built.plan) > 1000
    found = RawEngine(model, options).engine()
    assert found.hit and found.plan == built.plan
    assert [entry.sidecar['key']['batch'] for entry in EngineCache().entries()] == [[1, 1, 4]]
    # Another batch, another file: another engine.
    larger, _ = read_raw_model(network(tmp_path / 'pair.onnx'), 8)
    assert RawEngine(larger, options).engine().digest != built.digest


def test_a_network_that_tensorrt_cannot_read(rtx, tmp_path):
    graph = helper.make_graph(
        [helper.make_node('Whirl', ['x'], ['y'], name='spin', domain='vortex')], 'odd',
        [helper.make_tensor_value_info('x', FLOAT, [1, 3])], [helper.make_tensor_value_info('y', FLOAT, [1, 3])])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13), helper.make_opsetid('vortex', 1)])
    proto.ir_version = 8
    onnx.save(proto, str(tmp_path / 'odd.onnx'))
    model, _ = read_raw_model(tmp_path / 'odd.onnx')
    with pytest.raises(ModelError, match=r'odd\.onnx cannot be used by tensorrt_rtx .*node spin \(operator Whirl\)'):
        RawEngine(model, RawOptions(build=TARGET)).engine()


def test_every_state_without_an_engine(tmp_path):
    engine = RawEngine(read_raw_model(network(tmp_path / 'pair.onnx'))[0])
    for call in (
            lambda: engine.run([], 1), lambda: engine.enqueue([], [], 1, None), engine.describe,
            lambda: engine.borrow(1), lambda: engine.device_of(1), lambda: engine.download(1, np.zeros(1))):
        with pytest.raises(EngineError, match='the network is closed'):
            call()
    engine.give_back(1)
    engine.close()
