# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The shapes of a model's outputs at one input size: declared, inferred, or found by one run."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import EngineError, ModelError
from .onnx_file import OnnxSummary, shape_of
from .running import backend_of


def output_shapes(
    summary: OnnxSummary, width: int, height: int,
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the name and shape of each output at this input size and batch 1.

    Dynamic shapes are inferred; if that fails, the model is run once to get them.
    """
    known = summary.declared_outputs
    if all(shape and 0 not in shape for _, shape in known):
        return known
    if summary.tflite is not None:
        return _shapes_by_running(summary, width, height)
    proto = with_fixed_input(summary, width, height)
    onnx = require('onnx')
    try:
        inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        known = tuple((v.name, shape_of(v)) for v in inferred.graph.output)
    except Exception:
        known = summary.declared_outputs
    if all(shape and 0 not in shape for _, shape in known):
        return known
    return _shapes_by_running(summary, width, height)


def with_fixed_input(summary: OnnxSummary, width: int, height: int) -> Any:
    """Return a copy of the onnx.ModelProto with this input size, batch 1 and undeclared outputs, for inference."""
    onnx = require('onnx')
    proto = onnx.ModelProto()
    proto.CopyFrom(summary.proto)
    dims = (1, summary.channels, height, width) if summary.layout == 'nchw' else (1, height, width, summary.channels)
    for value in proto.graph.input:
        shape = dims if value.name == summary.input_name else (1, 2) if value.name in summary.size_inputs else None
        if shape is not None:
            for dim, size in zip(value.type.tensor_type.shape.dim, shape):
                dim.Clear()
                dim.dim_value = size
    # Declared symbolic output shapes would override the inferred ones.
    for value in proto.graph.output:
        value.type.tensor_type.ClearField('shape')
    return proto


def _shapes_by_running(
    summary: OnnxSummary, width: int, height: int,
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    shape = (1, summary.channels, height, width) if summary.layout == 'nchw' else (1, height, width, summary.channels)
    with backend_of(summary) as backend:
        try:
            outputs = backend.infer(summary.input_name, np.zeros(shape, summary.input_dtype))
        except EngineError as error:
            raise ModelError(
                f'{summary.path.name} cannot run at {width}x{height}: {error}{size_hint(summary, width, height)}'
            ) from error
    return tuple((name, tuple(array.shape)) for name, array in outputs.items())


def size_hint(summary: OnnxSummary, width: int, height: int) -> str:
    """Return advice about the input size for a model that does not run at this one, '' if the size is fixed."""
    free = [size for fixed, size in ((summary.width, width), (summary.height, height)) if not fixed]
    if not free:
        return ''
    if _is_classifier(summary) or all(size % 32 == 0 for size in free):
        return '; set input_size to the size that the model was exported or trained for'
    # Detectors halve the size five times.
    return '; set input_size to a size that the network accepts, usually a multiple of 32'


def _is_classifier(summary: OnnxSummary) -> bool:
    """Whether the metadata says so, or a single output [batch, classes]."""
    task = summary.metadata.get('task')
    shapes = [shape for _, shape in summary.declared_outputs]
    return task == 'classify' or (
        task is None and len(shapes) == 1 and len(shapes[0]) == 2 and shapes[0][0] <= 1)
