# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Engines of load_engine and from_torch on a GPU: host arrays, arrays of pycuda, streams, and tensors of PyTorch.

PyTorch is needed for the last part only.
"""

import gc

import numpy as np
import pytest
from onnx import helper
from support.tiny_models import FLOAT, save

import trt_perception
from trt_perception.backends.tensorrt.cuda.runtime_api import CudaSession
from trt_perception.errors import EngineError, ParameterError


@pytest.fixture(autouse=True)
def one_cache(kept_cache):
    """Each engine is built once."""


def network(path, batch='batch'):
    """Two inputs: a convolution times a scale, and its sum over the pixels."""
    weights = np.random.default_rng(0).normal(0, 0.2, (16, 3, 3, 3)).astype(np.float32)
    return save(
        path, [
            helper.make_node('Conv', ['image', 'weights'], ['features'], pads=[1, 1, 1, 1]),
            helper.make_node('Mul', ['features', 'scale'], ['product']),
            helper.make_node('ReduceSum', ['product', 'axes'], ['sum'], keepdims=0)],
        {'image': (FLOAT, [batch, 3, 64, 64]), 'scale': (FLOAT, [batch, 1, 1, 1])},
        {'product': (FLOAT, [batch, 16, 64, 64]), 'sum': (FLOAT, [batch, 16])},
        {'weights': weights, 'axes': np.array([2, 3], np.int64)})


def inputs(batch=1, seed=1):
    random = np.random.default_rng(seed)
    return random.random((batch, 3, 64, 64), np.float32), random.random((batch, 1, 1, 1), np.float32) + 1


@pytest.fixture
def path(tmp_path):
    return network(tmp_path / 'pair.onnx')


@pytest.fixture
def engine(path):
    with trt_perception.load_engine(path, backend='tensorrt', max_batch=4) as engine:
        yield engine


@pytest.fixture
def reference(path):
    with trt_perception.load_engine(path, backend='onnxruntime', max_batch=4) as engine:
        yield engine


def close(found, expected, tolerance=1e-4):
    assert found.shape == expected.shape and found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


@pytest.fixture
def on_gpu(session):
    """Uploads an array; pycuda's memory is freed with its context current."""
    from pycuda import gpuarray
    arrays = []

    def upload(array):
        with session.active('uploading'):
            arrays.append(gpuarray.to_gpu(array))
        return arrays[-1]

    yield upload
    with session.active('freeing'):
        arrays.clear()
        gc.collect()


def test_host_arrays_in_several_batches(engine, reference):
    for batch in (1, 4, 2, 1):
        given = inputs(batch, seed=batch)
        for found, expected in zip(engine(*given), reference(*given)):
            close(found, expected)
    with pytest.raises(ParameterError, match='has a batch of 5, expected 1 to 4'):
        engine(*inputs(5))
    assert engine.describe()['backend'] == 'tensorrt'


def test_the_second_engine_is_from_the_cache(path, engine):
    with trt_perception.load_engine(path, backend='tensorrt', max_batch=4) as second:
        assert second.describe()['engine_from'] == 'cache'
        assert second.describe()['engine'] == engine.describe()['engine']


def test_fp16(path, reference):
    with trt_perception.load_engine(path, backend='tensorrt', max_batch=4, precision='fp16') as engine:
        given = inputs()
        product, total = engine(*given)
        expected = reference(*given)
        close(product, expected[0], 5e-3)
        close(total, expected[1], 5e-3)
        assert np.abs(product - expected[0]).max() > 1e-6 * np.abs(expected[0]).max()


def test_arrays_on_the_gpu(engine, reference, on_gpu):
    for batch in (1, 3):
        given = inputs(batch, seed=7 + batch)
        found = engine(*map(on_gpu, given))
        for one, expected in zip(found, reference(*given)):
            assert isinstance(one, trt_perception.DeviceArray)
            close(one.numpy(), expected)
    # Results are not overwritten by later calls, and their memory is used again when they are gone.
    first = engine(*map(on_gpu, inputs(seed=1)))[0]
    before, address = first.numpy(), first.address
    for seed in range(2, 6):
        engine(*map(on_gpu, inputs(seed=seed)))
    np.testing.assert_array_equal(first.numpy(), before)
    del first
    assert engine(*map(on_gpu, inputs(seed=9)))[0].address == address


def test_an_address_that_is_not_aligned(engine, reference, on_gpu):
    image, scale = inputs()
    padded = np.concatenate([np.zeros(1, np.float32), image.ravel()])
    whole = on_gpu(padded)

    class Part:
        @property
        def __cuda_array_interface__(self):
            return {**whole.__cuda_array_interface__, 'shape': image.shape, 'strides': None,
                    'data': (int(whole.gpudata) + 4, False)}

    close(engine(Part(), on_gpu(scale))[0].numpy(), reference(image, scale)[0])


class Streamed:
    """An array that is written on a stream."""

    def __init__(self, array, stream):
        self.array = array
        self.stream = stream

    @property
    def __cuda_array_interface__(self):
        return {**self.array.__cuda_array_interface__, 'version': 3, 'stream': self.stream.handle}


def test_the_engine_waits_for_the_stream_of_its_input(engine, reference, on_gpu, session):
    import pycuda.driver as cuda
    image, scale = inputs(seed=3)
    target, source, factor = on_gpu(np.zeros_like(image)), on_gpu(image), on_gpu(scale)
    with session.active('making a stream'):
        stream = cuda.Stream()
        size = 1 << 28
        slow = [cuda.mem_alloc(size) for _ in range(2)]
        stream.synchronize()
        # About 10 ms of copies before the input is there.
        for _ in range(40):
            cuda.memcpy_dtod_async(slow[0], slow[1], size, stream)
        cuda.memcpy_dtod_async(target.gpudata, source.gpudata, image.nbytes, stream)
        assert not stream.is_done()
    found = engine(Streamed(target, stream), factor)[0].numpy()
    with session.active('freeing'):
        for one in slow:
            one.free()
        del stream
    close(found, reference(image, scale)[0])


def test_wrong_arrays(engine, on_gpu):
    image, scale = inputs()

    class OnHost:
        @property
        def __cuda_array_interface__(self):
            return {'shape': image.shape, 'typestr': '<f4', 'data': (image.ctypes.data, False), 'version': 3}

    with pytest.raises(EngineError, match='looking for the GPU of the address'):
        engine(OnHost(), on_gpu(scale))
    with pytest.raises(ParameterError, match=r"input 'scale' is on the host \(ndarray\)"):
        engine(on_gpu(image), scale)
    # The engine still runs.
    assert engine(image, scale)[0].shape == (1, 16, 64, 64)


def test_close_frees_the_memory_of_the_gpu(path):
    with CudaSession() as session:
        def free():
            with session.active('measuring'):
                return session.memory()[0]
        trt_perception.load_engine(path, backend='tensorrt').close()
        before = free()
        for _ in range(5):
            with trt_perception.load_engine(path, backend='tensorrt') as engine:
                engine(*inputs())
        assert before - free() < 8 << 20


# PyTorch


@pytest.fixture
def torch():
    torch = pytest.importorskip('torch', reason='needs PyTorch with CUDA in the same Python as TensorRT')
    if not torch.cuda.is_available():
        pytest.skip('this PyTorch has no CUDA')
    return torch


def test_tensors_on_the_gpu(torch):
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).cuda()
    example = torch.rand(1, 3, 64, 64, device='cuda')
    with trt_perception.from_torch(module, example, backend='tensorrt', max_batch=4) as engine:
        for batch in (1, 4):
            image = torch.rand(batch, 3, 64, 64, device='cuda')
            found = engine(image)
            assert found.device == image.device
            torch.testing.assert_close(found, module(image).detach(), rtol=1e-3, atol=1e-4)
        close(engine(image.cpu().numpy()), found.cpu().numpy())
        assert engine(image.cpu()).device.type == 'cpu'
        strided = image.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        torch.testing.assert_close(engine(strided), found)
        assert engine.difference < 1e-3


def test_the_current_stream_of_pytorch_is_followed(torch):
    module = torch.nn.Conv2d(3, 8, 3).cuda()
    image = torch.rand(1, 3, 64, 64, device='cuda')
    with trt_perception.from_torch(module, image, backend='tensorrt') as engine:
        expected = module(image).detach()
        streams = (torch.cuda.default_stream(), torch.cuda.Stream())
        # In the first round PyTorch allocates memory, which may wait for the GPU.
        for round_, stream in ((one, stream) for stream in streams for one in range(2)):
            with torch.cuda.stream(stream):
                target = torch.zeros_like(image)
                torch.cuda.synchronize()
                torch.cuda._sleep(20_000_000)
                target.copy_(image)
                found = engine(target)
                # Neither freed inputs nor the engine's late output may disturb what follows on the stream.
                del target
                garbage = torch.full_like(image, 1e6)
                doubled = found * 2
                assert round_ == 0 or not stream.query()
            torch.cuda.synchronize()
            torch.testing.assert_close(doubled, expected * 2, rtol=1e-3, atol=1e-4)
            assert garbage.min() == 1e6
