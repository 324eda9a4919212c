# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How much of a network's work each layer does."""

from __future__ import annotations

import math
from typing import Any

from ..dependencies import require
from .graph import weighted_nodes


def multiplications(model: Any) -> dict[str, int]:
    """Return the multiplications of each weighted layer at batch 1; by weights alone where shapes are open.

    A weight is used once for each position of the output: of a convolution, each pixel; of a transposed one, each
    pixel of the input.
    """
    onnx = require('onnx')
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except Exception:  # onnx's C++ exceptions: weights alone have to do
        inferred = model
    shapes = {
        value.name: [dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim]
        for value in (*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output)}
    weights = {tensor.name: math.prod(tensor.dims) for tensor in model.graph.initializer}
    result = {}
    for node in weighted_nodes(model.graph):
        shape = shapes.get(node.input[0] if node.op_type == 'ConvTranspose' else node.output[0], [])
        positions = math.prod(shape[2:]) if node.op_type in ('Conv', 'ConvTranspose') else math.prod(shape[1:-1])
        result[node.name] = weights[node.input[1]] * positions
    return result
