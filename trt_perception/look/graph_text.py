# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The graph as lines of text and as JSON values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ..errors import printable
from .graph import Graph, Node, Tensor

_MOST_TENSORS = 6


def graph_lines(graph: Graph) -> Iterator[str]:
    """Yield one line for each input, node and output, with shapes; constants are only counted or named by shape."""
    width = min(max((len(node.operator) for node in graph.nodes), default=0), 24)
    for tensor in graph.inputs:
        yield printable(f'input   {tensor.name}  {tensor.text()}')
    for number, node in enumerate(graph.nodes):
        yield printable(_node_line(number, node, graph, width))
        details = [*node.attributes, *(f'{tensor.name} {tensor.text()}' for tensor in node.constants)]
        if details:
            yield printable(f"{'':6}{'':{width}}  {', '.join(details)}")
    for tensor in graph.outputs:
        yield printable(f'output  {tensor.name}  {tensor.text()}')
    if graph.constant_nodes:
        counted = ', '.join(f'{name} {count}' for name, count in Counter(graph.constant_nodes).most_common())
        yield printable(f'not shown: {len(graph.constant_nodes)} nodes that compute constants ({counted})')


def graph_json(graph: Graph) -> dict[str, Any]:
    """Return the graph as JSON values: inputs, outputs, nodes with their constants, and counts of constant nodes."""
    return {
        'inputs': [asdict(tensor) for tensor in graph.inputs],
        'outputs': [asdict(tensor) for tensor in graph.outputs],
        'nodes': [{
            'name': node.name, 'operator': node.operator,
            'inputs': [asdict(graph.tensor(name)) for name in node.inputs],
            'outputs': [asdict(graph.tensor(name)) for name in node.outputs],
            'constants': [asdict(tensor) for tensor in node.constants],
            'attributes': list(node.attributes)} for node in graph.nodes],
        'constant_nodes': dict(Counter(graph.constant_nodes).most_common())}


def _node_line(number: int, node: Node, graph: Graph, width: int) -> str:
    read = _listed([Tensor(name, '', None) for name in node.inputs])
    made = _listed([graph.tensor(name) for name in node.outputs])
    name = f'{node.name}  ' if node.name else ''
    return f'{number:4}  {node.operator:{width}}  {name}{read} -> {made}'


def _listed(tensors: list[Tensor]) -> str:
    shown = [
        f'{tensor.name} {tensor.text()}' if tensor.shape is not None or tensor.type else tensor.name
        for tensor in tensors[:_MOST_TENSORS]]
    if len(tensors) > _MOST_TENSORS:
        shown.append(f'and {len(tensors) - _MOST_TENSORS} more')
    return ', '.join(shown) or 'nothing'
