# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the inputs and outputs of an ONNX file that is called as a network, and the metadata for that."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import ModelError
from ..model.onnx_file import load_proto, sha256_of, stored_precision
from .raw import RawModel, TensorSpec
from .structure import Container, Node, from_json, to_json

# An entry of the file's metadata: all tensors with their shapes, the batch, and the structure of the outputs.
METADATA_KEY = 'trt_perception.network'


def raw_metadata(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], structure: Node, max_batch: int,
) -> dict[str, str]:
    """Return the metadata with which a file can be called as the network that it was made from."""
    return {METADATA_KEY: json.dumps({
        'inputs': [_to_json(spec) for spec in inputs], 'outputs': [_to_json(spec) for spec in outputs],
        'max_batch': max_batch, 'structure': to_json(structure)})}


def read_raw_model(path: Path, max_batch: int | None = None) -> tuple[RawModel, Node]:
    """Return a file's tensors, and the structure of its outputs.

    max_batch: of a file of another program that leaves the first dimension of its inputs open; None: 1
    Raises ModelError if it is not an ONNX file, or if other dimensions are open or unknown.
    """
    proto = load_proto(path, weights=False)
    precision = stored_precision(proto)
    stored = next((entry.value for entry in proto.metadata_props if entry.key == METADATA_KEY), None)
    if stored is not None:
        try:
            values = json.loads(stored)
            inputs = tuple(_from_json(value) for value in values['inputs'])
            outputs = tuple(_from_json(value) for value in values['outputs'])
            structure = from_json(values['structure'], len(outputs))
            most = int(values['max_batch'])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ModelError(f'{path}: its metadata {METADATA_KEY} is damaged: write the file again') from error
        if max_batch is not None and max_batch != most:
            raise ModelError(f'max_batch is {max_batch}, but {path.name} was saved for {most}: leave it out, or save '
                             'the network again')
    else:
        inputs, outputs = _of_graph(path, proto)
        most = max_batch or 1
        structure = 0 if len(outputs) == 1 else Container(tuple, (), tuple(range(len(outputs))))
        if max_batch is not None and not any(spec.batched for spec in inputs):
            raise ModelError(f'max_batch is {max_batch}, but {path.name} has fixed shapes: leave it out')
    usual = next((spec.shape[0] for spec in inputs if spec.batched), 1)
    return RawModel(path, sha256_of(path, proto), inputs, outputs, precision, usual, max(usual, most)), structure


def _of_graph(path: Path, proto: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    onnx = require('onnx')
    # With operators that onnx does not know, only the declared shapes are available.
    with contextlib.suppress(Exception):
        proto = onnx.shape_inference.infer_shapes(proto)
    weights = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in weights]
    if not inputs:
        raise ModelError(f'{path.name} has no inputs: expected a network that is called with tensors')
    return (
        tuple(_spec(path, value) for value in inputs),
        tuple(_spec(path, value) for value in proto.graph.output))


def _spec(path: Path, value: Any) -> TensorSpec:
    onnx = require('onnx')
    kind = value.type.tensor_type
    sizes = [dim.dim_value if dim.HasField('dim_value') else 0 for dim in kind.shape.dim]
    batched = bool(sizes) and sizes[0] < 1
    if not kind.elem_type or not kind.HasField('shape') or min(sizes[1:], default=1) < 1:
        raise ModelError(
            f'{path.name}: the shape of {value.name} is not fixed: expected fixed sizes after the first dimension; '
            'export it with fixed sizes, or open it with trt_perception.open if it is a detector or classifier')
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    return TensorSpec(value.name, dtype, (1, *sizes[1:]) if batched else tuple(sizes), batched)


def _to_json(spec: TensorSpec) -> list[Any]:
    return [spec.name, spec.dtype.name, list(spec.shape), spec.batched]


def _from_json(value: Any) -> TensorSpec:
    name, dtype, shape, batched = value
    return TensorSpec(str(name), np.dtype(dtype), tuple(int(size) for size in shape), bool(batched))
