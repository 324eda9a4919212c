# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What ONNX Runtime's optimiser makes of a graph on this CPU: the nodes that it fuses, removes and adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import printable
from ..model.onnx_file import load_proto
from ..ort.backend import load_session
from ..unfinished import temporary_folder
from .graph import Graph, Node, read_graph
from .groups import Group, match

_SEVERITY_FATAL = 4
# Initializers of at least this many bytes are written beside the optimised model, so it may be larger than 2 GB.
_EXTERNAL_BYTES = '1024'
# They do nothing at inference.
_IDLE = ('Dropout', 'Identity')


@dataclass(frozen=True)
class Fusion:
    """The nodes before and after.

    runtime: name and version of the optimiser
    groups: in the order of the optimised graph; folded: original nodes that are no longer computed for each image
    operators: of the graph that runs on this CPU. It may have more changes than the groups: for the convolutions of
        x86-64, ONNX Runtime stores images in blocks of channels, and reorders them before and after (domain nchwc)
    """

    before: Graph
    after: Graph
    runtime: str
    groups: tuple[Group, ...]
    folded: tuple[Node, ...]
    operators: Mapping[str, int]


def fuse(path: Path, proto: Any, input_size: tuple[int, int] = (0, 0)) -> Fusion:
    """Optimise the model with ONNX Runtime and compare. Raises ModelError if ONNX Runtime cannot load it.

    proto: the model without its weights; input_size: see read_graph
    """
    ort = require('onnxruntime')
    levels = ort.GraphOptimizationLevel
    # The highest level without the layout of this CPU keeps the names of the tensors, so nodes can be compared.
    optimised = _optimised(path, levels.ORT_ENABLE_EXTENDED)
    runs = _optimised(path, levels.ORT_ENABLE_ALL)
    before, after = read_graph(proto, input_size), read_graph(optimised, input_size)
    groups, folded = match(before, after)
    operators = Counter(_operator(node) for node in runs.graph.node)
    return Fusion(
        before, after, f'ONNX Runtime {ort.__version__}', groups, folded, dict(operators.most_common()))


def fusion_lines(fusion: Fusion) -> Iterator[str]:
    """Yield the report: totals, each group that changed with its nodes, and the operators that run on this CPU."""
    yield (f'{len(fusion.before.nodes)} nodes became {len(fusion.after.nodes)}, as {fusion.runtime} fuses them on the '
           'CPU')
    for change, count in _changes(fusion.groups):
        yield printable(f'{count:4} x  {change}')
    for group in fusion.groups:
        if group.changed:
            idle = [node.label for node in group.before if node.operator in _IDLE]
            note = f"  ({', '.join(idle)} {'does' if len(idle) == 1 else 'do'} nothing at inference)" if idle else ''
            yield printable(f'  {_named(group.before) or "nothing"} -> {_named(group.after)}{note}')
    if fusion.folded:
        yield f'no longer computed for each image: {len(fusion.folded)} nodes'
        yield printable(f'  {_named(fusion.folded)}')
    counted = ', '.join(f'{name} {count}' for name, count in fusion.operators.items())
    yield printable(f'as it runs on this CPU: {sum(fusion.operators.values())} nodes: {counted}')


def fusion_json(fusion: Fusion) -> dict[str, Any]:
    """Return the report as JSON values."""
    return {
        'runtime': fusion.runtime,
        'nodes_before': len(fusion.before.nodes), 'nodes_after': len(fusion.after.nodes),
        'groups': [{
            'before': [_entry(node) for node in group.before], 'after': [_entry(node) for node in group.after],
            'changed': group.changed} for group in fusion.groups],
        'folded': [_entry(node) for node in fusion.folded],
        'operators_on_this_cpu': dict(fusion.operators)}


def _optimised(path: Path, level: Any) -> Any:
    """Return the model that ONNX Runtime writes at this level, without its weights."""
    ort = require('onnxruntime')
    with temporary_folder() as folder:
        target = folder / 'optimised.onnx'
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        options.log_severity_level = _SEVERITY_FATAL
        options.optimized_model_filepath = str(target)
        options.add_session_config_entry('session.optimized_model_external_initializers_file_name', 'weights')
        options.add_session_config_entry(
            'session.optimized_model_external_initializers_min_size_in_bytes', _EXTERNAL_BYTES)
        load_session(str(path), options, str(path))
        return load_proto(target, weights=False)


def _changes(groups: tuple[Group, ...]) -> list[tuple[str, int]]:
    return Counter(
        f'{_operators(group.before) or "nothing"} -> {_operators(group.after)}'
        for group in groups if group.changed).most_common()


def _operators(nodes: tuple[Node, ...]) -> str:
    return ' + '.join(node.operator for node in nodes)


def _named(nodes: tuple[Node, ...]) -> str:
    return ' + '.join(f'{node.operator} {node.label}' for node in nodes)


def _operator(node: Any) -> str:
    domain = str(node.domain)
    return f'{domain}.{node.op_type}' if domain and domain != 'ai.onnx' else str(node.op_type)


def _entry(node: Node) -> dict[str, str]:
    return {'name': node.label, 'operator': node.operator}
