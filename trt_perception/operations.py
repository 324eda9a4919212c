# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts the multiply-adds of a network, from inferred shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dependencies import require
from .model import ModelSpec

# They multiply as well: a number without them would mislead.
_NOT_COUNTED = ('QLinearConv', 'ConvInteger', 'QLinearMatMul', 'MatMulInteger', 'Einsum', 'LSTM', 'GRU', 'RNN')


def multiply_accumulates(proto: Any, spec: ModelSpec) -> int | None:
    """Multiply-adds of one inference in Conv, ConvTranspose, Gemm and MatMul.

    Conv: output elements x (input channels / groups) x kernel area. ConvTranspose: the same with input and output
    exchanged. MatMul and Gemm: output elements x inner dimension. None if a shape is unknown, or where other operators
    multiply matrices.
    """
    onnx = require('onnx')
    try:
        inferred = onnx.shape_inference.infer_shapes(_fixed(proto, spec), data_prop=True)
    except Exception:  # shape inference refuses custom operators with errors of several types
        return None
    graph = inferred.graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.input, *graph.value_info, *graph.output):
        shapes.setdefault(value.name, tuple(
            dim.dim_value for dim in value.type.tensor_type.shape.dim))
    for node in graph.node:
        if node.op_type == 'Constant':
            for attribute in node.attribute:
                if attribute.name == 'value':
                    shapes.setdefault(node.output[0], tuple(attribute.t.dims))
    total = 0
    for node in graph.node:
        if node.op_type in _NOT_COUNTED:
            return None
        if node.op_type not in ('Conv', 'ConvTranspose', 'Gemm', 'MatMul'):
            continue
        first, second = shapes.get(node.input[0]), shapes.get(node.input[1])
        output = shapes.get(node.output[0])
        if not first or not second or not output or 0 in (*first, *second, *output):
            return None
        if node.op_type == 'Conv':
            total += _product(output) * _product(second[1:])
        elif node.op_type == 'ConvTranspose':
            total += _product(first) * _product(second[1:])
        elif node.op_type == 'MatMul':
            total += _product(output) * first[-1]
        else:
            transposed = any(a.name == 'transA' and a.i for a in node.attribute)
            total += _product(output) * first[0 if transposed else 1]
    return total


def _product(dims: tuple[int, ...]) -> int:
    return int(np.prod(dims, dtype=np.int64))


def _fixed(proto: Any, spec: ModelSpec) -> Any:
    onnx = require('onnx')
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for value in copy.graph.input:
        if value.name == spec.input_name:
            for dim, size in zip(value.type.tensor_type.shape.dim, spec.input_shape):
                dim.Clear()
                dim.dim_value = size
    return copy
