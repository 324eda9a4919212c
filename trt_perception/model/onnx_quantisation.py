# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds how the integers of an ONNX file's input and outputs stand for real numbers.

A quantiser leaves it in the graph: the input goes to DequantizeLinear (Q/DQ) or QLinearConv (QOperator), and an output
comes from QuantizeLinear, QLinearConv or QLinearMatMul. If the graph does not show it, the file's metadata can:

    trt_perception.quantisation: {"output0": {"scale": 0.0039, "zero_point": 0}}
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..dependencies import require
from ..errors import ModelError, printable
from ..tensors.quantisation import Quantisation

METADATA_KEY = 'trt_perception.quantisation'
# Operators that move numbers without changing them.
MOVING = frozenset({
    'Identity', 'Transpose', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Slice', 'Split', 'SpaceToDepth',
    'DepthToSpace', 'MaxPool', 'Gather'})
# Operators that do not read the numbers.
_SHAPES = frozenset({'Shape', 'Size'})
# How the names of operators begin that compute with integers. ONNX Runtime's quantiser writes them in the QOperator
# format and for dynamic quantisation.
INTEGER_LAYERS = ('QLinear', 'QGemm', 'ConvInteger', 'MatMulInteger', 'DynamicQuantize')
# TensorProto.DataType.
TYPES = {2: 'uint8', 3: 'int8', 4: 'uint16', 5: 'int16'}
# The places of the scale of what an operator reads and of what it writes; the zero point follows.
_READS = {'DequantizeLinear': 1, 'QLinearConv': 1, 'QLinearMatMul': 1}
_WRITES = {'QuantizeLinear': 1, 'QLinearConv': 6, 'QLinearMatMul': 6}
_DEFAULT_AXIS = 1


class Edge(NamedTuple):
    """A node that quantises or dequantises, and what the integers stand for.

    node: None if the metadata says it
    """

    node: Any
    quantisation: Quantisation


def quantised_edges(proto: Any, input_name: str, name: str) -> dict[str, Edge]:
    """Return the quantised ones of the input and the outputs, by the tensor's name.

    proto: an onnx.ModelProto; name: of the file, for error messages
    Raises ModelError for metadata that cannot be read.
    """
    graph, constants = proto.graph, _constants(proto.graph)
    types = {
        value.name: TYPES.get(value.type.tensor_type.elem_type, '')
        for value in (*(value for value in graph.input if value.name == input_name), *graph.output)}
    said = _metadata(proto, types, name)
    found = {}
    for tensor, dtype in types.items():
        if not dtype:
            continue
        nodes = list(_readers(graph, tensor) if tensor == input_name else _maker(graph, tensor))
        places = _READS if tensor == input_name else _WRITES
        edges = [
            Edge(node, quantisation) for node in nodes
            if (quantisation := _quantisation(node, places, constants, dtype)) is not None]
        if edges and len(edges) == len(nodes) and len({edge.quantisation for edge in edges}) == 1:
            if len(edges[0].quantisation.scales) == 1 or tensor != input_name:
                found[tensor] = edges[0]
        elif tensor in said:
            found[tensor] = Edge(None, said[tensor])
    return found


def _readers(graph: Any, tensor: str) -> Iterator[Any]:
    """Yield the nodes that read a tensor, also behind nodes that only move its numbers."""
    names, seen = {tensor}, set()
    for node in graph.node:
        if node.input and node.input[0] in names and node.op_type in MOVING and node.output[0] not in seen:
            names.update(node.output)
            seen.update(node.output)
        elif names & set(node.input) and node.op_type not in _SHAPES:
            yield node


def _maker(graph: Any, tensor: str) -> Iterator[Any]:
    """Yield the node that makes a tensor, before nodes that only move its numbers."""
    makers = {name: node for node in graph.node for name in node.output}
    # A graph has no circles, but a damaged file may have.
    for _ in range(len(makers)):
        node = makers.get(tensor)
        if node is None:
            return
        if node.op_type not in MOVING or not node.input:
            yield node
            return
        tensor = node.input[0]


def _constants(graph: Any) -> dict[str, Any]:
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == 'Constant' and len(node.attribute) == 1 and node.attribute[0].HasField('t'):
            tensors[node.output[0]] = node.attribute[0].t
    return tensors


def _quantisation(
    node: Any, places: Mapping[str, int], constants: Mapping[str, Any], dtype: str,
) -> Quantisation | None:
    place = places.get(node.op_type)
    if place is None or len(node.input) <= place or node.input[place] not in constants:
        return None
    to_array = require('onnx').numpy_helper.to_array
    zero = node.input[place + 1] if len(node.input) > place + 1 else ''
    if zero and zero not in constants:
        return None
    try:
        scales = np.asarray(to_array(constants[node.input[place]]), np.float64).reshape(-1)
        zeros = np.asarray(to_array(constants[zero]), np.int64).reshape(-1) if zero else np.zeros(len(scales), np.int64)
    except (ValueError, TypeError):
        return None
    if len(scales) != len(zeros) or not len(scales) or not np.isfinite(scales).all() or scales.min() <= 0:
        return None
    axis = next((entry.i for entry in node.attribute if entry.name == 'axis'), _DEFAULT_AXIS)
    return Quantisation(dtype, tuple(scales.tolist()), tuple(zeros.tolist()), axis if len(scales) > 1 else 0)


def _metadata(proto: Any, types: Mapping[str, str], name: str) -> dict[str, Quantisation]:
    text = next((entry.value for entry in proto.metadata_props if entry.key == METADATA_KEY), '')
    if not text:
        return {}
    where = f'{name}: the metadata {METADATA_KEY}'
    try:
        entries = dict(json.loads(text))
        values = {
            str(tensor): (float(entry['scale']), int(entry.get('zero_point', 0))) for tensor, entry in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(
            f'{where} is {printable(text[:200])}: expected a JSON object such as '
            '{"output0": {"scale": 0.0039, "zero_point": 0}}') from error
    for tensor, (scale, _) in values.items():
        if not types.get(tensor):
            known = ', '.join(printable(other) for other, dtype in types.items() if dtype) or 'none'
            raise ModelError(
                f"{where} names '{printable(tensor)}': expected an input or output of 8 or 16 bits, which are {known}")
        if not math.isfinite(scale) or scale <= 0:
            raise ModelError(f"{where} gives '{printable(tensor)}' the scale {scale:g}: expected a number above 0")
    return {tensor: Quantisation(types[tensor], (scale,), (zero,)) for tensor, (scale, zero) in values.items()}
