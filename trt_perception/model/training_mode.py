# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Refuses a network that was exported in training mode: ONNX Runtime runs it, with wrong results.

Dropout then removes random values, so two runs on one image differ. BatchNormalization then normalises by the
statistics of the one image, not by those of the training data. TensorRT refuses both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import ModelError
from .external_data import external_bytes, external_tensors, shown

# The opset in which BatchNormalization got the attribute training_mode. Before, its outputs after the first show it.
_TRAINING_MODE_SINCE = 14
# ONNX Runtime and TensorRT do not support older ones.
_FIRST_OPSET = 7
_DEFAULT_RATIO = 0.5


def require_inference_mode(path: Path, proto: Any) -> None:
    """Raise ModelError if a Dropout or BatchNormalization of the model at `path` is in training mode."""
    opset = max((entry.version for entry in proto.opset_import if entry.domain in ('', 'ai.onnx')), default=1)
    if opset < _FIRST_OPSET:
        return
    for nodes, constants in _scopes(proto.graph, {}):
        for node in nodes:
            if node.domain not in ('', 'ai.onnx'):
                continue
            if node.op_type == 'Dropout' and _drops(path, proto, node, constants):
                effect = 'it removes random values, so each run would give another result'
            elif node.op_type == 'BatchNormalization' and _adapts(node, opset):
                effect = 'it ignores the statistics of the training data, so the results would be wrong'
            else:
                continue
            name = node.name or f'with output {node.output[0]}'
            raise ModelError(
                f'{path.name} was exported in training mode: node {shown(name)} is a {node.op_type} in training mode; '
                f'{effect}; call model.eval() and export it again (torch.onnx.export: without training=...)')


def _scopes(graph: Any, outer: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield the nodes of a graph and of the graphs inside it, with the constants that they can read."""
    constants = dict(outer)
    constants.update((tensor.name, tensor) for tensor in graph.initializer)
    for node in graph.node:
        if node.op_type == 'Constant' and node.attribute and node.attribute[0].name == 'value':
            constants[node.output[0]] = node.attribute[0].t
    # PyTorch writes equal constants once and the others as Identity.
    constants.update(
        (node.output[0], constants[node.input[0]]) for node in graph.node
        if node.op_type == 'Identity' and node.input[0] in constants)
    yield graph.node, constants
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *((attribute.g,) if attribute.HasField('g') else ())):
                yield from _scopes(inner, constants)


def _drops(path: Path, proto: Any, node: Any, constants: dict[str, Any]) -> bool:
    """Whether a Dropout removes values: from opset 12 on it has the inputs data, ratio, training_mode."""
    inputs = [*node.input, '', '', ''][:3]
    training = _value(path, proto, constants.get(inputs[2]))
    if not training:
        return False
    ratio = _value(path, proto, constants.get(inputs[1]))
    return (_DEFAULT_RATIO if ratio is None else ratio) > 0


def _adapts(node: Any, opset: int) -> bool:
    if opset < _TRAINING_MODE_SINCE:
        return any(node.output[1:])
    return any(attribute.name == 'training_mode' and attribute.i for attribute in node.attribute)


def _value(path: Path, proto: Any, tensor: Any | None) -> float | None:
    """Return the number in a constant of one element, None if it is not known."""
    if tensor is None:
        return None
    onnx = require('onnx')
    for part in external_tensors(path, proto) if tensor.data_location else ():
        if part.tensor == tensor:
            tensor = onnx.TensorProto(
                dims=tensor.dims, data_type=tensor.data_type, raw_data=external_bytes(path, part))
            break
    try:
        array = np.asarray(onnx.numpy_helper.to_array(tensor))
    except (TypeError, ValueError):
        return None
    return float(array.reshape(-1)[0]) if array.size == 1 else None
