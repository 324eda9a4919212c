# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A check of a model's outputs before other work that takes minutes."""

from __future__ import annotations

from ..errors import MissingDependencyError, ModelError
from ..model.spec import ModelSpec
from ..monitor import Monitor
from ..ort.backend import OnnxRuntimeBackend
from .preprocess import Preprocessor
from .probe import checked_spec, probe_frames


def require_plausible_outputs(spec: ModelSpec, num_threads: int = 0, monitor: Monitor | None = None) -> None:
    """Run the model on test images on ONNX Runtime; ModelError if its outputs cannot be what its head reads from them.

    For use before work with the file that takes minutes. Checks nothing if ONNX Runtime is missing or cannot load the
    file. Raises EngineError if the run fails or if the monitor's cancel is set.
    """
    backend = OnnxRuntimeBackend(spec.path, num_threads, monitor)
    try:
        backend.open()
    except (MissingDependencyError, ModelError):
        # TensorRT may support operators that ONNX Runtime does not.
        return
    try:
        preprocess = Preprocessor(spec)
        outputs = [
            spec.head.pick(spec.real(backend.infer(spec.input_name, preprocess(frame)[0])))
            for frame in probe_frames(spec)]
    finally:
        backend.close()
    checked_spec(spec, outputs)
