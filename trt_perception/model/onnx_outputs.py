# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a graph says of its outputs beside their shapes: the element types, and the activation of a classifier."""

from __future__ import annotations

from typing import Any

from ..dependencies import require

# onnx.TensorProto.DataType to NumPy's names.
_NUMPY_NAMES = {'float': 'float32', 'double': 'float64'}
# Operators that keep the range of the values, so the operator before them decides.
_TRANSPARENT = frozenset({
    'Identity', 'Cast', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'QuantizeLinear', 'DequantizeLinear',
    'Dropout', 'GlobalAveragePool'})
_ACTIVATIONS = {
    'Softmax': 'softmax', 'Sigmoid': 'sigmoid', 'HardSigmoid': 'sigmoid',
    # These results have no upper bound: they are logits.
    'Gemm': 'softmax', 'Conv': 'softmax', 'Relu': 'softmax'}


def element_types(proto: Any) -> dict[str, str]:
    """Return the element type of each output of an onnx.ModelProto, such as float32; outputs without one are missing.

    An output that is no tensor has the name of its kind, such as sequence_type.
    """
    kinds = require('onnx').TensorProto.DataType
    found = {}
    for value in proto.graph.output:
        kind = value.type.WhichOneof('value')
        if kind not in (None, 'tensor_type'):
            found[value.name] = str(kind)
        elif value.type.tensor_type.elem_type:
            number = value.type.tensor_type.elem_type
            name = kinds.Name(number).lower() if number in kinds.values() else f'type {number}'
            found[value.name] = _NUMPY_NAMES.get(name, name)
    return found


def activation_of(proto: Any, output: str) -> str:
    """Return the activation of a classifier's output: 'sigmoid', 'softmax' (also for logits), or '' if unknown."""
    makers = {name: node for node in proto.graph.node for name in node.output}
    constants = {tensor.name for tensor in proto.graph.initializer}
    name = output
    # A graph has no circles, but a damaged file may have.
    for _ in range(len(makers)):
        node = makers.get(name)
        if node is None:
            break
        if node.op_type == 'Add' and len(node.input) == 2 and any(value in constants for value in node.input):
            # A linear layer may have its bias as an operator of its own.
            before = makers.get(next((value for value in node.input if value not in constants), ''))
            return 'softmax' if before is not None and before.op_type == 'MatMul' else ''
        if node.op_type not in _TRANSPARENT or not node.input:
            return _ACTIVATIONS.get(node.op_type, 'softmax' if _is_linear(node, constants) else '')
        name = node.input[0]
    return ''


def _is_linear(node: Any, constants: set[str]) -> bool:
    return node.op_type == 'MatMul' and any(value in constants for value in node.input)
