# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The device pipeline with several runs at the same time: a stream, an execution context and memory for each.

The kernels run on the host, with stand-ins for the GPU's memory and for TensorRT. test/gpu has the real ones.
"""

import ctypes
import threading
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from support.host_kernels import HostDriver, HostSession, compile_kernels
from support.tiny_models import color_detector

from trt_perception.backends.tensorrt.run import device_pipeline
from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.backends.tensorrt.run.runtime import Engine
from trt_perception.errors import EngineError
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.tensorrt_options import RunOptions

SOON = 60.0  # seconds to wait for events that come at once


class Driver(HostDriver):
    """The kernels of the host have state of their own: one at a time."""

    lock = threading.Lock()

    def launch(self, *arguments):
        with self.lock:
            super().launch(*arguments)


class Session(HostSession):
    """The interface of CudaSession; records what is freed, in order."""

    errors = (EngineError,)
    device_name = 'Host'
    compute_capability = (9, 0)
    integrated = False
    stream_handle = 0
    made: ClassVar[list] = []
    freed: ClassVar[list] = []

    def __init__(self, index):
        super().__init__()
        self.number = len(self.made)
        self.made.append(self)
        self.driver = Driver(self.library)
        self._in_use = threading.Lock()
        self._resources = []

    def active(self, doing):
        session = self

        class Active:
            def __enter__(self):
                # As in CudaSession: a session is for one thread at a time.
                assert session._in_use.acquire(blocking=False), f'{doing} in two threads'

            def __exit__(self, *error):
                session._in_use.release()

        return Active()

    def adopt(self, resource):
        self._resources.append(resource)
        return resource

    def release(self, resource):
        if resource in self._resources:
            self._resources.remove(resource)
            resource.free()

    def close(self):
        while self._resources:
            resource = self._resources.pop()
            resource.free()
            self.freed.append((self.number, type(resource).__name__))
        self.check()


class TensorRt:
    """The interface of library.compat.TensorRt over ONNX Runtime. A context runs on the memory that it was given."""

    version_text = 'stand-in'

    def __init__(self, spec):
        self.spec = spec
        self.backend = OnnxRuntimeBackend(spec.path, 1)
        self.backend.open()
        self.contexts = 0
        self.most_contexts = 99
        # Called in each run, while it is in work.
        self.in_work = lambda: None

    def deserialize(self, plan):
        assert plan == b'plan'
        return object()

    def io_tensors(self, engine):
        [(name, shape)] = self.spec.outputs
        return (
            SimpleNamespace(name=self.spec.input_name, is_input=True, dtype=self.spec.input_dtype,
                            shape=self.spec.input_shape),
            SimpleNamespace(name=name, is_input=False, dtype=np.dtype(np.float32), shape=shape))

    def create_context(self, engine):
        if self.contexts == self.most_contexts:
            raise EngineError('the engine cannot run, probably because of too little GPU memory')
        self.contexts += 1
        addresses = {}
        [(output, shape)] = self.spec.outputs
        shapes = {self.spec.input_name: self.spec.input_shape, output: shape}

        def array(name):
            count = int(np.prod(shapes[name]))
            memory = (ctypes.c_float * count).from_address(addresses[name])
            return np.frombuffer(memory, np.float32).reshape(shapes[name])

        def execute(stream):
            self.in_work()
            array(output)[:] = self.backend.infer(self.spec.input_name, array(self.spec.input_name).copy())[output]
            return True

        return SimpleNamespace(
            set_input_shape=lambda name, shape: True, get_tensor_shape=lambda name: shapes[name],
            set_tensor_address=lambda name, address: addresses.update({name: address}) or True,
            execute_async_v3=execute)


@pytest.fixture(scope='module')
def library(tmp_path_factory):
    return compile_kernels(tmp_path_factory.mktemp('kernels'))


@pytest.fixture
def spec(tmp_path):
    return load_model(color_detector(tmp_path / 'model.onnx'))


@pytest.fixture
def tensorrt(spec, library, monkeypatch):
    monkeypatch.setattr(Session, 'made', [])
    monkeypatch.setattr(Session, 'freed', [])
    monkeypatch.setattr(Session, 'library', library, raising=False)
    monkeypatch.setattr(device_pipeline, 'CudaSession', Session)
    monkeypatch.setattr(device_pipeline, 'kernel_cubin', lambda capability, log: b'')
    monkeypatch.setattr(Driver, 'unload_module', lambda self, module: None, raising=False)
    return TensorRt(spec)


def opened(spec, tensorrt, runs, log=None):
    pipeline = DevicePipeline(
        spec, lambda: b'plan', tensorrt, RunOptions(cuda_graph=False, concurrent_runs=runs), log=log)
    pipeline.open()
    return pipeline


def frame(number, size=(64, 64)):
    pixels = np.zeros((*size[::-1], 3), np.uint8)
    left, top = 8 * (number % 6), 8 * (number % 5)
    pixels[top:top + 8, left:left + 8, number % 3] = 255
    return Frame.from_bgr(pixels)


def test_two_threads_run_at_the_same_time(spec, tensorrt):
    pipeline = opened(spec, tensorrt, 2)
    assert (pipeline.concurrent_runs, len(Session.made), tensorrt.contexts) == (2, 2, 2)
    assert pipeline.describe()['concurrent_inferences'] == '2'
    # Neither network goes on before the other has begun.
    both = threading.Barrier(2)
    tensorrt.in_work = lambda: both.wait(SOON)
    found = {}

    def run(first):
        for number in range(first, 20, 2):
            # Of two sizes, so that each run prepares its own memory again and again.
            found[number] = pipeline.run(frame(number, (64, 64) if number % 4 < 2 else (96, 80))).result

    threads = [threading.Thread(target=run, args=(first,)) for first in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    tensorrt.in_work = lambda: None
    with HostPipeline(spec, OnnxRuntimeBackend(spec.path, 1)) as reference:
        for number in range(20):
            size = (64, 64) if number % 4 < 2 else (96, 80)
            expected = reference.run(frame(number, size)).result
            assert len(expected) >= 1
            np.testing.assert_allclose(found[number].boxes, expected.boxes, atol=1e-3)
            np.testing.assert_allclose(found[number].scores, expected.scores, atol=1e-5)
            assert found[number].class_indices.tolist() == expected.class_indices.tolist()
    pipeline.close()
    with pytest.raises(EngineError, match='not open'):
        pipeline.run(frame(0))


def test_the_second_context_is_freed_before_the_engine(spec, tensorrt):
    opened(spec, tensorrt, 2).close()
    assert Session.freed.index((1, 'Engine')) < Session.freed.index((0, 'Engine'))
    assert {number for number, _ in Session.freed} == {0, 1}


def test_by_default_there_is_one_of_each(spec, tensorrt):
    pipeline = opened(spec, tensorrt, 1)
    assert (pipeline.concurrent_runs, len(Session.made), tensorrt.contexts) == (1, 1, 1)
    assert 'concurrent_inferences' not in pipeline.describe()
    pipeline.close()


def test_too_little_memory_for_another_run_is_a_warning(spec, tensorrt):
    said = []
    tensorrt.most_contexts = 2
    pipeline = opened(spec, tensorrt, 4, log=lambda severity, text: said.append(text))
    assert pipeline.concurrent_runs == 2
    assert any('fewer frames run at the same time on the GPU: the engine cannot run' in text for text in said)
    assert len(pipeline.run(frame(0)).result) == 1
    pipeline.close()
    assert {number for number, _ in Session.freed} >= {0, 1}


def test_an_error_gives_the_run_back(spec, tensorrt):
    pipeline = opened(spec, tensorrt, 2)

    def fail():
        raise EngineError('no')

    tensorrt.in_work = fail
    # More often than there are runs.
    for _ in range(3):
        with pytest.raises(EngineError, match=r'^no$'):
            pipeline.run(frame(0))
    tensorrt.in_work = lambda: None
    assert len(pipeline.run(frame(0)).result) == 1
    pipeline.close()


def test_another_context_shares_the_engine(spec, tensorrt):
    session = Session(0)
    first = Engine(session, tensorrt, b'plan', spec)
    second = first.another(Session(0))
    assert second._engine is first._engine and second._context is not first._context
    assert second.input.address != first.input.address
