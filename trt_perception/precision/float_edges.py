# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A model whose input and outputs are floats, made from one whose input or outputs are quantised.

TensorRT's Q/DQ layers know int8 with the zero point 0 only, but an image input usually has another zero point or is
uint8. So the node at the edge of the graph is removed: then a float tensor is the input or the output. Its values are
those that the integers stood for, without their rounding. Layers inside of the graph stay in int8. If the metadata
says the rule and the graph casts, floats do the arithmetic of the rule (integers_as_floats.py).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..advice.backend import or_backend
from ..dependencies import require
from ..errors import ModelError, printable
from ..model.onnx_quantisation import MOVING, Edge, quantised_edges
from ..model.spec import ModelSpec
from ..progress import ProgressCallback, silent
from .graph import free_name, load_model, opset_of, reads, rename_reads, save_model, say_kernel_shapes, sort_nodes
from .integers_as_floats import integers_of, numbers_of
from .symmetric_int8 import fold_biases, require_symmetric

_FLOAT, _FLOAT16 = 1, 10  # TensorProto.DataType
# Of integers_of.
_OPSET_WITH_ROUND = 11


def write_float_edges(spec: ModelSpec, path: Path, progress: ProgressCallback = silent) -> None:
    """Write the model of `spec` with a float input, float outputs and float biases, under the same names.

    Raises ModelError, also for an int8 model that TensorRT cannot run (symmetric_int8.py).
    """
    progress('reading the model', 0, None)
    proto = load_model(spec.path)
    graph = proto.graph
    progress('making the input and the outputs floats', 0, None)
    for name, edge in quantised_edges(proto, spec.input_name, spec.path.name).items():
        kind = (
            _float_input(proto, name, edge, spec) if name == spec.input_name
            else _float_output(graph, name, edge))
        for value in (*graph.input, *graph.output):
            if value.name == name:
                value.type.tensor_type.elem_type = kind
    require_symmetric(graph, spec.path.name)
    fold_biases(graph)
    say_kernel_shapes(graph)
    # Types between the edge and the removed nodes have changed; ONNX Runtime and TensorRT infer them.
    del graph.value_info[:]
    sort_nodes(graph)
    save_model(proto, path)


def with_float_edges(spec: ModelSpec, path: Path, sha256: str, files: Any) -> ModelSpec:
    """Return the spec of the file that `write_float_edges` wrote."""
    values = require('onnx').load(str(path), load_external_data=False).graph.input
    kind = next(value.type.tensor_type.elem_type for value in values if value.name == spec.input_name)
    # An input that was not quantised keeps its type.
    types: dict[int, np.dtype] = {_FLOAT: np.dtype(np.float32), _FLOAT16: np.dtype(np.float16)}
    return replace(
        spec, path=path, sha256=sha256, files=files, input_dtype=types.get(kind, spec.input_dtype), quantised=())


def _float_input(proto: Any, name: str, edge: Edge, spec: ModelSpec) -> int:
    """Make the input a float tensor of the same name; returns its type."""
    graph, stays = proto.graph, spec.stored_precision == 'int8' and _stays(edge)
    if edge.node is not None and edge.node.op_type == 'DequantizeLinear' and not stays:
        nodes = [
            node for node in graph.node
            if node.op_type == 'DequantizeLinear' and _reaches(graph, name, node.input[0])]
        for node in nodes:
            _bypass(graph, node)
        return _scale_type(graph, edge.node)
    stored = free_name(graph, f'{name}_stored')
    for node in graph.node:
        rename_reads(node, {name: stored})
    if _is_cast(graph, stored):
        if opset_of(proto) < _OPSET_WITH_ROUND:
            raise ModelError(
                f"{spec.path.name} has opset {opset_of(proto)}: on TensorRT an integer input '{printable(name)}' with "
                f'its rule in the metadata needs opset {_OPSET_WITH_ROUND} or later; export the model '
                f'again{or_backend()}')
        # The graph computes with floats that are integers. TensorRT has no uint8 inside of a network.
        for node in reversed(integers_of(graph, name, stored, edge.quantisation)):
            graph.node.insert(0, node)
    else:
        graph.node.insert(0, _node(graph, 'QuantizeLinear', name, stored, edge))
    return _FLOAT


def _float_output(graph: Any, name: str, edge: Edge) -> int:
    """Make the output a float tensor of the same name; returns its type."""
    node = edge.node
    if node is not None and node.op_type == 'QuantizeLinear':
        kind = _scale_type(graph, node)
        others = [
            other for other in graph.node if other.op_type == 'DequantizeLinear' and other.input[0] == node.output[0]]
        # Who reads the integers inside of the graph gets the float numbers that they stand for.
        for other in others:
            _bypass(graph, other)
        _bypass(graph, node)
        return kind
    stored = free_name(graph, f'{name}_stored')
    for maker in graph.node:
        for index, output in enumerate(maker.output):
            if output == name:
                maker.output[index] = stored
        rename_reads(maker, {name: stored})
    cast = _cast_before(graph, stored)
    if cast is not None:
        next(attribute for attribute in cast.attribute if attribute.name == 'to').i = _FLOAT
        graph.node.extend(numbers_of(graph, stored, name, edge.quantisation))
    else:
        graph.node.append(_node(graph, 'DequantizeLinear', stored, name, edge))
    return _FLOAT


def _stays(edge: Edge) -> bool:
    """Return whether TensorRT takes the rule as it is, so that the first layer stays in int8."""
    return edge.quantisation.dtype == 'int8' and set(edge.quantisation.zero_points) == {0}


def _is_cast(graph: Any, name: str) -> bool:
    """Return whether all that read a tensor, or what was only moved from it, are Casts."""
    readers = [node for node in graph.node if name in reads(node)]
    return bool(readers) and all(
        node.op_type == 'Cast' or (
            node.op_type in MOVING and node.input[0] == name and all(_is_cast(graph, made) for made in node.output))
        for node in readers)


def _cast_before(graph: Any, name: str) -> Any | None:
    """Return the Cast from which an output was only moved, if nothing else reads the integers; otherwise None."""
    readers = 0
    while True:
        maker = next((node for node in graph.node if name in node.output), None)
        if maker is None or sum(name in reads(node) for node in graph.node) != readers or len(maker.output) > 1:
            return None
        readers = 1
        if maker.op_type == 'Cast':
            return maker
        if maker.op_type not in MOVING:
            return None
        name = maker.input[0]


def _bypass(graph: Any, node: Any) -> None:
    """Remove a node: who reads its result reads its input."""
    source, result = node.input[0], node.output[0]
    graph.node.remove(node)
    if any(value.name == result for value in graph.output):
        graph.node.append(require('onnx').helper.make_node('Identity', [source], [result], name=f'{result}_float'))
    for other in graph.node:
        if other.output[0] != result:
            rename_reads(other, {result: source})


def _reaches(graph: Any, start: str, tensor: str) -> bool:
    """Return whether `tensor` is `start`, or moved from it by nodes before it."""
    makers = {name: node for node in graph.node for name in node.output}
    for _ in range(len(makers) + 1):
        if tensor == start:
            return True
        if tensor not in makers or not makers[tensor].input:
            return False
        tensor = makers[tensor].input[0]
    return False


def _scale_type(graph: Any, node: Any) -> int:
    """Return the type of the real numbers of a Q/DQ node: that of its scale."""
    return next((int(tensor.data_type) for tensor in graph.initializer if tensor.name == node.input[1]), _FLOAT)


def _node(graph: Any, operator: str, source: str, result: str, edge: Edge) -> Any:
    onnx, rule = require('onnx'), edge.quantisation
    scalar = len(rule.scales) == 1
    scale = np.array(rule.scales[0] if scalar else rule.scales, np.float32)
    zero = np.array(rule.zero_points[0] if scalar else rule.zero_points, rule.dtype)
    names = []
    for suffix, array in (('scale', scale), ('zero_point', zero)):
        names.append(free_name(graph, f'{result}_{suffix}'))
        graph.initializer.append(onnx.numpy_helper.from_array(array, names[-1]))
    attributes = {} if scalar else {'axis': rule.axis}
    return onnx.helper.make_node(operator, [source, *names], [result], name=f'{result}_{operator}', **attributes)
