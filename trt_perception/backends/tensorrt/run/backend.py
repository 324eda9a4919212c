# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT for HostPipeline: only the network runs on the GPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ....closing import Closing
from ....errors import EngineError
from ....model.spec import ModelSpec
from ....pipeline.tensorrt_options import RunOptions
from ..cuda.runtime_api import CudaSession, HostBuffer
from ..library.compat import TensorRt
from .runtime import Engine, Tensor


class TensorRtBackend(Closing):
    """Runs a plan on tensors in host memory.

    load_plan: returns the plan's bytes; called by each `open`
    """

    name = 'tensorrt'

    def __init__(
        self, spec: ModelSpec, load_plan: Callable[[], bytes], tensorrt: TensorRt, options: RunOptions | None = None,
    ) -> None:
        self._spec = spec
        self._load_plan = load_plan
        self._tensorrt = tensorrt
        self._options = options or RunOptions()
        self._session: CudaSession | None = None
        self._engine: Engine | None = None
        self._input: HostBuffer | None = None
        self._outputs: list[tuple[Tensor, HostBuffer]] = []
        self._device_name = ''

    def open(self) -> None:
        """Load the plan and allocate all memory; EngineError."""
        self.close()
        session = self._session = CudaSession(self._options.device_index)
        self._device_name = session.device_name
        try:
            with session.active('loading the engine'):
                engine = session.adopt(Engine(session, self._tensorrt, self._load_plan(), self._spec))
                self._input = session.allocate_host(engine.input.size)
                self._outputs = [(tensor, session.allocate_host(tensor.size)) for tensor in engine.outputs]
                self._engine = engine
        except BaseException:
            self.close()
            raise

    def infer(self, input_name: str, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run once; return each output by name, in new arrays. EngineError if the run fails."""
        session, engine, staged = self._session, self._engine, self._input
        if session is None or engine is None or staged is None:
            raise EngineError('the TensorRT engine is not open')
        wanted = engine.input
        if (input_name, tensor.shape, tensor.dtype) != (wanted.name, wanted.shape, wanted.dtype):
            raise EngineError(
                f"the engine expects '{wanted.name}' {wanted.dtype} {list(wanted.shape)}, found '{input_name}' "
                f'{tensor.dtype} {list(tensor.shape)}')
        with session.active('running the engine'):
            np.copyto(staged.array.view(wanted.dtype).reshape(wanted.shape), tensor)
            session.upload(wanted.address, staged.array)
            engine.enqueue(session.stream_handle)
            for output, buffer in self._outputs:
                session.download(buffer.array, output.address)
            session.synchronize()
            # Copies, because the next run overwrites the buffers and close frees them.
            return {
                output.name: buffer.array.view(output.dtype).reshape(output.shape).copy()
                for output, buffer in self._outputs}

    def describe(self) -> dict[str, str]:
        """Return the backend, its version and the device, for diagnostics."""
        return {
            'backend': self.name, 'backend_version': self._tensorrt.version_text, 'device': self._device_name}

    def close(self) -> None:
        """Free everything; safe in any state and repeatedly."""
        self._engine = None
        self._input = None
        self._outputs = []
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def __del__(self) -> None:
        """Close the session if close() was not called."""
        session = getattr(self, '_session', None)
        if session is not None:
            session.close()
