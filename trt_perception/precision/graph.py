# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX graphs for the conversions to fp16 and int8: load, save, and read their structure."""

from __future__ import annotations

import copy
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import FetchError, ModelError, printable
from ..file_cache import replace_file
from ..model.external_data import load_external_data
from ..model.onnx_file import load_proto
from ..model.onnx_tensors import all_tensors
from ..ort.backend import load_session
from .running import serialized, session_options

METADATA_KEY = 'trt_perception.precision'
# Operators whose second input is a weight. They do nearly all of the arithmetic.
WEIGHTED = ('Conv', 'ConvTranspose', 'Gemm', 'MatMul')
FLOATS = (1, 10, 11)  # TensorProto.FLOAT, FLOAT16, DOUBLE
# And UINT8, INT8, UINT16, INT16, INT32, INT64, BOOL, UINT32, UINT64.
_WHOLE_BYTES = (*FLOATS, 2, 3, 4, 5, 6, 7, 9, 12, 13)


def load_model(path: Path) -> Any:
    """Return the onnx.ModelProto with its weights as initializers and a unique name for each node; ModelError."""
    proto = load_proto(path)
    load_external_data(path, proto)
    _require_all_values(proto, path.name)
    name_nodes(proto.graph)
    _constants_to_initializers(proto.graph)
    _initializers_are_no_inputs(proto)
    constants = {tensor.name for tensor in proto.graph.initializer}
    weights = {node.input[1] for node in proto.graph.node if node.op_type in WEIGHTED[:2] and len(node.input) > 1}
    dequantised = {name for node in proto.graph.node if node.op_type == 'DequantizeLinear' for name in node.output}
    # Some files compute a convolution's weights, usually from other constants: folding computes them once.
    return folded(proto, path.name) if weights - constants - dequantised else proto


def _require_all_values(proto: Any, name: str) -> None:
    """Raise ModelError, which calls the model `name`, if a tensor has more or less bytes than its shape needs."""
    to_dtype = require('onnx').helper.tensor_dtype_to_np_dtype
    for tensor in all_tensors(proto):
        if tensor.data_type not in _WHOLE_BYTES or not tensor.HasField('raw_data'):
            continue
        needed = math.prod(tensor.dims) * to_dtype(tensor.data_type).itemsize
        if len(tensor.raw_data) != needed:
            raise ModelError(
                f"{name} is damaged: tensor '{printable(tensor.name)}' has {len(tensor.raw_data)} bytes, but its shape "
                f'{list(tensor.dims)} needs {needed}; copy or export the model again')


def folded(model: Any, name: str) -> Any:
    """Let ONNX Runtime fold batch normalisations and constants; the result has standard operators only.

    Raises ModelError, which calls the model `name`, if ONNX Runtime does not load it.
    """
    onnx, ort = require('onnx'), require('onnxruntime')
    # A file in memory: a full /tmp would look like a bad model.
    with os.fdopen(os.memfd_create('trt_perception_folded'), 'rb') as file:
        options = session_options()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = f'/proc/self/fd/{file.fileno()}'
        load_session(serialized(model, name), options, name)
        result = onnx.load_model_from_string(file.read())
    used = {node.domain for node in result.graph.node} | {''}
    kept = [entry for entry in result.opset_import if entry.domain in used]
    del result.opset_import[:]
    result.opset_import.extend(kept)
    del result.metadata_props[:]
    result.metadata_props.extend(model.metadata_props)
    name_nodes(result.graph)
    return result


def save_model(proto: Any, path: Path) -> None:
    """Write a model in one step: a killed process leaves the old file or the new one. Raises ModelError."""
    content = serialized(proto, path.name)
    try:
        replace_file(path, lambda part: part.write_bytes(content))
    except FetchError as error:
        raise ModelError(str(error)) from error


def add_metadata(proto: Any, source: Any, record: Mapping[str, Any]) -> None:
    """Give `proto` the metadata of `source` (class names, task, preprocessing) and the record of its conversion."""
    del proto.metadata_props[:]
    for entry in source.metadata_props:
        if entry.key != METADATA_KEY:
            proto.metadata_props.add(key=entry.key, value=entry.value)
    proto.metadata_props.add(key=METADATA_KEY, value=json.dumps(record))


def read_record(path: Path) -> dict[str, Any]:
    """Return the record that a conversion by this package wrote into the file, {} if there is no record."""
    for entry in load_proto(path, weights=False).metadata_props:
        if entry.key == METADATA_KEY:
            try:
                value = json.loads(entry.value)
            except (ValueError, RecursionError):
                return {}
            return value if isinstance(value, dict) else {}
    return {}


def stored_bytes(path: Path) -> int:
    """Return the size of a model file together with its external data."""
    proto = load_proto(path, weights=False)
    locations = {
        entry.value for tensor in all_tensors(proto) for entry in tensor.external_data if entry.key == 'location'}
    return sum(file.stat().st_size for file in (path, *(path.parent / name for name in locations)))


def require_finite(model: Any, name: str) -> None:
    """Raise ModelError, which calls the model `name`, if a layer has weights that are NaN or infinite.

    Constants of other nodes, for example masks and bounds, may be infinite.
    """
    to_array = require('onnx').numpy_helper.to_array
    weights = {
        tensor for node in model.graph.node if node.op_type in (*WEIGHTED, 'BatchNormalization')
        for tensor in node.input}
    for tensor in model.graph.initializer:
        if tensor.name not in weights or tensor.data_type not in FLOATS:
            continue
        wrong = int(np.count_nonzero(~np.isfinite(to_array(tensor))))
        if wrong:
            raise ModelError(
                f"{name}: expected finite weights, found {wrong} of {math.prod(tensor.dims)} in '{tensor.name}' that "
                'are NaN or infinite: the file is damaged, or its training failed; copy or export it again')


def weighted_nodes(graph: Any) -> list[Any]:
    """Return the nodes with constant float weights that int8 can take, in the order of the file."""
    weights = {tensor.name for tensor in graph.initializer if tensor.data_type == 1}  # TensorProto.FLOAT
    return [
        node for node in graph.node
        if node.op_type in WEIGHTED and len(node.input) > 1 and node.input[1] in weights]


def sort_nodes(graph: Any) -> None:
    """Sort the nodes so that each comes after the nodes it reads from, as ONNX requires."""
    made = {name for node in graph.node for name in node.output}
    waiting = [copy.deepcopy(node) for node in graph.node]
    known: set[str] = set()
    ordered = []
    while waiting:
        later = []
        for node in waiting:
            if all(name not in made or name in known for name in reads(node)):
                ordered.append(node)
                known.update(node.output)
            else:
                later.append(node)
        if len(later) == len(waiting):
            raise ModelError(f'the graph has a cycle at {later[0].name}')
        waiting = later
    del graph.node[:]
    graph.node.extend(ordered)


def opset_of(proto: Any) -> int:
    """Return the version of ONNX's own operators that a model uses."""
    return max(int(entry.version) for entry in proto.opset_import if entry.domain in ('', 'ai.onnx'))


def free_name(graph: Any, name: str) -> str:
    """Return a name that no tensor of the graph has: this one, or with underscores."""
    taken = {tensor.name for tensor in (*graph.initializer, *graph.input)}
    taken |= {output for node in graph.node for output in node.output}
    while name in taken:
        name += '_'
    return name


def missing_kernel_shapes(graph: Any, quantised: bool = False) -> Iterator[tuple[Any, list[int]]]:
    """Yield each convolution without the optional attribute kernel_shape, and that shape, if its weights are stored.

    quantised: only those with weights behind Q/DQ nodes: TensorRT 8.6 cannot infer the shape there
    """
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    sources = {
        node.output[0]: node.input[0] for node in graph.node if node.op_type in ('QuantizeLinear', 'DequantizeLinear')}
    for node in graph.node:
        if node.op_type in ('Conv', 'ConvTranspose') and not any(
                attribute.name == 'kernel_shape' for attribute in node.attribute):
            weights = node.input[1]
            # At most one of each kind.
            for _ in range(2):
                weights = sources.get(weights, weights)
            if weights in shapes and not (quantised and weights == node.input[1]):
                yield node, shapes[weights][2:]


def say_kernel_shapes(graph: Any) -> None:
    """Add the attribute kernel_shape to the convolutions of missing_kernel_shapes."""
    helper = require('onnx').helper
    for node, shape in list(missing_kernel_shapes(graph)):
        node.attribute.append(helper.make_attribute('kernel_shape', shape))


def reads(node: Any) -> list[str]:
    """The names of the tensors that a node and its subgraphs read."""
    return [*node.input, *(name for body in _bodies(node) for inner in body.node for name in reads(inner))]


def rename_reads(node: Any, renamed: Mapping[str, str]) -> None:
    """Make a node and the nodes of its subgraphs read other tensors: old name -> new name."""
    for index, name in enumerate(node.input):
        if name in renamed:
            node.input[index] = renamed[name]
    for body in _bodies(node):
        for inner in body.node:
            rename_reads(inner, renamed)


def _bodies(node: Any) -> list[Any]:
    """The graphs inside a node: the branches of an If, the body of a Loop."""
    return [graph for attribute in node.attribute for graph in (*attribute.graphs, attribute.g) if graph.node]


def name_nodes(graph: Any) -> None:
    """Give each node a unique name; names that are unique already stay."""
    taken: set[str] = set()
    for index, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f'{node.op_type}_{index}'
            while node.name in taken:
                node.name += '_'
        taken.add(node.name)


def _constants_to_initializers(graph: Any) -> None:
    """Turn Constant nodes into initializers: some exporters write weights so, but quantisers need initializers."""
    kept = []
    for node in graph.node:
        tensor = _constant_of(node)
        if tensor is None:
            for body in _bodies(node):
                _constants_as_tensors(body)
            kept.append(copy.deepcopy(node))
        else:
            graph.initializer.append(tensor)
    if len(kept) < len(graph.node):
        del graph.node[:]
        graph.node.extend(kept)


def _constants_as_tensors(graph: Any) -> None:
    """Rewrite the Constant nodes inside an If or a Loop with a tensor: the fp16 converter changes only that form."""
    make_attribute = require('onnx').helper.make_attribute
    for node in graph.node:
        tensor = _constant_of(node)
        if tensor is not None and node.attribute[0].name != 'value':
            node.attribute[0].CopyFrom(make_attribute('value', tensor))
        for body in _bodies(node):
            _constants_as_tensors(body)


def _constant_of(node: Any) -> Any | None:
    """Return a Constant node's tensor, with the name of its output; None for other nodes, strings, sparse tensors."""
    if node.op_type != 'Constant' or len(node.attribute) != 1:
        return None
    numpy_helper = require('onnx').numpy_helper
    value = node.attribute[0]
    arrays: dict[str, Callable[[], np.ndarray]] = {
        'value': lambda: np.array(numpy_helper.to_array(value.t)),
        'value_float': lambda: np.array(value.f, np.float32), 'value_int': lambda: np.array(value.i, np.int64),
        'value_floats': lambda: np.array(value.floats, np.float32),
        'value_ints': lambda: np.array(value.ints, np.int64)}
    return numpy_helper.from_array(arrays[value.name](), node.output[0]) if value.name in arrays else None


def _initializers_are_no_inputs(proto: Any) -> None:
    """Remove weights from the inputs: files of IR version 3 (2018) list them there, replaceable by the caller."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    kept = [copy.deepcopy(value) for value in proto.graph.input if value.name not in constants]
    del proto.graph.input[:]
    proto.graph.input.extend(kept)
    proto.ir_version = max(proto.ir_version, 4)
