# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks that a detector's file decodes its boxes; its shapes do not show it."""

from __future__ import annotations

from ..errors import MissingDependencyError, ModelError
from ..model.heads.yolo import YoloHead
from ..model.spec import ModelSpec
from ..monitor import Monitor
from ..ort.backend import OnnxRuntimeBackend
from .preprocess import Preprocessor, grey_frame


def require_decoded_boxes(spec: ModelSpec, num_threads: int = 0, monitor: Monitor | None = None) -> None:
    """Run a detector once on ONNX Runtime; ModelError if its boxes cannot be pixels of its input.

    For use before work with the file that takes minutes. Checks nothing if ONNX Runtime is missing or cannot load the
    file. Raises EngineError if the run fails or if the monitor's cancel is set.
    """
    if not isinstance(spec.head, YoloHead):
        return
    backend = OnnxRuntimeBackend(spec.path, num_threads, monitor)
    try:
        backend.open()
    except (MissingDependencyError, ModelError):
        # TensorRT may support operators that ONNX Runtime does not.
        return
    try:
        tensor, _ = Preprocessor(spec)(grey_frame(spec))
        outputs = backend.infer(spec.input_name, tensor)
    finally:
        backend.close()
    spec.head.require_decoded(outputs[spec.head.output_name], spec.width, spec.height)
