# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The form of an int8 model that ONNX Runtime computes in int8 on a CPU. OpenVINO computes it in int8 too.

ONNX Runtime's CPU provider computes a layer in int8 only if the layer's output is quantised too. Between two int8
layers the arithmetic must be int8 as well: a SiLU in float needs two conversions of a tensor, which take longer than
int8 saves in the layer. So the outputs of int8 layers are quantised, and the operators between them. Activations are
uint8 with a zero point: behind a ReLU or a SiLU nearly all values are positive, and kernels for x86-64 read uint8.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .quantizer import CPU_SETTINGS, quantised
from .ranges import Histogram, represented

# Operators that ONNX Runtime's CPU provider computes on uint8, and the number of their inputs that are activations
# (None: all of them). Their other inputs are sizes, axes and bounds.
_CARRIERS: Mapping[str, int | None] = {
    'Add': None, 'AveragePool': 1, 'Clip': 1, 'Concat': None, 'Flatten': 1, 'GlobalAveragePool': 1, 'LeakyRelu': 1,
    'MaxPool': 1, 'Mul': None, 'Relu': 1, 'Reshape': 1, 'Resize': 1, 'Sigmoid': 1, 'Split': 1, 'Squeeze': 1,
    'Transpose': 1, 'Unsqueeze': 1}
# The range of a layer's quantised output does their work, whatever reads it.
_FREE = ('Clip', 'Relu')
# Below this value x * sigmoid(x) is 0 within 0.003, so smaller values of x need no steps of their own.
_SILU_IS_ZERO = -8.0


@dataclass(frozen=True)
class CpuForm:
    """The `Form` (form.py) for CPUs.

    weight_bits: 7 for CPUs whose int8 arithmetic saturates (ort/saturation.py), otherwise 8
    """

    weight_bits: int = 8

    @property
    def identity(self) -> dict[str, Any]:
        """What distinguishes the file from one of the usual form."""
        return {'form': 'cpu', 'weight_bits': self.weight_bits}

    def tensors(self, model: Any, layers: Collection[str]) -> list[str]:
        """Return the names of the tensors that are quantised if these layers are int8."""
        int8 = {*layers, *carriers(model, layers)}
        return list(dict.fromkeys(
            name for node in model.graph.node if node.name in int8 for name in (*_activations(node), *node.output)))

    def insert(
        self, model: Any, seen: Mapping[str, Histogram], thresholds: Mapping[str, float], layers: Collection[str],
    ) -> Any:
        """Return a copy of the float model with these layers and the operators between them in int8; ModelError."""
        silu = set(_read_by_silu_only(model.graph.node))
        ranges = {}
        for name in self.tensors(model, layers):
            low, high = represented(seen[name], thresholds[name])
            ranges[name] = max(low, _SILU_IS_ZERO) if name in silu else low, high
        return quantised(
            model, ranges, (*layers, *carriers(model, layers)), CPU_SETTINGS, _CARRIERS, self.weight_bits < 8)


def carriers(model: Any, layers: Collection[str]) -> list[str]:
    """Return the names of the nodes that carry uint8 from int8 layers, or from the input, to int8 layers."""
    graph = model.graph
    int8 = [node for node in graph.node if node.name in layers]
    made = {name for node in int8 for name in node.output}
    computed = {value.name for value in graph.input} | {name for node in graph.node for name in node.output}
    reached = made | {value.name for value in graph.input}
    carrying = []
    for node in graph.node:
        names = _activations(node)
        if node.op_type in _CARRIERS and computed.issuperset(names) and not reached.isdisjoint(names):
            reached.update(node.output)
            carrying.append(node)
    wanted = {node.input[0] for node in int8}
    kept = []
    for node in reversed(carrying):
        if not wanted.isdisjoint(node.output) or (node.op_type in _FREE and node.input[0] in made):
            wanted.update(_activations(node))
            kept.append(node.name)
    return kept[::-1]


def _activations(node: Any) -> Sequence[str]:
    """The inputs that are activations: of a layer with weights the first one."""
    return list(node.input[:_CARRIERS.get(node.op_type, 1)])


def _read_by_silu_only(nodes: Collection[Any]) -> Iterator[str]:
    """Yield the tensors x of which a graph reads only x * sigmoid(x)."""
    readers: dict[str, list[Any]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for node in nodes:
        if node.op_type == 'Sigmoid' and all(
                reader is node or (reader.op_type == 'Mul' and node.output[0] in reader.input)
                for reader in readers[node.input[0]]) and len(readers.get(node.output[0], ())) == 1:
            yield node.input[0]
