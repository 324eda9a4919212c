# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Counts the multiply-adds of a network, from inferred shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dependencies import require
from .node_order import sort_nodes
from .spec import ModelSpec

_COUNTED = ('Conv', 'ConvTranspose', 'Gemm', 'MatMul')
# These multiply too, so a count without them would mislead.
_NOT_COUNTED = ('QLinearConv', 'ConvInteger', 'QLinearMatMul', 'MatMulInteger', 'Einsum', 'LSTM', 'GRU', 'RNN')


def multiply_accumulates(proto: Any, spec: ModelSpec) -> int | None:
    """Return the multiply-adds of one inference in Conv, ConvTranspose, Gemm and MatMul.

    None if a shape is unknown or another operator multiplies matrices.
    """
    if any(node.op_type in _NOT_COUNTED for node in proto.graph.node):
        return None
    counts = _counts(proto, spec.input_name, spec.input_shape)
    total = 0
    for _, count in counts:
        if count is None:
            return None
        total += count
    return total if counts or not any(node.op_type in _COUNTED for node in proto.graph.node) else None


def node_multiply_accumulates(proto: Any, input_name: str, input_shape: tuple[int, ...]) -> dict[str, int]:
    """Return the multiply-adds of each node, if its shapes are known.

    A node without a name gets TensorRT's name for it, node_of_<its first output>.
    """
    return {
        node.name or f'node_of_{node.output[0]}': count
        for node, count in _counts(proto, input_name, input_shape) if count is not None}


def _counts(proto: Any, input_name: str, input_shape: tuple[int, ...]) -> list[tuple[Any, int | None]]:
    """Return (node, multiply-adds or None if a shape is unknown) of each counted operator; [] if inference fails.

    Conv: output elements x (input channels / groups) x kernel area. ConvTranspose: the same with input and output
    exchanged. MatMul and Gemm: output elements x inner dimension.
    """
    onnx = require('onnx')
    try:
        inferred = onnx.shape_inference.infer_shapes(_fixed(proto, input_name, input_shape), data_prop=True)
    except Exception:  # shape inference refuses custom operators with errors of several types
        return []
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
    return [(node, _count(node, shapes)) for node in graph.node if node.op_type in _COUNTED]


def _count(node: Any, shapes: dict[str, tuple[int, ...]]) -> int | None:
    first, second = shapes.get(node.input[0]), shapes.get(node.input[1])
    output = shapes.get(node.output[0])
    if not first or not second or not output or 0 in (*first, *second, *output):
        return None
    if node.op_type == 'Conv':
        return _product(output) * _product(second[1:])
    if node.op_type == 'ConvTranspose':
        return _product(first) * _product(second[1:])
    if node.op_type == 'MatMul':
        return _product(output) * first[-1]
    transposed = any(a.name == 'transA' and a.i for a in node.attribute)
    return _product(output) * first[0 if transposed else 1]


def _product(dims: tuple[int, ...]) -> int:
    return int(np.prod(dims, dtype=np.int64))


def _fixed(proto: Any, input_name: str, input_shape: tuple[int, ...]) -> Any:
    onnx = require('onnx')
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for value in copy.graph.input:
        if value.name == input_name:
            for dim, size in zip(value.type.tensor_type.shape.dim, input_shape):
                dim.Clear()
                dim.dim_value = size
    # Shape inference reads the nodes once, in their order.
    sort_nodes(copy.graph)
    _resolve_shared(copy.graph)
    return copy


def _resolve_shared(graph: Any) -> None:
    """Make nodes that read the Identity of an initializer read the initializer itself.

    PyTorch writes equal constants once and the others as Identity, which shape inference does not follow: the second
    of two Resize nodes with the same scales would have no shape.
    """
    constants = {tensor.name for tensor in graph.initializer}
    meant: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == 'Identity' and node.input[0] in constants:
            meant[node.output[0]] = node.input[0]
            continue
        for index, name in enumerate(node.input):
            node.input[index] = meant.get(name, name)
