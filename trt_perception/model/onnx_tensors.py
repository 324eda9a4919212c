# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds all constant tensors of an ONNX file: most exporters store them as initializers, but not all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def all_tensors(proto: Any) -> Iterator[Any]:
    """Yield each onnx.TensorProto of a ModelProto.

    These are dense and sparse initializers and node attributes (Constant, for example), in the graph, in the graphs
    inside its nodes (If, Loop, Scan) and in the model's functions.
    """
    yield from _of_graph(proto.graph)
    # Since onnx 1.10.
    for function in getattr(proto, 'functions', ()):
        yield from _of_nodes(function.node)


def _of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            # An attribute has one of these fields; the others are empty.
            if attribute.HasField('t'):
                yield attribute.t
            if attribute.HasField('sparse_tensor'):
                yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
            if attribute.HasField('g'):
                yield from _of_graph(attribute.g)
            yield from attribute.tensors
            for sparse in attribute.sparse_tensors:
                yield from (sparse.values, sparse.indices)
            for graph in attribute.graphs:
                yield from _of_graph(graph)
