# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The part of an int8 model that ONNX Runtime really computes in int8, read from the graph that it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..model.onnx_file import load_proto
from .cost import multiplications
from .graph import WEIGHTED

# ONNX Runtime's operators for layers with weights, beside those of ONNX in float.
_INT8 = frozenset({
    'ConvInteger', 'DynamicQuantizeMatMul', 'MatMulInteger', 'MatMulIntegerToFloat', 'QGemm', 'QLinearConv',
    'QLinearMatMul'})
_FLOAT = frozenset({*WEIGHTED, 'FusedConv', 'FusedGemm', 'FusedMatMul', 'NhwcFusedConv'})
# What ONNX Runtime appends to the name of a layer that it replaces.
_APPENDED = re.compile(r'(_token_\d+|_nchwc|_nhwc)+$')


@dataclass(frozen=True)
class Executed:
    """The layers with weights, and those of them in int8; int8_share: part of the multiplications, 0..1."""

    int8_layers: int
    layers: int
    int8_share: float

    @property
    def precision_effective(self) -> str:
        """int8 or fp32, in which most of the multiplications are done; '' if unknown."""
        if not self.layers:
            return ''
        return 'int8' if self.int8_share > 0.5 else 'fp32'

    def text(self) -> str:
        """Return 'int8 (81 % of the arithmetic, 8 layers), fp32 (19 %, 5 layers)', '' if nothing is known."""
        rest = ('fp32', 1 - self.int8_share, self.layers - self.int8_layers)
        kinds = sorted((('int8', self.int8_share, self.int8_layers), rest), key=lambda kind: -kind[1])
        return ', '.join(
            f'{name} ({100 * share:.3g} %{"" if index else " of the arithmetic"}, {count} layers)'
            for index, (name, share, count) in enumerate(kinds) if count)


def executed(path: Path, operators: Mapping[str, str]) -> Executed:
    """Return what ONNX Runtime does of the model at `path`.

    operators: OnnxRuntimeBackend.operators
    Raises ModelError if the file cannot be read.
    """
    int8 = [_APPENDED.sub('', name) for name, operator in operators.items() if operator in _INT8]
    count = len(int8) + sum(operator in _FLOAT for operator in operators.values())
    if not int8:
        return Executed(0, count, 0.0)
    cost = multiplications(load_proto(path, weights=False))
    done = sum(cost.get(name, 0) for name in int8)
    # Without names of layers the number of the layers is all that is known.
    return Executed(len(int8), count, done / sum(cost.values()) if done else len(int8) / count)
