# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A GPU and TensorRT for the device pipeline on the host: the kernels compiled for the CPU, and ONNX Runtime.

Graphs are recorded as CUDA records them: a kernel's argument is copied, a copy's addresses are kept.
"""

import ctypes
import threading
from types import SimpleNamespace
from typing import ClassVar

import numpy as np

from support.host_kernels import HostDriver, HostSession
from trt_perception.errors import EngineError
from trt_perception.ort.backend import OnnxRuntimeBackend

SCRATCH = 1000


class Driver(HostDriver):
    """The kernels of the host have state of their own: one at a time."""

    lock = threading.Lock()

    def __init__(self, library, session):
        super().__init__(library)
        self._session = session
        self._graphs = {}

    def launch(self, function, grid, block, argument, stream):
        argument = type(argument).from_buffer_copy(argument)

        def run():
            with self.lock:
                HostDriver.launch(self, function, grid, block, argument, stream)

        self._session.do(run)

    def unload_module(self, module):
        pass

    def begin_capture(self, stream):
        assert self._session.recorded is None
        self._session.recorded = []

    def end_capture(self, stream):
        handle = max(self._graphs, default=0) + 1
        self._graphs[handle], self._session.recorded = self._session.recorded, None
        return handle

    def instantiate_graph(self, graph):
        handle = max(self._graphs) + 1
        self._graphs[handle] = self._graphs[graph]
        return handle

    def destroy_graph(self, graph):
        del self._graphs[graph]

    destroy_executable_graph = destroy_graph

    # Work is done when it is queued, so events have no effect. They are written down.
    events: ClassVar[list] = []

    def create_event(self):
        self.events.append(('create', self._session.number))
        return len(self.events)

    def destroy_event(self, event):
        self.events.append(('destroy', event))

    def record_event(self, event, stream):
        assert self._session.recorded is None
        self.events.append(('record', event))

    def wait_event(self, stream, event):
        assert self._session.recorded is None
        self.events.append(('wait', event))

    def launch_graph(self, executable, stream):
        self._session.launched += 1
        for run in self._graphs[executable]:
            run()


class Session(HostSession):
    """The interface of CudaSession; records what is freed, in order.

    launched: number of launches of a graph
    """

    errors = (EngineError,)
    device_name = 'Host'
    compute_capability = (9, 0)
    integrated = False
    stream_handle = 0
    # Of the session in which this thread works: TensorRT gets only a stream.
    present = threading.local()
    made: ClassVar[list] = []
    freed: ClassVar[list] = []

    def __init__(self, index):
        super().__init__()
        self.number = len(self.made)
        self.made.append(self)
        self.driver = Driver(self.library, self)
        self.recorded = None
        self.launched = 0
        self._in_use = threading.Lock()
        self._resources = []

    def do(self, work):
        """Do the work, or record it."""
        if self.recorded is None:
            work()
        else:
            self.recorded.append(work)

    def active(self, doing):
        session = self

        class Active:
            def __enter__(self):
                # As in CudaSession: a session is for one thread at a time.
                assert session._in_use.acquire(blocking=False), f'{doing} in two threads'
                session.present.session = session

            def __exit__(self, *error):
                session._in_use.release()

        return Active()

    def allocate(self, size):
        return self.adopt(super().allocate(size))

    def allocate_host(self, size, mapped=False, write_only=False):
        return self.adopt(super().allocate_host(size, mapped, write_only))

    def upload(self, target, source):
        self.do(lambda: HostSession.upload(self, target, source))

    def download(self, target, source):
        self.do(lambda: HostSession.download(self, target, source))

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
    """The interface of library.compat.TensorRt over ONNX Runtime. A context runs on the memory that it was given.

    contexts: number of contexts so far; most_contexts: a further one fails
    largest: the largest batch of the profile
    runs: the batch of each run
    """

    version_text = 'stand-in'

    def __init__(self, spec, largest=1):
        self.spec = spec
        self.largest = largest
        self.backend = OnnxRuntimeBackend(spec.path, 1)
        self.backend.open()
        self.contexts = 0
        self.most_contexts = 99
        self.runs = []
        self._names = [name for name, _ in spec.outputs]
        self._scratches = {}
        # Called in each run, while it is in work.
        self.in_work = lambda: None

    def deserialize(self, plan):
        assert plan == b'plan'
        return object()

    def take_errors(self):
        return ['not in the profile']

    def device_memory_size(self, engine):
        return SCRATCH

    def io_tensors(self, engine):
        return (
            SimpleNamespace(name=self.spec.input_name, is_input=True, dtype=np.dtype(self.spec.input_dtype),
                            shape=(-1, *self.spec.input_shape[1:])),
            *(SimpleNamespace(name=name, is_input=False, dtype=np.dtype(np.float32), shape=(-1,))
              for name in self._names))

    def create_context(self, engine, memory=None):
        if self.contexts == self.most_contexts:
            raise EngineError('the engine cannot run, probably because of too little GPU memory')
        self.contexts += 1
        addresses, shapes = {}, {}
        # Contexts that share memory must not run at the same time.
        in_use = threading.Lock() if memory is None else self._scratches.setdefault(memory[0], threading.Lock())

        def set_shape(name, shape):
            if shape[0] > self.largest:
                return False
            shapes[name] = shape
            found = self.backend.infer(name, np.zeros(shape, self.spec.input_dtype))
            shapes.update({each: found[each].shape for each in self._names})
            return True

        def array(name):
            count = int(np.prod(shapes[name]))
            memory = (ctypes.c_float * count).from_address(addresses[name])
            return np.frombuffer(memory, np.float32).reshape(shapes[name])

        def run():
            assert in_use.acquire(blocking=False), 'two contexts use the same memory'
            try:
                self.in_work()
                if memory is not None:
                    ctypes.memset(memory[0], 0xAB, SCRATCH)
                name = self.spec.input_name
                self.runs.append(shapes[name][0])
                for output, values in self.backend.infer(name, array(name).copy()).items():
                    array(output)[:] = values
            finally:
                in_use.release()

        def execute(stream):
            Session.present.session.do(run)
            return True

        return SimpleNamespace(
            set_input_shape=set_shape, get_tensor_shape=lambda name: shapes[name],
            set_tensor_address=lambda name, address: addresses.update({name: address}) or True,
            execute_async_v3=execute)


def use_stand_ins(monkeypatch, library):
    """Let DevicePipeline use them. library: result of compile_kernels"""
    from trt_perception.backends.tensorrt.run import device_pipeline
    monkeypatch.setattr(Session, 'made', [])
    monkeypatch.setattr(Session, 'freed', [])
    monkeypatch.setattr(Session, 'library', library, raising=False)
    monkeypatch.setattr(device_pipeline, 'CudaSession', Session)
    monkeypatch.setattr(device_pipeline, 'kernel_cubin', lambda capability, log: b'')
