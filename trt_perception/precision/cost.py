# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The number of multiplications in each layer of a network."""

from __future__ import annotations

import math
from typing import Any

from ..dependencies import require
from .graph import WEIGHTED

_ROUNDING = ('QuantizeLinear', 'DequantizeLinear')


def multiplications(model: Any) -> dict[str, int]:
    """Return the multiplications of each layer with constant weights at batch 1, also if the weights have Q/DQ.

    If shapes are dynamic, it is only the number of weights.
    A convolution uses a weight once for each pixel of its output, a transposed convolution once for each pixel of its
    input.
    """
    onnx = require('onnx')
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except Exception:  # onnx's C++ exceptions; the number of weights is used instead
        inferred = model
    shapes = {
        value.name: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output)}
    weights = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    result = {}
    for node in model.graph.node:
        if node.op_type in _ROUNDING and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
        if node.op_type not in WEIGHTED or len(node.input) < 2 or node.input[1] not in weights:
            continue
        shape = shapes.get(node.input[0] if node.op_type == 'ConvTranspose' else node.output[0], [])
        positions = math.prod(shape[2:]) if node.op_type in ('Conv', 'ConvTranspose') else math.prod(shape[1:-1])
        result[node.name] = weights[node.input[1]] * positions
    return result
