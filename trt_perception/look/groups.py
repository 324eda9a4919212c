# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which nodes of a graph became which nodes of the optimised graph, from the names of the tensors between them.

An optimiser keeps the name of a tensor that it still computes. So a node of the optimised graph replaces those nodes of
the original graph that lead from its inputs to its outputs. Nodes that the optimiser connects by new tensors form one
group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .graph import Graph, Node


@dataclass(frozen=True)
class Group:
    """Nodes before and after. Without `before`, the optimiser added the nodes; reads and writes are tensor names."""

    before: tuple[Node, ...]
    after: tuple[Node, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether the nodes differ in number or operator."""
        return [node.operator for node in self.before] != [node.operator for node in self.after]


def match(before: Graph, after: Graph) -> tuple[tuple[Group, ...], tuple[Node, ...]]:
    """Return the groups in the order of the optimised graph, and the original nodes that are in no group.

    Nodes in no group were computed once by the optimiser (shapes, for example), or their result is not used.
    """
    maker = {name: node for node in before.nodes for name in node.outputs}
    position = {id(node): index for index, node in enumerate(before.nodes)}
    # Every name that exists in both graphs ends a search.
    known = set(maker) | {tensor.name for tensor in before.inputs}
    groups = []
    used: set[int] = set()
    for nodes in _connected(after.nodes, known):
        made = {name for node in nodes for name in node.outputs}
        # Constants that the optimiser computed keep their names too.
        stops = {name for node in nodes for name in (*node.inputs, *(t.name for t in node.constants))} - made
        writes = tuple(name for node in nodes for name in node.outputs if name in known)
        found = _between(writes, stops | before.constants, maker)
        new = sorted((node for node in found if id(node) not in used), key=lambda node: position[id(node)])
        used.update(id(node) for node in new)
        reads = dict.fromkeys(name for node in nodes for name in node.inputs if name not in made)
        groups.append(Group(tuple(new), tuple(nodes), tuple(reads), writes))
    return tuple(groups), tuple(node for node in before.nodes if id(node) not in used)


def _connected(nodes: Sequence[Node], known: set[str]) -> Iterable[list[Node]]:
    """Yield the nodes in groups that are connected by tensors with names that the original graph does not have."""
    parent = list(range(len(nodes)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    made = {name: index for index, node in enumerate(nodes) for name in node.outputs if name not in known}
    for index, node in enumerate(nodes):
        for name in node.inputs:
            if name in made:
                parent[root(index)] = root(made[name])
    members: dict[int, list[Node]] = {}
    for index, node in enumerate(nodes):
        members.setdefault(root(index), []).append(node)
    return members.values()


def _between(writes: Iterable[str], stops: Iterable[str], maker: dict[str, Node]) -> list[Node]:
    """Return the original nodes from which the tensors `writes` follow, back to the tensors `stops`."""
    ends = set(stops)
    found: dict[int, Node] = {}
    waiting = [name for name in writes if name not in ends]
    while waiting:
        node = maker.get(waiting.pop())
        if node is not None and id(node) not in found:
            found[id(node)] = node
            waiting.extend(name for name in node.inputs if name not in ends)
    return list(found.values())
