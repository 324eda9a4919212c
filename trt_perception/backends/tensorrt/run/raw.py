# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a plan on tensors as the network has them, in host memory or on the GPU, several inputs and outputs."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....advice.backend import or_backend
from ....closing import Closing
from ....errors import EngineError
from ....pipeline.raw import RawModel, TensorSpec
from ....pipeline.tensorrt_options import RunOptions
from ..cuda.driver import CudaDriver
from ..cuda.runtime_api import CudaSession, DeviceBuffer, HostBuffer
from ..library.compat import TensorRt

# TensorRT requires addresses that are multiples of this. cuMemAlloc and PyTorch return such ones.
_ALIGNMENT = 256


class RawEngineRunner(Closing):
    """An engine with buffers of its own for host arrays; tensors on the GPU are read and written where they are.

    One thread at a time may use it: a second one gets an EngineError.
    """

    def __init__(self, model: RawModel, plan: bytes, tensorrt: TensorRt, options: RunOptions) -> None:
        self._model = model
        self._plan = plan
        self._tensorrt = tensorrt
        self._options = options
        self.device_index = options.device_index
        self._session: CudaSession | None = None
        self._context: _Context | None = None
        self._buffers: list[tuple[DeviceBuffer, HostBuffer]] = []
        self._inputs: list[DeviceBuffer] = []
        self._lent: dict[int, DeviceBuffer] = {}
        self._free: dict[int, list[int]] = {}
        self._lock = threading.Lock()

    def open(self) -> None:
        """Load the plan and allocate the buffers; PlanError if it cannot be loaded, EngineError."""
        self.close()
        session = self._session = CudaSession(self._options.device_index)
        try:
            with session.active('loading the engine'):
                context = session.adopt(_Context(session.driver, self._tensorrt, self._plan, self._model))
                for spec in (*self._model.inputs, *self._model.outputs):
                    size = max(1, _size(spec, self._model.max_batch))
                    self._buffers.append((session.allocate(size), session.allocate_host(size)))
                self._inputs = [device for device, _ in self._buffers[:len(self._model.inputs)]]
                self._context = context
        except BaseException:
            self.close()
            raise
        # TensorRT has its own copy.
        self._plan = b''

    def run(self, arrays: Sequence[np.ndarray], batch: int) -> list[np.ndarray]:
        """Upload, run, download and wait; returns new arrays. EngineError if that fails."""
        session, context = self._opened()
        model = self._model
        count = len(model.inputs)
        with session.active('running the engine'):
            for array, (device, host) in zip(arrays, self._buffers):
                staged = host.array[:array.nbytes]
                np.copyto(staged.view(array.dtype).reshape(array.shape), array)
                if array.nbytes:
                    session.upload(device.address, staged)
            context.enqueue([device.address for device, _ in self._buffers], batch, session.stream_handle)
            results = []
            for spec, (device, host) in zip(model.outputs, self._buffers[count:]):
                size = _size(spec, batch)
                if size:
                    session.download(host.array[:size], device.address)
                results.append(host.array[:size].view(spec.dtype).reshape(spec.shape_for(batch)))
            session.synchronize()
            # Copies, because the next run overwrites the buffers.
            return [result.copy() for result in results]

    def enqueue(
        self, inputs: Sequence[int], outputs: Sequence[int], batch: int, stream: int | None, wait: bool = False,
    ) -> None:
        """Queue a run on tensors on the GPU; see pipeline.raw.DeviceBackend."""
        session, context = self._opened()
        own = session.stream_handle
        with session.active('running the engine'):
            if stream is not None:
                session.driver.let_wait(own, context.before, stream)
            addresses = [*inputs, *outputs]
            for index, address in enumerate(inputs):
                if address % _ALIGNMENT:
                    addresses[index] = self._inputs[index].address
                    size = _size(self._model.inputs[index], batch)
                    session.driver.copy(addresses[index], address, size, own)
            context.enqueue(addresses, batch, own)
            if stream is not None:
                session.driver.let_wait(stream, context.after, own)
            if wait:
                session.synchronize()

    def device_of(self, address: int) -> int:
        """Return the index of the GPU that an address belongs to; EngineError if it is not memory of a GPU."""
        session, _ = self._opened()
        with session.active(f'looking for the GPU of the address {address:#x}'):
            return session.driver.device_of(address)

    def borrow(self, size: int) -> int:
        """Return the address of `size` bytes on the GPU, which are the caller's until `give_back`."""
        session, _ = self._opened()
        size = max(1, size)
        with self._lock:
            free = self._free.setdefault(size, [])
            if free:
                return free.pop()
        with session.active('allocating an output'):
            buffer = session.allocate(size)
        with self._lock:
            self._lent[buffer.address] = buffer
        return buffer.address

    def give_back(self, address: int) -> None:
        """Let later calls of `borrow` return this memory; does nothing after `close`."""
        # Python may call this while it collects garbage in `borrow`, which holds the lock; then the memory is only
        # freed by `close`.
        if not self._lock.acquire(blocking=False):
            return
        try:
            if address in self._lent:
                self._free.setdefault(self._lent[address].size, []).append(address)
        finally:
            self._lock.release()

    def download(self, address: int, array: np.ndarray) -> None:
        """Fill a contiguous array from the GPU; EngineError if the engine is closed."""
        session, _ = self._opened()
        if not array.nbytes:
            return
        with session.active('downloading a result'):
            session.download(array, address)
            session.synchronize()

    def describe(self) -> dict[str, str]:
        """Return the backend, its version and the device."""
        session, _ = self._opened()
        return {
            'backend': 'tensorrt', 'backend_version': self._tensorrt.version_text, 'device': session.device_name}

    def close(self) -> None:
        """Free everything; safe in any state and repeatedly."""
        self._context = None
        self._buffers = []
        self._inputs = []
        with self._lock:
            self._lent = {}
            self._free = {}
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def __del__(self) -> None:
        """Close the session if close() was not called."""
        session = getattr(self, '_session', None)
        if session is not None:
            session.close()

    def _opened(self) -> tuple[CudaSession, _Context]:
        if self._session is None or self._context is None:
            raise EngineError('the TensorRT engine is closed')
        return self._session, self._context


class _Context:
    """A deserialised plan, its execution context, and two events for the order of streams.

    before, after: events
    """

    def __init__(self, driver: CudaDriver, tensorrt: TensorRt, plan: bytes, model: RawModel) -> None:
        self._driver = driver
        self._tensorrt = tensorrt
        self._model = model
        self._names = [spec.name for spec in (*model.inputs, *model.outputs)]
        self._addresses: list[int] = [0] * len(self._names)
        self._batch = -1
        self.before = self.after = 0
        self._context: Any = None
        self._engine: Any = tensorrt.deserialize(plan)
        try:
            self._check()
            self._context = tensorrt.create_context(self._engine)
            self._set_batch(model.usual_batch)
            self._check_output_shapes()
            self.before, self.after = driver.create_event(), driver.create_event()
        except BaseException:
            self.free()
            raise

    def enqueue(self, addresses: Sequence[int], batch: int, stream: int) -> None:
        """Queue one run. addresses: of the inputs, then of the outputs, in the order of the model."""
        context = self._context
        if batch != self._batch:
            self._set_batch(batch)
        known = self._addresses
        for index, address in enumerate(addresses):
            if address != known[index]:
                if not context.set_tensor_address(self._names[index], address):
                    known[index] = 0
                    raise self._tensorrt.failure(f"TensorRT rejects the memory of tensor '{self._names[index]}'")
                known[index] = address
        if not context.execute_async_v3(stream):
            raise self._tensorrt.failure('TensorRT could not run the engine')

    def free(self) -> None:
        """Free all; a second call does nothing."""
        # In this order: a context must not outlive its engine.
        self._context = None
        self._engine = None
        for event in (self.before, self.after):
            if event:
                self._driver.destroy_event(event)
        self.before = self.after = 0

    def _check(self) -> None:
        found = {tensor.name: tensor for tensor in self._tensorrt.io_tensors(self._engine)}
        for spec, is_input in (
                *((spec, True) for spec in self._model.inputs), *((spec, False) for spec in self._model.outputs)):
            tensor = found.pop(spec.name, None)
            if tensor is None or tensor.is_input != is_input:
                kind = 'input' if is_input else 'output'
                raise EngineError(f"the engine has no {kind} '{spec.name}': leave it out of the network if nothing "
                                  f'depends on it{or_backend()}')
            if tensor.dtype != spec.dtype:
                raise EngineError(
                    f"{self._tensorrt.identity} makes '{spec.name}' {tensor.dtype}, but the network has {spec.dtype}: "
                    f'convert it to {tensor.dtype} in the network{or_backend()}')
        if found:
            raise EngineError(f'the engine has also {", ".join(found)}: it was built from another network')

    def _set_batch(self, batch: int) -> None:
        self._batch = -1
        for spec in self._model.inputs:
            if not self._context.set_input_shape(spec.name, spec.shape_for(batch)):
                raise self._tensorrt.failure(f"TensorRT rejects the shape {spec.shape_for(batch)} of '{spec.name}'")
        self._batch = batch

    def _check_output_shapes(self) -> None:
        for spec in self._model.outputs:
            shape = tuple(int(size) for size in self._context.get_tensor_shape(spec.name))
            expected = spec.shape_for(self._model.usual_batch)
            if shape != expected:
                raise EngineError(
                    f"output '{spec.name}' has the shape {list(shape)} in TensorRT, expected {list(expected)}: a shape "
                    'that depends on the values of the input (-1) needs backend onnxruntime')


def _size(spec: TensorSpec, batch: int) -> int:
    return math.prod(spec.shape_for(batch)) * spec.dtype.itemsize
