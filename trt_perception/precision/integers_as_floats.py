# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Quantising and dequantising as arithmetic of floats, for a graph that casts integers to floats or from them.

TensorRT has no uint8 inside of a network, and takes QuantizeLinear with the zero point 0 only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dependencies import require
from ..tensors.quantisation import Quantisation
from .graph import free_name


def integers_of(graph: Any, source: str, result: str, rule: Quantisation) -> list[Any]:
    """Return the nodes that make the integers of the real numbers `source`, as floats; adds their constants.

    As QuantizeLinear does: rounded to the nearest, halves to the even one, and limited to the type.
    rule: with one scale; the graph needs opset 11
    """
    limits = np.iinfo(rule.dtype)
    scale, zero, low, high = (
        _constant(graph, f'{result}_{name}', value) for name, value in (
            ('scale', rule.scales[0]), ('zero', rule.zero_points[0]), ('lowest', limits.min), ('highest', limits.max)))
    steps = [free_name(graph, f'{result}_{name}') for name in ('ratio', 'rounded', 'moved')]
    return [
        _node('Div', [source, scale], steps[0]), _node('Round', [steps[0]], steps[1]),
        _node('Add', [steps[1], zero], steps[2]), _node('Clip', [steps[2], low, high], result)]


def numbers_of(graph: Any, source: str, result: str, rule: Quantisation) -> list[Any]:
    """Return the nodes that make real numbers of the integers `source`, which are floats; adds their constants.

    rule: with one scale
    """
    scale, zero = (
        _constant(graph, f'{result}_{name}', value)
        for name, value in (('scale', rule.scales[0]), ('zero', rule.zero_points[0])))
    moved = free_name(graph, f'{result}_moved')
    return [_node('Sub', [source, zero], moved), _node('Mul', [moved, scale], result)]


def _constant(graph: Any, name: str, value: float) -> str:
    name = free_name(graph, name)
    graph.initializer.append(require('onnx').numpy_helper.from_array(np.array(value, np.float32), name))
    return name


def _node(operator: str, sources: list[str], result: str) -> Any:
    return require('onnx').helper.make_node(operator, sources, [result], name=f'{result}_{operator}')
