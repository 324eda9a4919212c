# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Int8 files of other quantisers, as far as TensorRT takes them: int8 with the zero point 0, and float biases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..advice.backend import or_backend
from ..dependencies import require
from ..errors import ModelError, printable
from ..model.onnx_quantisation import INTEGER_LAYERS
from .graph import missing_kernel_shapes

_INT8, _INT32 = 3, 6  # TensorProto.DataType
_OTHERWISE = (
    "or with ONNX Runtime's quantiser with quant_format=QDQ, activation_type=QInt8, weight_type=QInt8 and "
    f"extra_options={{'ActivationSymmetric': True}}{or_backend('onnxruntime', 'openvino')}")


def is_of_another_form(proto: Any) -> bool:
    """Return whether `fold_biases`, `say_kernel_shapes` or `require_symmetric` has something to do."""
    graph = proto.graph
    return any(node.op_type.startswith(INTEGER_LAYERS) for node in graph.node) or any(
        True for found in (_biases(graph), missing_kernel_shapes(graph, True), _asymmetric(graph)) for _ in found)


def require_symmetric(graph: Any, name: str) -> None:
    """Raise ModelError, which calls the model `name`, for int8 that TensorRT cannot run.

    These are layers in uint8 or with another zero point than 0, and operators of integers.
    """
    layer = next((node.op_type for node in graph.node if node.op_type.startswith(INTEGER_LAYERS)), '')
    if layer:
        raise ModelError(
            f'{name} has layers such as {layer}: TensorRT takes int8 as QuantizeLinear and DequantizeLinear around '
            f'float layers; make the int8 file from the float model with trt_perception quantize, {_OTHERWISE}')
    found = list(_asymmetric(graph))
    if found:
        raise ModelError(
            f'{name} has {len(found)} Q/DQ nodes with uint8 or with a zero point other than 0, such as '
            f"'{printable(found[0])}': TensorRT takes int8 with the zero point 0 only; make the int8 file from the "
            f'float model with trt_perception quantize, {_OTHERWISE}')


def fold_biases(graph: Any) -> None:
    """Store float biases in place of int32 ones, which TensorRT does not dequantise."""
    numpy_helper = require('onnx').numpy_helper
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(_biases(graph)):
        stored, factors = (numpy_helper.to_array(constants[name]) for name in node.input[:2])
        zeros = numpy_helper.to_array(constants[node.input[2]]) if len(node.input) > 2 else 0
        real = ((stored - zeros) * factors.astype(np.float64)).astype(factors.dtype)
        graph.initializer.append(numpy_helper.from_array(real, node.output[0]))
        graph.node.remove(node)


def _biases(graph: Any) -> Iterator[Any]:
    """Yield the nodes that dequantise an int32 vector."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == 'DequantizeLinear' and all(name in constants for name in node.input):
            stored = constants[node.input[0]]
            if stored.data_type == _INT32 and len(stored.dims) == 1:
                yield node


def _asymmetric(graph: Any) -> Iterator[str]:
    """Yield the name of each node that quantises with another type or zero point than TensorRT takes."""
    onnx = require('onnx')
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != 'QuantizeLinear':
            continue
        zero = constants.get(node.input[2]) if len(node.input) > 2 else None
        # Without a zero point the type is uint8. One that the graph computes is left to TensorRT's parser.
        known = len(node.input) < 3 or zero is not None
        if known and (zero is None or zero.data_type != _INT8 or _any(onnx, zero)):
            yield node.name or node.output[0]


def _any(onnx: Any, tensor: Any) -> bool:
    try:
        return bool(np.any(onnx.numpy_helper.to_array(tensor)))
    except ValueError:
        # A skeleton (onnx_skeleton.py) does not have the values of large tensors.
        return False
