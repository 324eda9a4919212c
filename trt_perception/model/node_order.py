# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Sorts the nodes of a graph: each comes after the nodes whose outputs it reads, as ONNX requires.

Some exporters do not sort them (Ultralytics with half=True: the cast of the input comes last). ONNX Runtime and
TensorRT sort the nodes themselves; onnx.checker and onnx.shape_inference do not.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from typing import Any


def sort_nodes(graph: Any) -> list[str]:
    """Sort the nodes of an onnx.GraphProto and of the graphs inside it; nodes that are sorted already keep their order.

    Returns the names of the nodes in a cycle or after it, [] if there is no cycle. Then that graph is not changed.
    """
    for node in graph.node:
        for body in _bodies(node):
            stuck = sort_nodes(body)
            if stuck:
                return stuck
    maker = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    before = [{maker[name] for name in reads(node) if name in maker} for node in graph.node]
    if all(other < index for index, others in enumerate(before) for other in others):
        return []
    readers: defaultdict[int, list[int]] = defaultdict(list)
    for index, others in enumerate(before):
        for other in others:
            readers[other].append(index)
    missing = [len(others) for others in before]
    ready = deque(index for index, count in enumerate(missing) if count == 0)
    order = []
    while ready:
        index = ready.popleft()
        order.append(index)
        for reader in readers[index]:
            missing[reader] -= 1
            if missing[reader] == 0:
                ready.append(reader)
    if len(order) < len(graph.node):
        done = set(order)
        return [
            node.name or f'with output {node.output[0]}' for index, node in enumerate(graph.node)
            if index not in done and node.output]
    nodes = [_copy(graph.node[index]) for index in order]
    del graph.node[:]
    graph.node.extend(nodes)
    return []


def reads(node: Any) -> Iterator[str]:
    """Yield the names that a node and the graphs inside it read."""
    yield from node.input
    for body in _bodies(node):
        yield from (value.name for value in body.output)
        for inner in body.node:
            yield from reads(inner)


def _bodies(node: Any) -> Iterator[Any]:
    """Yield the graphs inside a node: the branches of an If, the body of a Loop."""
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField('g'):
            yield attribute.g


def _copy(node: Any) -> Any:
    copy = type(node)()
    copy.CopyFrom(node)
    return copy
