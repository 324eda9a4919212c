# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a TensorRT engine: the nodes of the ONNX file, and the layer that they became."""

from __future__ import annotations

from collections.abc import Sequence

from ..backends.tensorrt.library.inspector import Layer, LayerTensor
from ..look.picture import Cell, Row, draw

# Names of layer types and nodes are long.
_BOX = 320.0


def engine_picture(layers: Sequence[Layer], name: str, built_by: str) -> str:
    """Return the SVG document.

    name: of the engine; built_by: name and version of TensorRT, '' if unknown

    A layer that TensorRT added, such as a change of the layout, has no node of the ONNX file.
    """
    made = {tensor.name: tensor for layer in layers for tensor in layer.outputs}
    read = {tensor.name: tensor for layer in layers for tensor in layer.inputs}
    inputs = [_end(tensor, read=False) for tensor in read.values() if tensor.name not in made]
    outputs = [_end(tensor, read=True) for tensor in made.values() if tensor.name not in read]
    nodes = {node for layer in layers for node in layer.onnx_nodes}
    drawn = _without_circles([_cell(layer) for layer in layers])
    return draw(
        [*inputs, *drawn, *outputs], (f'{name}: {len(nodes)} nodes of the ONNX file', f'{len(layers)} layers'),
        ('grouped by the layer that they became',
         f"as {built_by or 'TensorRT'} built them; blue: several nodes, yellow: added"), _BOX)


def _cell(layer: Layer) -> Cell:
    shape = '\u00d7'.join(map(str, layer.outputs[0].shape)) if layer.outputs else ''
    rows = [Row(f'{layer.kind or layer.name} {layer.compute_type}'.strip(), shape)]
    nodes = tuple(Row(node, '') for node in layer.onnx_nodes)
    kind = 'fused' if len(nodes) > 1 else 'same' if nodes or layer.kind == 'Constant' else 'added'
    return Cell(
        kind, nodes, tuple(rows), tuple(tensor.name for tensor in layer.inputs),
        tuple(tensor.name for tensor in layer.outputs))


def _end(tensor: LayerTensor, read: bool) -> Cell:
    row = Row(tensor.name, '\u00d7'.join(map(str, tensor.shape)))
    return Cell('end', (row,), (row,), (tensor.name,) if read else (), () if read else (tensor.name,))


def _without_circles(cells: Sequence[Cell]) -> list[Cell]:
    """Leave out what a cell reads from itself or a later one: an edited description may have a circle."""
    known: set[str] = set()
    later = {name for cell in cells for name in cell.writes}
    result = []
    for cell in cells:
        reads = tuple(name for name in cell.reads if name in known or name not in later)
        result.append(Cell(cell.kind, cell.before, cell.after, reads, cell.writes))
        known.update(cell.writes)
    return result
