# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the box decoder of a detector: the arithmetic between its last learned layers and its outputs.

The rule reads the graph only, so it is the same for each family: the grids and sigmoids of YOLOv3, YOLOv5 and YOLOX,
the distributions over bins (DFL) of YOLOv8, YOLOv6, PP-YOLOE, NanoDet-Plus and D-FINE, NMS and TopK inside the graph.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dependencies import require
from .graph import FLOATS, WEIGHTED, reads

# These operators move values or change their type, but do not compute.
_MOVING = (
    'Cast', 'DequantizeLinear', 'Flatten', 'Gather', 'Identity', 'QuantizeLinear', 'Reshape', 'Slice', 'Split',
    'Squeeze', 'Transpose', 'Unsqueeze')
# Their result does not depend on the values that they read.
_SHAPES = ('Shape', 'Size')
_COORDINATES = 4
_FEWEST_BINS = 4
_MOST_BINS = 256


@dataclass(frozen=True)
class Decoder:
    """The box decoder of a graph, as names of nodes.

    nodes: all nodes after the last learned layers
    last: those layers; the decoder reads their results
    written: layers with weights, anywhere in the graph, that are fixed arithmetic on boxes and not learned: the
        expectation over the bins of a distribution (the convolution of YOLOv8's DFL), and a 4x4 matrix on boxes in the
        decoder (from centre and size to corners, in YOLOv7's end-to-end export)
    """

    nodes: frozenset[str]
    last: frozenset[str]
    written: frozenset[str]


def decoder_of(graph: Any) -> Decoder:
    """Return the decoder of a graph of graph.load_model, which may have Q/DQ pairs.

    A classifier's last layers and the nodes after them are found in the same way.
    """
    rules = _Rules(graph)
    expectations = {node.name for node in graph.node if rules.is_expectation(node)}
    nodes: set[str] = set()
    last: set[str] = set()
    written = set(expectations)
    seen: set[str] = set()
    waiting = [value.name for value in graph.output]
    while waiting:
        node = rules.producers.get(waiting.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if node.op_type in WEIGHTED and node.name not in expectations:
            if not rules.is_matrix_on_boxes(node):
                last.add(node.name)
                continue
            written.add(node.name)
        nodes.add(node.name)
        if node.op_type not in _SHAPES:
            waiting.extend(reads(node))
    return Decoder(frozenset(nodes), frozenset(last), frozenset(written))


class _Rules:
    """Tells fixed arithmetic from learned layers."""

    def __init__(self, graph: Any) -> None:
        self.producers = {name: node for node in graph.node for name in node.output}
        self._constants = {tensor.name: tensor for tensor in graph.initializer}

    def is_expectation(self, node: Any) -> bool:
        """Whether a layer computes one number of each distribution: the sum of its bins times their positions."""
        product = self._product(node)
        if product is None or product.results != 1:
            return False
        producer = self.producers.get(self._before_moves(product.data))
        return (producer is not None and producer.op_type == 'Softmax') or _evenly_spaced(product.weights)

    def is_matrix_on_boxes(self, node: Any) -> bool:
        """Whether a layer multiplies the last dimension, 4 coordinates, by a 4x4 matrix."""
        product = self._product(node)
        return (
            product is not None and node.op_type in ('MatMul', 'Gemm')
            and list(product.weights.dims) == [_COORDINATES, _COORDINATES])

    def _product(self, node: Any) -> _Product | None:
        """The layer as a product with constant weights, also behind Q/DQ; None for other nodes."""
        if node.op_type not in WEIGHTED or len(node.input) < 2:
            return None
        weights = self._constants.get(self._before_moves(node.input[1]))
        if weights is not None:
            return _Product(weights, node.input[0], _results(node, list(weights.dims)))
        weights = self._constants.get(self._before_moves(node.input[0]))
        if weights is None or node.op_type != 'MatMul':
            return None
        dims = list(weights.dims)
        return _Product(weights, node.input[1], dims[-2] if len(dims) > 1 else 1)

    def _before_moves(self, name: str) -> str:
        """The name of the tensor whose values this tensor has, perhaps in another shape."""
        # A damaged file may have a cycle.
        for _ in range(len(self.producers) + 1):
            node = self.producers.get(name)
            if node is None or node.op_type not in _MOVING or not node.input:
                break
            name = node.input[0]
        return name


@dataclass(frozen=True)
class _Product:
    """Constant weights, the name of the tensor that they multiply, and the number of results for each vector of it."""

    weights: Any
    data: str
    results: int


def _results(node: Any, dims: list[int]) -> int:
    """The number of results that a layer with these weights computes from one vector of its first input."""
    if node.op_type == 'Conv':
        return dims[0] if len(dims) > 1 else 0
    if node.op_type == 'ConvTranspose' or not dims:
        return 0
    transposed = any(attribute.name == 'transB' and attribute.i for attribute in node.attribute)
    return 1 if len(dims) == 1 else dims[-2 if transposed else -1]


def _evenly_spaced(weights: Any) -> bool:
    """Whether the weights are positions of bins, such as 0, 1, 2 ... 15: learned weights never have equal steps."""
    if not _FEWEST_BINS <= math.prod(weights.dims) <= _MOST_BINS or weights.data_type not in FLOATS:
        return False
    steps = np.diff(require('onnx').numpy_helper.to_array(weights).astype(np.float64).reshape(-1))
    return bool(steps[0] > 0 and np.allclose(steps, steps[0], rtol=1e-3, atol=0.0))
