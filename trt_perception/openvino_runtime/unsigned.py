# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""int8 activations as uint8, with the same real numbers.

OpenVINO 2026.4.1 computes other results if a network has signed int8 activations and a Concat: the output of two
convolutions, Concat and a third convolution differs by 30 % from the arithmetic of the file, on any CPU. With uint8 it
does not differ (docs/openvino.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..dependencies import require
from ..tensors.onnx_constants import constants_of

_INT8, _UINT8 = 3, 2  # TensorProto.DataType
_OFFSET = 128


def joins_signed(proto: Any) -> bool:
    """Return whether a model has a Concat and activations in signed int8."""
    return any(node.op_type == 'Concat' for node in proto.graph.node) and any(
        True for _ in _signed(proto.graph, constants_of(proto.graph)))


def make_unsigned(proto: Any) -> None:
    """Store the int8 activations as uint8: integers and zero points are larger by 128.

    What something else than DequantizeLinear reads stays as it is.
    proto: onnx.ModelProto, is changed
    """
    graph = proto.graph
    constants = constants_of(graph)
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        if any(attribute.HasField('g') or attribute.graphs for attribute in node.attribute):
            # The graph inside of it may read any tensor.
            return
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in graph.output}
    changed = set()
    for node in list(_signed(graph, constants)):
        integers = node.output[0]
        members = [node, *readers.get(integers, ())]
        if integers in outputs or any(reader.op_type != 'DequantizeLinear' for reader in members[1:]):
            continue
        known = [(member, zero) for member in members if (zero := _zero_point(member, constants)) is not None]
        if len(known) < len(members):
            continue
        changed.add(integers)
        for member, zero in known:
            _set_zero_point(graph, member, zero)
    for value in graph.value_info:
        if value.name in changed:
            value.type.tensor_type.elem_type = _UINT8


def _signed(graph: Any, constants: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the nodes that quantise activations to signed int8."""
    for node in graph.node:
        if node.op_type != 'QuantizeLinear' or node.input[0] in constants:
            continue
        zero = node.input[2] if len(node.input) > 2 else ''
        if zero in constants:
            kind = constants[zero].data_type
        else:
            # Without a zero point the type is uint8, or since opset 21 what an attribute says.
            kind = next((a.i for a in node.attribute if a.name == 'output_dtype'), _INT8 if zero else _UINT8)
        if kind == _INT8:
            yield node


def _zero_point(node: Any, constants: Mapping[str, Any]) -> np.ndarray | None:
    """Return the zero point as stored; 0 for each scale if there is none; None if the graph computes it."""
    to_array = require('onnx').numpy_helper.to_array
    if len(node.input) > 2 and node.input[2]:
        return to_array(constants[node.input[2]]) if node.input[2] in constants else None
    scale = constants.get(node.input[1])
    return None if scale is None else np.zeros(tuple(scale.dims), np.int8)


def _set_zero_point(graph: Any, node: Any, zero: np.ndarray) -> None:
    # No other node makes a tensor with the name of this node's result.
    name = f'{node.output[0]}/unsigned_zero_point'
    graph.initializer.append(require('onnx').numpy_helper.from_array((zero + np.int16(_OFFSET)).astype(np.uint8), name))
    del node.input[2:]
    node.input.append(name)
    for attribute in [a for a in node.attribute if a.name == 'output_dtype']:
        node.attribute.remove(attribute)
