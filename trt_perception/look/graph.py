# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The graph of an ONNX model as it is shown: nodes with shapes, and constants by type and shape only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..dependencies import require
from ..errors import printable
from ..model.node_order import reads, sort_nodes

# ONNX's names of the element types (onnx.proto3, TensorProto.DataType) that differ from NumPy's.
_TYPE_NAMES = {'float': 'float32', 'double': 'float64'}
# Their outputs differ from run to run, or depend on more than their inputs.
_NOT_CONSTANT = ('RandomNormal', 'RandomUniform', 'RandomNormalLike', 'RandomUniformLike', 'Multinomial', 'Bernoulli')
_SHORT = {'kernel_shape': 'kernel', 'strides': 'stride', 'dilations': 'dilation', 'pads': 'pad'}
_MOST_VALUES = 8


@dataclass(frozen=True)
class Tensor:
    """A tensor by name. type: NumPy's name, '' if unknown; shape: sizes or names of sizes, None if unknown."""

    name: str
    type: str
    shape: tuple[int | str, ...] | None

    def text(self) -> str:
        """Return 'float32 [1, 3, 224, 224]', without an unknown part."""
        shape = '' if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        return f'{self.type} {shape}'.strip() or 'unknown shape'


@dataclass(frozen=True)
class Node:
    """One node that computes something from the input.

    name: '' if the file gives none
    inputs, outputs: names of tensors; constants: the inputs that do not depend on the input of the model
    attributes: as shown, 'kernel 3x3'
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: tuple[Tensor, ...]
    attributes: tuple[str, ...]

    @property
    def label(self) -> str:
        """The name; that of the first output if there is none."""
        return self.name or (self.outputs[0] if self.outputs else self.operator)


@dataclass(frozen=True)
class Graph:
    """A graph. nodes: in the order in which they run; constant_nodes: operators of nodes that compute constants."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    nodes: tuple[Node, ...]
    constant_nodes: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    constants: frozenset[str]

    def tensor(self, name: str) -> Tensor:
        """Return what is known of a tensor."""
        return self.tensors.get(name) or Tensor(name, '', None)


def read_graph(proto: Any, input_size: tuple[int, int] = (0, 0)) -> Graph:
    """Return the graph of an onnx.ModelProto, which may have no weights (model/onnx_skeleton.py).

    input_size: (width, height) for an input image without a fixed size, (0, 0) to keep the names of its sizes

    Shapes are those that the file declares or onnx.shape_inference finds; others are unknown. Nodes without names and
    nodes that are not sorted are accepted.
    """
    copy = type(proto)()
    copy.CopyFrom(proto)
    graph = copy.graph
    sort_nodes(graph)
    stored = {tensor.name for tensor in graph.initializer} | {
        sparse.values.name for sparse in graph.sparse_initializer}
    images = [value for value in graph.input if value.name not in stored]
    if all(input_size):
        _fix_size(images, *input_size)
    tensors = _tensors(copy, stored)
    constants = set(stored)
    known = stored | {value.name for value in images}
    constant_nodes, nodes = [], []
    for node in graph.node:
        # The graphs inside a node also read their own tensors.
        names = dict.fromkeys(name for name in reads(node) if name and (name in known or name in node.input))
        known.update(node.output)
        if node.op_type not in _NOT_CONSTANT and constants.issuperset(names):
            constants.update(filter(None, node.output))
            constant_nodes.append(node.op_type)
            continue
        nodes.append(Node(
            node.name, node.op_type, tuple(name for name in names if name not in constants),
            tuple(filter(None, node.output)),
            tuple(tensors.get(name) or Tensor(name, '', None) for name in names if name in constants),
            tuple(_attributes(node))))
    return Graph(
        tuple(tensors[value.name] for value in images), tuple(tensors[value.name] for value in graph.output),
        tuple(nodes), tuple(constant_nodes), tensors, frozenset(constants))


def _fix_size(values: list[Any], width: int, height: int) -> None:
    """Give inputs of four dimensions this size where it is open: channels first, unless only the last are channels."""
    for value in values:
        dims = value.type.tensor_type.shape.dim
        if len(dims) != 4:
            continue
        last = dims[3].dim_value in (1, 3, 4) and dims[1].dim_value not in (1, 3, 4)
        for index, size in ((1, height), (2, width)) if last else ((2, height), (3, width)):
            if not dims[index].dim_value:
                dims[index].dim_value = size


def _tensors(proto: Any, stored: set[str]) -> dict[str, Tensor]:
    onnx = require('onnx')
    try:
        graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
    except Exception:  # shape inference refuses custom operators with errors of several types
        graph = proto.graph
    found = {tensor.name: Tensor(tensor.name, _type(tensor.data_type), tuple(tensor.dims))
             for tensor in graph.initializer}
    for sparse in graph.sparse_initializer:
        found[sparse.values.name] = Tensor(sparse.values.name, _type(sparse.values.data_type), tuple(sparse.dims))
    for value in (*graph.input, *graph.value_info, *graph.output):
        if value.name not in stored:
            kind = value.type.tensor_type
            found[value.name] = Tensor(
                value.name, _type(kind.elem_type), _shape(kind.shape) if kind.HasField('shape') else None)
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == 'Constant' and attribute.name == 'value':
                found[node.output[0]] = Tensor(node.output[0], _type(attribute.t.data_type), tuple(attribute.t.dims))
    return found


def _shape(shape: Any) -> tuple[int | str, ...]:
    return tuple(
        dim.dim_value if dim.HasField('dim_value') else
        # Shape inference makes up names such as unk__0.
        '?' if not dim.dim_param or dim.dim_param.startswith('unk__') else printable(dim.dim_param)
        for dim in shape.dim)


def _type(number: int) -> str:
    onnx = require('onnx')
    if not number:
        return ''
    try:
        name = str(onnx.TensorProto.DataType.Name(number)).lower()
    except ValueError:  # a type of a newer ONNX
        return f'type {number}'
    return _TYPE_NAMES.get(name, name)


def _attributes(node: Any) -> Iterator[str]:
    onnx = require('onnx')
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        kind = attribute.type
        if kind in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            bodies = attribute.graphs or [attribute.g]
            yield f'{attribute.name} with {sum(len(body.node) for body in bodies)} nodes'
        elif attribute.name == 'to' and isinstance(value, int):
            yield f'to {_type(value)}'
        elif isinstance(value, bytes):
            yield f"{attribute.name} {value.decode('utf-8', 'replace')[:60]}"
        elif isinstance(value, (int, float)):
            yield from _number(attribute.name, value)
        elif kind in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS):
            yield from _numbers(attribute.name, list(value))
        elif kind == onnx.AttributeProto.TENSOR:
            yield f'{attribute.name} {_type(value.data_type)} {list(value.dims)}'


def _number(name: str, value: float) -> Iterator[str]:
    if (name, value) != ('group', 1):
        yield f'{name} {value:g}' if isinstance(value, float) else f'{name} {value}'


def _numbers(name: str, values: list[Any]) -> Iterator[str]:
    if (name in ('strides', 'dilations') and set(values) == {1}) or (name == 'pads' and not any(values)):
        return
    if name in ('kernel_shape', 'strides', 'dilations'):
        yield f"{_SHORT[name]} {'x'.join(map(str, values))}"
    elif name == 'pads' and len(set(values)) == 1:
        yield f'pad {values[0]}'
    else:
        shown = ', '.join(f'{value:g}' for value in values[:_MOST_VALUES])
        yield f"{_SHORT.get(name, name)} [{shown}{', ...' if len(values) > _MOST_VALUES else ''}]"
