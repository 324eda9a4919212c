# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads TensorRT's engine inspector: the layers that the graph became, and the types in which they compute."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ....errors import EngineError

# Spellings of TensorRT 8.6 ("Channel major FP16 format where channel % 8 == 0") and of 10 and 11 ("Half").
_TYPES = (
    ('int8', r'\bint8\b|\bi8\b'), ('fp16', r'\bfp16\b|\bhalf\b|\bfloat16\b'), ('bf16', r'\bbf16\b|\bbfloat16\b'),
    ('fp8', r'\bfp8\b|\be4m3\b'), ('int32', r'\bint32\b'), ('int64', r'\bint64\b'), ('bool', r'\bbool\b'),
    ('uint8', r'\buint8\b'), ('int4', r'\bint4\b'), ('fp4', r'\bfp4\b'), ('fp32', r'\bfp32\b|\bfloat(32)?\b'))
_COMPUTE_TYPES = ('int8', 'fp16', 'bf16', 'fp8', 'tf32', 'fp32')
# One control character separates groups of ONNX nodes, another separates the nodes of a group.
_NODE = re.compile(r'\[ONNX Layer: ([^\]\x00-\x1f]*)\]')
# Kernel names contain the types they multiply, such as ..._tf32f32_tf32f32_f32_...
_TF32 = re.compile(r'tf32')
# Prefixes of layers that TensorRT adds by itself.
_ADDED = ('reformatting', '__myl', '(unnamed', '{foreignnode', 'copy')
_MOVING = ('reformat', 'copy', 'constant', 'shuffle', 'noop', 'no-op', 'slice', 'signal', 'wait', 'shape', 'cast')


@dataclass(frozen=True)
class LayerTensor:
    """An input or output of a layer; `layout` is TensorRT's own text."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    layout: str


@dataclass(frozen=True)
class Layer:
    """One layer of an engine, usually one kernel.

    kind: TensorRT's name of the layer type
    onnx_nodes: names of the nodes of the graph that were fused into it
    compute_type: int8, fp16, tf32, fp32, ...; '' if the layer only moves data or does not report it
    tactic: name of the kernel, '' if TensorRT does not report it
    weights: number of its constants
    multiply_accumulates: number per inference, 0 if the layer does not multiply
    """

    name: str
    kind: str
    onnx_nodes: tuple[str, ...]
    inputs: tuple[LayerTensor, ...]
    outputs: tuple[LayerTensor, ...]
    compute_type: str
    tactic: str
    weights: int
    multiply_accumulates: int


@dataclass(frozen=True)
class PrecisionSummary:
    """The number of layers and of multiply-accumulates by type."""

    layers: Mapping[str, int]
    multiply_accumulates: Mapping[str, int]

    @property
    def precision_effective(self) -> str:
        """The type of most multiply-accumulates, or of most layers if none multiplies; '' if unknown."""
        counts = self.multiply_accumulates or self.layers
        return max(counts, key=lambda kind: counts[kind]) if counts else ''

    def share(self, kind: str) -> float:
        """The fraction, 0..1, of multiply-accumulates (of layers, if none multiplies) in this type."""
        counts = self.multiply_accumulates or self.layers
        total = sum(counts.values())
        return counts.get(kind, 0) / total if total else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return JSON values: type -> layers, multiply_accumulates, share."""
        return {
            kind: {
                'layers': self.layers.get(kind, 0), 'multiply_accumulates': self.multiply_accumulates.get(kind, 0),
                'share': round(self.share(kind), 4)}
            for kind in sorted(set(self.layers) | set(self.multiply_accumulates), key=lambda kind: -self.share(kind))}

    def text(self) -> str:
        """Return 'fp16 (98 % of the arithmetic, 60 layers), fp32 (2 %, 4 layers)', '' if nothing is known."""
        parts = [
            f'{kind} ({100 * entry["share"]:.3g} %, {entry["layers"]} layers)'
            for kind, entry in self.as_dict().items()]
        return ', '.join(parts)


def parse_layers(text: str, node_work: Mapping[str, int] | None = None) -> tuple[Layer, ...]:
    """Read the inspector's JSON of a whole engine, TensorRT 8.6 to 11.

    node_work: multiply-accumulates by name of ONNX node, for layers that do not report their own
    Raises EngineError if the text is not such JSON. In an engine that was built without details, layers have only
    names.
    """
    try:
        # 8.6 writes control characters as they are.
        information = json.loads(text, strict=False)
        described = information['Layers'] if isinstance(information, dict) else information
        if not isinstance(described, list):
            raise TypeError('Layers')
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f"TensorRT's engine inspector gave no list of layers: {text[:100]!r}") from error
    return tuple(_layer(entry, node_work or {}) for entry in described)


def layers_from_records(records: Iterable[Mapping[str, Any]]) -> tuple[Layer, ...]:
    """Return the layers that dataclasses.asdict wrote to a sidecar; EngineError if they are damaged."""
    def text(record: Mapping[str, Any], name: str) -> str:
        return str(_checked(record, name, isinstance(record[name], str)))

    def count(record: Mapping[str, Any], name: str) -> int:
        return int(_checked(record, name, is_count(record[name])))

    def many(record: Mapping[str, Any], name: str, kind: type) -> tuple[Any, ...]:
        # asdict keeps tuples, JSON turns them into lists.
        values = record[name]
        return tuple(_checked(
            record, name, isinstance(values, (list, tuple)) and all(isinstance(value, kind) for value in values)))

    def tensors(record: Mapping[str, Any], name: str) -> tuple[LayerTensor, ...]:
        return tuple(
            LayerTensor(text(entry, 'name'), text(entry, 'dtype'), many(entry, 'shape', int), text(entry, 'layout'))
            for entry in many(record, name, dict))

    try:
        return tuple(
            Layer(
                text(record, 'name'), text(record, 'kind'), many(record, 'onnx_nodes', str), tensors(record, 'inputs'),
                tensors(record, 'outputs'), text(record, 'compute_type'), text(record, 'tactic'),
                count(record, 'weights'), count(record, 'multiply_accumulates'))
            for record in records)
    except (KeyError, TypeError) as error:
        raise EngineError(f'the layers kept beside the engine are damaged ({error}): build it again') from error


def _checked(record: Mapping[str, Any], name: str, right: bool) -> Any:
    if not right:
        raise TypeError(f'{name} is {str(record[name])[:50]!r}')
    return record[name]


def is_count(value: Any) -> bool:
    """Return whether a JSON value is a count: an integer from 0 to 2**63 - 1."""
    # In Python True is an int, and a very large int cannot be printed as a float.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def summarize(layers: Iterable[Layer]) -> PrecisionSummary:
    """Count the layers that compute, and their multiply-accumulates, by type."""
    counts: dict[str, int] = {}
    work: dict[str, int] = {}
    for layer in layers:
        if layer.compute_type:
            counts[layer.compute_type] = counts.get(layer.compute_type, 0) + 1
            if layer.multiply_accumulates:
                work[layer.compute_type] = work.get(layer.compute_type, 0) + layer.multiply_accumulates
    return PrecisionSummary(counts, work)


def precision_shortfall(requested: str, summary: PrecisionSummary) -> str:
    """Return how the engine differs from the requested precision (fp32, fp16, int8), '' if it does not or is unknown.

    fp32: all arithmetic must be fp32. fp16, int8: most of it must be in that type; the graph may fix the rest.
    """
    effective = summary.precision_effective
    if not effective:
        return ''
    if requested == 'fp32':
        other = [kind for kind in summary.as_dict() if kind != 'fp32']
        return f'fp32 was requested, but the engine runs in {summary.text()}' if other else ''
    if effective == requested:
        return ''
    return f'{requested} was requested, but the engine runs mostly in {effective}: {summary.text()}'


def precision_doubt(requested: str, summary: PrecisionSummary) -> str:
    """Return why the engine may not have the requested precision, '' if it certainly has it."""
    if not summary.precision_effective:
        return f'{requested} was requested, but TensorRT does not report the precision of the engine'
    return precision_shortfall(requested, summary)


def _layer(entry: Any, node_work: Mapping[str, int]) -> Layer:
    if not isinstance(entry, dict):
        return Layer(str(entry), '', _nodes_of_name(str(entry)), (), (), '', '', 0, 0)
    name = str(entry.get('Name', ''))
    kind = str(entry.get('LayerType', ''))
    inputs = _tensors(entry.get('Inputs'))
    outputs = _tensors(entry.get('Outputs'))
    tactic = str(entry.get('TacticName', '') or '')
    nodes = tuple(dict.fromkeys(_NODE.findall(str(entry.get('Metadata', '')))))
    if not nodes and kind != 'Constant':  # a Constant has the name of an initializer
        nodes = _nodes_of_name(name)
    work = _work(entry, inputs, outputs) or sum(node_work.get(node, 0) for node in nodes)
    return Layer(
        name, kind, nodes, inputs, outputs, _compute_type(kind, name, inputs, outputs, tactic), tactic,
        _weights(entry), work)


def _tensors(described: Any) -> tuple[LayerTensor, ...]:
    if not isinstance(described, list):
        return ()
    tensors = []
    for entry in described:
        if isinstance(entry, dict):
            layout = str(entry.get('Format/Datatype') or ' '.join(
                str(entry[key]) for key in ('Datatype', 'DataType', 'Format') if key in entry)).rstrip('.')
            tensors.append(LayerTensor(
                str(entry.get('Name', '')), _type_of(layout),
                tuple(int(size) for size in entry.get('Dimensions') or ()), layout))
    return tuple(tensors)


def _type_of(text: str) -> str:
    for kind, pattern in _TYPES:
        if re.search(pattern, text, re.IGNORECASE):
            return kind
    return ''


def _nodes_of_name(name: str) -> tuple[str, ...]:
    """Return the nodes in a layer's name, without metadata: 'Conv_0 + Relu_1', 'PWN(Sigmoid_1, Mul_2)'."""
    if name.lower().startswith(_ADDED):
        return ()
    bare = re.sub(r'\bPWN\b', '', name)
    return tuple(part for part in re.split(r'\s*[+,()]\s*', bare) if part.strip())


def _compute_type(
    kind: str, name: str, inputs: tuple[LayerTensor, ...], outputs: tuple[LayerTensor, ...], tactic: str,
) -> str:
    """Return the type in which the layer computes: the type of its inputs, or else of its outputs."""
    if any(word in kind.lower() for word in _MOVING) or name.lower().startswith('reformatting'):
        return ''
    read = next((tensor.dtype for tensor in inputs if tensor.dtype in _COMPUTE_TYPES), '')
    read = read or next((tensor.dtype for tensor in outputs if tensor.dtype in _COMPUTE_TYPES), '')
    if read == 'fp32' and _TF32.search(tactic):
        return 'tf32'
    return read


def _weights(entry: Mapping[str, Any]) -> int:
    total = 0
    for key in ('Weights', 'Bias'):
        value = entry.get(key)
        if isinstance(value, dict):
            total += int(value.get('Count', 0) or 0)
    return total


def _work(entry: Mapping[str, Any], inputs: tuple[LayerTensor, ...], outputs: tuple[LayerTensor, ...]) -> int:
    """Return the multiply-accumulates of a convolution that reports its parameters, 0 for other layers."""
    kernel, maps, groups = entry.get('Kernel'), entry.get('OutMaps'), int(entry.get('Groups', 1) or 1)
    if not isinstance(kernel, list) or not maps or not inputs or not outputs:
        return 0
    read, written = inputs[0].shape, outputs[0].shape
    if len(read) < 3 or len(written) < 3 or min(*read, *written) < 1:
        return 0
    area = 1
    for size in kernel:
        area *= int(size)
    if 'deconv' in f'{entry.get("LayerType", "")} {entry.get("ParameterType", "")}'.lower():
        return _product(read) * int(maps) // groups * area
    return written[0] * int(maps) * _product(written[2:]) * (read[1] // groups) * area


def _product(sizes: Iterable[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result
