# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The picture of what ONNX Runtime fuses."""

from __future__ import annotations

from .fusion import Fusion
from .graph import Graph, Node, Tensor
from .picture import Cell, Row, draw


def fusion_picture(fusion: Fusion, name: str) -> str:
    """Return the SVG document of the graph before and after fusion.

    name: of the model, for the title
    """
    inputs = [Cell('end', (_end(tensor),), (_end(tensor),), (), (tensor.name,)) for tensor in fusion.before.inputs]
    outputs = [Cell('end', (_end(tensor),), (_end(tensor),), (tensor.name,), ()) for tensor in fusion.before.outputs]
    groups = [
        Cell(
            'added' if not group.before else 'fused' if group.changed else 'same',
            tuple(_row(node, fusion.before) for node in group.before),
            tuple(_row(node, fusion.before, fusion.after) for node in group.after), group.reads, group.writes)
        for group in fusion.groups]
    hidden = len(fusion.folded)
    aside = f'; {hidden} more are not computed for each image' if hidden else ''
    return draw(
        [*inputs, *groups, *outputs], (f'{name}: {len(fusion.before.nodes)} nodes', f'{len(fusion.after.nodes)} nodes'),
        (f'as stored{aside}', f'as {fusion.runtime} fuses them on the CPU; blue: fused'))


def _end(tensor: Tensor) -> Row:
    return Row(tensor.name, _shape(tensor))


def _row(node: Node, *graphs: Graph) -> Row:
    """Return 'Conv 3x3 /2' and the shape of the first output, from the first graph that knows it."""
    known = dict(text.split(' ', maxsplit=1) for text in node.attributes if ' ' in text)
    kernel, stride = known.get('kernel', ''), known.get('stride', '')
    even = f' /{stride.split("x")[0]}' if stride and len(set(stride.split('x'))) == 1 else f' /{stride}'
    title = f'{node.operator}{f" {kernel}" if kernel else ""}{even if stride else ""}'
    shapes = [_shape(graph.tensor(name)) for name in node.outputs[:1] for graph in graphs]
    return Row(title, next(filter(None, shapes), ''))


def _shape(tensor: Tensor) -> str:
    return '' if tensor.shape is None else '\u00d7'.join(map(str, tensor.shape))
