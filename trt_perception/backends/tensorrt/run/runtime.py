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
from ..cuda.runtime_api import CudaSession
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


class Engine:
    """A deserialised plan with its execution context and the memory of all its inputs and outputs.

    Create, use and free it with the session's context current.

    input, outputs: tensors in the plan's order
    """

    def __init__(
        self, session: CudaSession, tensorrt: TensorRt, plan: bytes, spec: ModelSpec, loaded: Any = None,
    ) -> None:
        """Load the plan, without a run; EngineError if it does not fit this GPU, TensorRT version and model.

        loaded: an ICudaEngine to use instead of the plan
        """
        self._tensorrt = tensorrt
        self._spec = spec
        self._context: Any = None
        self._engine: Any = tensorrt.deserialize(plan) if loaded is None else loaded
        try:
            self._context = tensorrt.create_context(self._engine)
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
        return Engine(session, self._tensorrt, b'', self._spec, self._engine)

    def free(self) -> None:
        """Free context and engine, but not the tensors' memory, which the session owns."""
        # In this order: a context must not outlive its engine.
        self._context = None
        self._engine = None

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
        if not self._context.set_input_shape(spec.input_name, spec.input_shape):
            self._tensorrt.take_errors()
            raise EngineError(
                f'the engine input shape is {list(taken.shape)} (-1: within its profile), but {list(spec.input_shape)} '
                'is needed: build it for this input_size')
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
        tensor = Tensor(name, dtype, shape, session.allocate(_size(shape, dtype)).address)
        if not self._context.set_tensor_address(name, tensor.address):
            raise self._tensorrt.failure(f"TensorRT rejects the memory of tensor '{name}'")
        return tensor


def _size(shape: tuple[int, ...], dtype: np.dtype) -> int:
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
