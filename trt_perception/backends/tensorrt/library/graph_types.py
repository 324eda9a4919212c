# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The types in which an ONNX graph computes, and which its engine must use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ....dependencies import require
from ....model.onnx_file import load_proto

_QUANTIZING = ('QuantizeLinear', 'DequantizeLinear', 'QLinearConv', 'QLinearMatMul', 'ConvInteger', 'MatMulInteger')


@dataclass(frozen=True)
class GraphTypes:
    """The types of a graph.

    has_float16: at least one tensor is float16; quantized: there are Q/DQ nodes
    float32_tensors, float16_tensors: names of the intermediate tensors by type, if the graph has float16
    """

    has_float16: bool = False
    quantized: bool = False
    float32_tensors: frozenset[str] = frozenset()
    float16_tensors: frozenset[str] = frozenset()


def graph_types(path: Path) -> GraphTypes:
    """Read the types of an ONNX file; ModelError if the file is not ONNX."""
    onnx = require('onnx')
    float32, float16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
    proto = load_proto(path, weights=False)
    kinds: dict[str, int] = {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
    quantized = any(node.op_type in _QUANTIZING for node in proto.graph.node)
    casts = any(
        attribute.i == float16 for node in proto.graph.node if node.op_type == 'Cast'
        for attribute in node.attribute if attribute.name == 'to')
    graph = proto.graph
    has_float16 = casts or float16 in kinds.values() or any(
        value.type.tensor_type.elem_type == float16 for value in (*graph.input, *graph.output))
    if not has_float16:
        return GraphTypes(False, quantized)
    try:
        graph = onnx.shape_inference.infer_shapes(proto).graph
    except Exception:  # operators that onnx does not know: only the declared types are available
        graph = proto.graph
    for value in (*graph.input, *graph.value_info, *graph.output):
        kinds[value.name] = value.type.tensor_type.elem_type
    outputs = {name for node in graph.node for name in node.output}
    return GraphTypes(
        True, quantized, frozenset(name for name in outputs if kinds.get(name) == float32),
        frozenset(name for name in outputs if kinds.get(name) == float16))
