# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The types in which a compiled model really computes, read back from OpenVINO."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# OpenVINO's types -> the precision that a user requests.
_PRECISIONS = {'f32': 'fp32', 'bf16': 'fp16', 'f16': 'fp16', 'i8': 'int8', 'u8': 'int8'}
# Layers of the runtime model that multiply by weights. Of others, only MatMul multiplies much.
_WEIGHTED = ('Convolution', 'GroupConvolution', 'Deconvolution', 'FullyConnected', 'MatMul')
# Input, output and constants compute nothing.
_IDLE = ('Const', 'Input', 'Output', 'Parameter', 'Result')


@dataclass(frozen=True)
class ExecutionTypes:
    """The number of layers, and of multiplications, by OpenVINO's name of the type: f32, bf16, f16, i8, u8."""

    layers: Mapping[str, int]
    multiplications: Mapping[str, int]

    def share(self, kind: str) -> float:
        """The fraction, 0..1, of the multiplications (of the layers, if none multiplies) in this type."""
        counts = self.multiplications or self.layers
        total = sum(counts.values())
        return counts.get(kind, 0) / total if total else 0.0

    @property
    def precision_effective(self) -> str:
        """fp32, fp16 or int8, in which most of the multiplications are done; '' if unknown."""
        counts: dict[str, int] = {}
        for kind, count in (self.multiplications or self.layers).items():
            precision = _PRECISIONS.get(kind, kind)
            counts[precision] = counts.get(precision, 0) + count
        return max(counts, key=lambda precision: counts[precision]) if counts else ''

    def text(self) -> str:
        """Return 'bf16 (98 % of the arithmetic, 60 layers), f32 (2 %, 4 layers)', '' if nothing is known."""
        kinds = sorted({*self.layers, *self.multiplications}, key=lambda kind: -self.share(kind))
        return ', '.join(
            f'{kind} ({100 * self.share(kind):.3g} %{"" if index else " of the arithmetic"}, '
            f'{self.layers.get(kind, 0)} layers)' for index, kind in enumerate(kinds))

    def shortfall(self, requested: str) -> str:
        """Return how the model differs from the requested precision, '' if it does not.

        fp32: all multiplications must be in f32. fp16, int8: most of them must be in that type.
        """
        effective = self.precision_effective
        if not effective:
            return f'{requested} was requested, but OpenVINO does not report the types of the layers'
        if requested == 'fp32' and any(kind != 'f32' for kind in self.multiplications):
            return f'fp32 was requested, but OpenVINO runs the model in {self.text()}'
        if requested != effective:
            return f'{requested} was requested, but OpenVINO runs the model mostly in {effective}: {self.text()}'
        return ''


def execution_types(runtime_model: Any) -> ExecutionTypes:
    """Count the layers of CompiledModel.get_runtime_model() and their multiplications by type.

    A layer's type is its runtimePrecision (openvino/runtime/exec_model_info.hpp).
    """
    layers: dict[str, int] = {}
    work: dict[str, int] = {}
    for node in runtime_model.get_ordered_ops():
        information = node.get_rt_info()
        kind, layer = (str(information[name].value) for name in ('runtimePrecision', 'layerType'))
        if layer in _IDLE:
            continue
        layers[kind] = layers.get(kind, 0) + 1
        if layer in _WEIGHTED:
            work[kind] = work.get(kind, 0) + _multiplications(layer, node)
    return ExecutionTypes(layers, {kind: count for kind, count in work.items() if count})


def _multiplications(layer: str, node: Any) -> int:
    """Return the multiplications of one layer at its shapes, 0 if they are dynamic."""
    shapes = [source.get_source_output().get_partial_shape() for source in node.inputs()]
    output = node.get_output_partial_shape(0)
    if len(shapes) < 2 or any(shape.is_dynamic for shape in (*shapes[:2], output)):
        return 0
    data, weights = ([int(size) for size in shape.to_shape()] for shape in shapes[:2])
    result = [int(size) for size in output.to_shape()]
    if layer == 'Deconvolution':
        # Each value of the input is multiplied by the weights of its channel.
        return math.prod(data) * math.prod(weights) // max(1, data[1])
    if layer in ('Convolution', 'GroupConvolution'):
        # Each value of the result needs the weights of one output channel.
        return math.prod(result) * math.prod(weights) // max(1, result[1])
    return math.prod(result) * data[-1]
