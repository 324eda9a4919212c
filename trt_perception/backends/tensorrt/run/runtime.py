# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A TensorRT engine that runs on a stream. Uses only the named-tensor API, which is the same in 8.6 to 11."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ....errors import EngineError
from ....model.spec import ModelSpec
from ....ort.size_inputs import SIZE_INPUTS, size_values
from ..cuda.runtime_api import CudaSession, DeviceBuffer
from ..library.compat import IoTensor, TensorRt


@dataclass(frozen=True)
class Tensor:
    """One input or output of an engine, with its shape at run time.

    address: GPU address of its memory
    """

    name: str
    dtype: np.dtype
    shape: tuple[int, ...]
    address: int

    @property
    def size(self) -> int:
        """Size in bytes."""
        return _size(self.shape, self.dtype)

    def row(self, index: int) -> Tensor:
        """Return the part of one image of a batch, with a batch of 1."""
        shape = (1, *self.shape[1:])
        return Tensor(self.name, self.dtype, shape, self.address + index * _size(shape, self.dtype))


class Engine:
    """A deserialised plan with its execution context and the memory of all its inputs and outputs.

    Create, use and free it with the session's context current.

    batch: number of images of a run
    input, outputs: tensors in the plan's order
    """

    def __init__(
        self, session: CudaSession, tensorrt: TensorRt, plan: bytes, spec: ModelSpec, batch: int = 1,
        loaded: Any = None, larger: Engine | None = None,
    ) -> None:
        """Load the plan, without a run; EngineError if it does not fit this GPU, TensorRT version and model.

        loaded: an ICudaEngine to use instead of the plan
        larger: the same with a larger batch, whose memory is used; the two must not run at the same time
        """
        self._tensorrt = tensorrt
        self._spec = spec
        self.batch = batch
        self._larger = larger
        self._scratch: DeviceBuffer | None = None
        self._context: Any = None
        self._engine: Any = tensorrt.deserialize(plan) if loaded is None else loaded
        try:
            self._context = self._new_context(session)
            self.input, self.outputs = self._bind(session, spec)
        except BaseException:
            self.free()
            raise

    def enqueue(self, stream: int) -> None:
        """Queue one inference; EngineError if TensorRT refuses."""
        if not self._context.execute_async_v3(stream):
            raise self._tensorrt.failure('TensorRT could not run the engine')

    def another(self, session: CudaSession) -> Engine:
        """Return the same engine with an execution context and memory of its own, to run in another thread.

        It must be freed before this one. session: the one that runs it, with its context current
        """
        return Engine(session, self._tensorrt, b'', self._spec, self.batch, self._engine)

    def smaller(self, session: CudaSession, batch: int) -> Engine:
        """Return the same engine for a smaller batch, with an execution context of its own and the memory of this one.

        It must be freed before this one, and the two must not run at the same time.
        """
        return Engine(session, self._tensorrt, b'', self._spec, batch, self._engine, self)

    def free(self) -> None:
        """Free context and engine, but not the tensors' memory, which the session owns."""
        # In this order: a context must not outlive its engine.
        self._context = None
        self._engine = None

    def _new_context(self, session: CudaSession) -> Any:
        if self._larger is not None:
            self._scratch = self._larger._scratch
        elif self.batch > 1:
            # For the contexts of all batches: TensorRT would allocate that of the largest batch for each.
            self._scratch = session.allocate(max(1, self._tensorrt.device_memory_size(self._engine)))
        scratch = self._scratch
        if scratch is None:
            return self._tensorrt.create_context(self._engine)
        return self._tensorrt.create_context(self._engine, (scratch.address, scratch.size))

    def _bind(self, session: CudaSession, spec: ModelSpec) -> tuple[Tensor, tuple[Tensor, ...]]:
        tensors = {tensor.name: tensor for tensor in self._tensorrt.io_tensors(self._engine)}
        inputs = [tensor.name for tensor in tensors.values() if tensor.is_input]
        if [name for name in inputs if name not in SIZE_INPUTS] != [spec.input_name]:
            raise EngineError(
                f"the engine's inputs are {inputs}, but {spec.path.name} has only '{spec.input_name}': the "
                'engine was built from another model; build it again')
        taken = tensors.pop(spec.input_name)
        sizes = [tensors.pop(name) for name in inputs if name in SIZE_INPUTS]
        if taken.dtype != spec.input_dtype:
            raise EngineError(
                f'the engine input is {taken.dtype}, that of {spec.path.name} {np.dtype(spec.input_dtype)}: the engine '
                'was built from another model; build it again')
        wanted = (self.batch, *spec.input_shape[1:])
        if not self._context.set_input_shape(spec.input_name, wanted):
            errors = '; '.join(self._tensorrt.take_errors()[:1])
            build = (
                f'build it with a batch profile up to {self.batch}{f" ({errors})" if errors else ""}' if self.batch > 1
                else 'build it for this input_size')
            raise EngineError(
                f'the engine input shape is {list(taken.shape)} (-1: within its profile), but {list(wanted)} is '
                f'needed: {build}')
        for size in sizes:
            self._fill(session, size, size_values(spec.input_shape, size.dtype))
        for name in spec.head.output_names:
            if name not in tensors:
                raise EngineError(
                    f"the engine has no output '{name}', only {list(tensors)}: it was built from another model; build "
                    'it again')
        return (
            self._allocated(session, spec.input_name, taken.dtype),
            tuple(self._allocated(session, tensor.name, tensor.dtype) for tensor in tensors.values()))

    def _fill(self, session: CudaSession, size: IoTensor, values: np.ndarray) -> None:
        """Give an input its values, which stay the same for all frames."""
        if not self._context.set_input_shape(size.name, values.shape):
            raise self._tensorrt.failure(f"TensorRT rejects the shape {list(values.shape)} of input '{size.name}'")
        tensor = self._allocated(session, size.name, size.dtype)
        session.upload(tensor.address, values.view(np.uint8).reshape(-1))
        session.synchronize()

    def _allocated(self, session: CudaSession, name: str, dtype: np.dtype) -> Tensor:
        shape = tuple(int(size) for size in self._context.get_tensor_shape(name))
        if min(shape, default=1) < 1:
            raise EngineError(
                f"the shape of output '{name}', {list(shape)}, depends on the image: export the model with a fixed "
                'number of detections')
        tensor = Tensor(name, dtype, shape, self._address(session, name, _size(shape, dtype)))
        if not self._context.set_tensor_address(name, tensor.address):
            raise self._tensorrt.failure(f"TensorRT rejects the memory of tensor '{name}'")
        return tensor

    def _address(self, session: CudaSession, name: str, size: int) -> int:
        if self._larger is None:
            return session.allocate(size).address
        return next(
            tensor.address for tensor in (self._larger.input, *self._larger.outputs) if tensor.name == name)


def _size(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
