# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which convolutions of a graph make the columns of a detector's output: whether its fifth is an objectness.

In a YOLOv8 one convolution makes the box and one all classes. In YOLOX and YOLOv6 the classes begin behind a column of
another one, or of a constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..dependencies import require
from ..tensors.onnx_constants import constants_of
from .onnx_file import shape_of

_BOX = 4
# More operators than the end of any detector has.
_DEEPEST = 200
# Each column of their results comes from all columns.
_MIXING = frozenset({'Conv', 'ConvTranspose', 'Gemm', 'MatMul'})
_RESHAPING = frozenset({'Transpose', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'})


def has_objectness(proto: Any, output: str) -> bool | None:
    """Return whether [1, N, columns] of a graph has the objectness as its fifth column, None if it does not show it.

    proto: an onnx.ModelProto whose input has a fixed size
    """
    try:
        graph = require('onnx').shape_inference.infer_shapes(proto, data_prop=True).graph
    except Exception:  # onnx raises its own, of C++, for graphs that it cannot infer.
        return None
    columns = _Columns(graph)
    fifth, sixth = columns.origin(output, 2, _BOX), columns.origin(output, 2, _BOX + 1)
    if sixth == 0:
        return True
    return False if (fifth, sixth) == (0, 1) else None


class _Columns:
    """Finds the convolutions that make the columns of a tensor, behind operators that keep the columns in order."""

    def __init__(self, graph: Any) -> None:
        self._makers = {name: node for node in graph.node for name in node.output}
        self._shapes = {value.name: shape_of(value) for value in (*graph.value_info, *graph.output, *graph.input)}
        self._constants = constants_of(graph)
        self._shapes.update((name, tuple(tensor.dims)) for name, tensor in self._constants.items())

    def origin(self, name: str, axis: int, column: int, depth: int = 0) -> int | None:
        """Return which column of the result of a convolution becomes this one of a tensor, None if unknown."""
        node, shape = self._makers.get(name), self._shapes.get(name, ())
        if node is None or depth > _DEEPEST or axis >= len(shape):
            return None
        attributes = {value.name: value for value in node.attribute}
        if node.op_type in _MIXING:
            return column
        source = node.input[0] if node.input else ''
        before: int | None = axis
        start: int | None = 0
        if node.op_type == 'Concat':
            # Along another axis it joins the grids, which have the same head.
            if attributes['axis'].i % len(shape) == axis:
                source, start = self._part(node, axis, column)
        elif node.op_type in ('Slice', 'Split'):
            start = self._start(node, attributes, name, axis)
        elif node.op_type in _RESHAPING:
            before = self._axis_before(node, attributes, shape, axis)
        else:
            # Activations, sums, casts, ScatterND: an input of the same shape has the same columns.
            source = next((other for other in node.input if self._shapes.get(other) == shape), '')
        return None if before is None or start is None else self.origin(source, before, column + start, depth + 1)

    def _part(self, node: Any, axis: int, column: int) -> tuple[str, int | None]:
        """Return the input of a Concat that has this column, and what to add to the column for its place there."""
        end = 0
        for part in node.input:
            size = (*self._shapes.get(part, ()), *[0] * (axis + 1))[axis]
            end += size
            if not size or column < end:
                return part, size - end if size else None
        return '', None

    def _start(self, node: Any, attributes: Mapping[str, Any], name: str, axis: int) -> int | None:
        """Return the column of its input where an output of a Slice or Split begins, None if it is unknown."""
        source = self._shapes.get(node.input[0], ())
        if axis >= len(source):
            return None
        if node.op_type == 'Split':
            if attributes['axis'].i % len(source) != axis if 'axis' in attributes else axis != 0:
                return 0
            before = list(node.output)[:list(node.output).index(name)]
            return sum(self._shapes[other][axis] for other in before if other in self._shapes)
        if 'starts' in attributes:
            axes = list(attributes['axes'].ints) if 'axes' in attributes else list(range(len(source)))
            starts, steps = list(attributes['starts'].ints), [1] * len(axes)
        else:
            starts, axes, steps = (
                self._integers(node, place, default)
                for place, default in ((1, []), (3, list(range(len(source)))), (4, [1] * len(source))))
        for start, other, step in zip(starts, axes, steps):
            if other % len(source) == axis:
                return None if step != 1 else max(0, start + source[axis] if start < 0 else start)
        return 0 if starts else None

    def _integers(self, node: Any, place: int, default: list[int]) -> list[int]:
        if place >= len(node.input) or not node.input[place]:
            return default
        tensor = self._constants.get(node.input[place])
        return [] if tensor is None else np.asarray(require('onnx').numpy_helper.to_array(tensor)).ravel().tolist()

    def _axis_before(
        self, node: Any, attributes: Mapping[str, Any], shape: tuple[int, ...], axis: int,
    ) -> int | None:
        """Return the axis that the columns have before a Transpose or a Reshape, None if they are not an axis there."""
        source = self._shapes.get(node.input[0], ())
        if node.op_type == 'Transpose':
            order = list(attributes['perm'].ints) if 'perm' in attributes else list(range(len(shape)))[::-1]
            return order[axis]
        return next((
            before for before, size in enumerate(source)
            if size == shape[axis] and np.prod(source[:before]) == np.prod(shape[:axis])), None)
