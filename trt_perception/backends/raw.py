# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses what runs a network without preprocessing and decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..closing import Closing
from ..errors import EngineError, ModelError
from ..model.whole_model import whole_model
from ..monitor import Monitor
from ..ort.backend import OnnxRuntimeBackend
from ..pipeline.raw import RawBackend, RawModel, RawOptions
from ..precision.stored_int8 import sums_saturate
from .create import tensorrt_runs

# LiteRT reads no ONNX file.
RAW_BACKENDS = ('auto', 'onnxruntime', 'tensorrt')


def chosen_raw_backend(backend: str, monitor: Monitor) -> str:
    """Return onnxruntime or tensorrt; auto is TensorRT if it runs here. ModelError for another name."""
    if backend not in RAW_BACKENDS:
        raise ModelError(f"backend is '{backend}': expected one of {', '.join(RAW_BACKENDS)}")
    if backend != 'auto':
        return backend
    return 'tensorrt' if tensorrt_runs(monitor) else 'onnxruntime'


def create_raw_backend(name: str, model: RawModel, options: RawOptions, monitor: Monitor) -> RawBackend:
    """Return the unopened backend; name: result of chosen_raw_backend."""
    if name == 'tensorrt':
        from .tensorrt.raw_engine import RawEngine
        return RawEngine(model, options, monitor)
    return RawOnnxRuntime(model, options)


def is_strongly_typed(options: RawOptions) -> bool:
    """Return whether TensorRT here runs each layer in its type in the file; MissingDependencyError without it."""
    from .tensorrt.library.compat import load_for
    return load_for(options.build).is_strongly_typed(options.build)


class RawOnnxRuntime(Closing):
    """Runs the file on ONNX Runtime, on the CPU."""

    def __init__(self, model: RawModel, options: RawOptions) -> None:
        self._model = model
        self._backend = OnnxRuntimeBackend(
            model.path, options.num_threads, source=whole_model,
            exact_sums=sums_saturate(model.path, model.precision))
        self._inputs = [spec.name for spec in model.inputs]
        self._outputs = [spec.name for spec in model.outputs]
        self._run: Any = None

    def open(self) -> None:
        """Load the file; ModelError if ONNX Runtime rejects it."""
        self._backend.open()
        self._run = self._backend.session.run

    def run(self, arrays: Sequence[np.ndarray], batch: int) -> list[np.ndarray]:
        """Return the outputs; EngineError if the run fails or if it is not open."""
        run = self._run
        if run is None:
            raise EngineError('the network is closed')
        try:
            # Faster than IO binding, which calls ONNX Runtime once for each tensor.
            outputs: list[np.ndarray] = run(self._outputs, dict(zip(self._inputs, arrays)))
        except Exception as error:  # ONNX Runtime's exceptions share no public base
            raise self._backend.failure(error) from error
        return outputs

    def describe(self) -> dict[str, str]:
        """Return backend, version, device and precision."""
        return {**self._backend.describe(), 'precision_effective': self._model.precision}

    def close(self) -> None:
        """Free the session."""
        self._run = None
        self._backend.close()
