# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""fp16: weights and arithmetic in half precision, by ONNX Runtime's converter.

That converter is derived from the one of onnxconverter-common, which is not used here: it clips weights at 10000
instead of 65504, keeps every Resize in float32 and is one more package, while ONNX Runtime is needed anyway.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import ModelError, printable
from ..progress import ProgressCallback, silent
from .calibration import Calibration
from .decoder import decoder_of
from .graph import (
    add_metadata,
    load_model,
    name_nodes,
    opset_of,
    read_record,
    reads,
    rename_reads,
    require_finite,
    save_model,
    sort_nodes,
)
from .half_arithmetic import LARGEST, overflowing

SMALLEST_SUBNORMAL = 2.0**-24
_HALF_QDQ_OPSET = 19
# The names of tensors by ONNX Runtime's converter, and by that of onnxconverter-common.
_OF_CONVERTER = re.compile(r'graph_(input|output)_cast_\d+|.*_cast_to_fp(16|32)', re.DOTALL)
_CONVERTING = 'converting to float16'
_CONVERTING_REST = 'converting the float layers to float16'


@dataclass(frozen=True)
class Fp16Report:
    """The result of the conversion.

    kept_float: nodes that stay in float32
    clipped: constants with values beyond 65504, now clipped to it; name -> number of such values
    vanished: constants with values below the smallest half, now 0 or that half; name -> number of such values
    overflowing: nodes that stay in float32 because their result exceeds 65504; name -> its largest value
    """

    kept_float: tuple[str, ...]
    clipped: dict[str, int] = field(default_factory=dict)
    vanished: dict[str, int] = field(default_factory=dict)
    overflowing: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the record for the file's metadata."""
        return {
            'precision': 'fp16', 'method': 'onnxruntime.transformers.float16', 'kept_float': list(self.kept_float),
            'clipped': self.clipped, 'vanished': self.vanished,
            'overflowing': self.overflowing}


def to_fp16(
    onnx_path: str | Path, out_path: str | Path, keep_io: bool = True, keep_float: Collection[str] | None = None,
    calibration: Calibration | None = None, progress: ProgressCallback = silent,
) -> Fp16Report:
    """Write an ONNX file that computes in float16.

    keep_io: input and outputs stay float32
    keep_float: names of nodes that stay in float32; None keeps the nodes after the last convolutions, the decoding of a
        detection head: half precision has steps of 0.5 between 512 and 1024, too coarse for pixels
    calibration: samples to find results beyond 65504; such nodes stay in float32 too

    Weights that would become infinite are clipped and reported. Raises ModelError if the file is not ONNX, is not a
    float32 model, or cannot be converted; with samples also the errors of `overflowing`; and what `progress` raises.
    """
    progress('reading the model', 0, None)
    source = load_model(Path(onnx_path))
    if not any(tensor.data_type == 1 for tensor in source.graph.initializer):
        raise ModelError(f'{onnx_path} has no float32 weights: expected a float32 model to convert to fp16')
    if any(node.op_type in ('QuantizeLinear', 'DequantizeLinear') for node in source.graph.node):
        raise ModelError(f'{onnx_path} is an int8 model: expected the float32 model to convert to fp16')
    require_finite(source, Path(onnx_path).name)
    names = {node.name for node in source.graph.node}
    unknown = set(keep_float or ()) - names
    if unknown:
        raise ModelError(
            f"{onnx_path} has no node '{sorted(unknown)[0]}': expected names of its nodes to keep in float32")
    kept = set(decoder_of(source.graph).nodes if keep_float is None else keep_float)
    too_large = overflowing(source, calibration, progress) if calibration is not None else {}
    # Nodes that read such a result must read it in float32.
    results = {name for node in source.graph.node if node.name in too_large for name in node.output}
    kept |= {node.name for node in source.graph.node if node.name in too_large or results & set(node.input)}
    progress(_CONVERTING, 0, None)
    converted = half(source, keep_io, kept)
    progress(_CONVERTING, 0, None)
    clipped, vanished = _lost(source.graph, converted.graph)
    report = Fp16Report(
        tuple(node.name for node in source.graph.node if node.name in kept), clipped, vanished, too_large)
    add_metadata(converted, source, report.as_dict())
    progress(_CONVERTING, 0, None)
    save_model(converted, Path(out_path))
    return report


def halve_rest(int8_path: str | Path, out_path: str | Path, progress: ProgressCallback = silent) -> None:
    """Write an int8 file of `int8.quantize` with its float layers in float16, except the decoding of a detection head.

    For strongly typed TensorRT (10 and newer, TensorRT for RTX): it would run the float layers in float32. The result
    has opset 19, the first in which QuantizeLinear accepts halves. Raises ModelError if the file cannot be converted
    to it, and what `progress` raises.
    """
    progress(_CONVERTING_REST, 0, None)
    source = load_model(Path(int8_path))
    record = read_record(Path(int8_path))
    if record.get('precision') != 'int8':
        raise ModelError(f'{int8_path} was not made int8 by this package: expected the output of quantize')
    onnx = require('onnx')
    raised = source
    if opset_of(source) < _HALF_QDQ_OPSET:
        try:
            raised = onnx.version_converter.convert_version(source, _HALF_QDQ_OPSET)
        except Exception as error:  # the converter's C++ exceptions
            raise ModelError(
                f'{int8_path} cannot be converted to opset {_HALF_QDQ_OPSET}: '
                f'{" ".join(str(error).split())[:300]}') from error
        name_nodes(raised.graph)
    progress(_CONVERTING_REST, 0, None)
    converted = half(raised, True, decoder_of(raised.graph).nodes)
    progress(_CONVERTING_REST, 0, None)
    add_metadata(converted, source, {**record, 'rest': 'fp16'})
    save_model(converted, Path(out_path))


def half(source: Any, keep_io: bool, kept: Collection[str]) -> Any:
    """Return the model in float16, except the nodes `kept`."""
    float16 = _converter()
    _require_not_converted(source.graph)
    copy = type(source)()
    copy.CopyFrom(source)
    try:
        result = float16.convert_float_to_float16(copy, keep_io_types=keep_io, node_block_list=sorted(kept))
    except Exception as error:  # asserts, ValueErrors and onnx's C++ exceptions
        raise ModelError(f'the model cannot be converted to fp16: {" ".join(str(error).split())[:300]}') from error
    own = {node.name for node in source.graph.node}
    _read_floats_in_bodies(result.graph, set(kept), own)
    _drop_round_trips(result.graph, own)
    sort_nodes(result.graph)
    return result


def _require_not_converted(graph: Any) -> None:
    """Raise ModelError if the converter has made tensors of the graph: it would give new ones the same names."""
    made = next((name for node in graph.node for name in node.output if _OF_CONVERTER.fullmatch(name)), None)
    if made is not None:
        raise ModelError(
            f"the model was converted to fp16 before, in part (its tensor '{printable(made)}'): expected the float32 "
            'model from which it was made')


def _converter() -> Any:
    # The import adds ONNX Runtime's folder to sys.path. It must stay there: ONNX Runtime's quantiser then relies on it.
    require('onnxruntime')
    return require('onnxruntime.transformers.float16')


def _read_floats_in_bodies(graph: Any, kept: Collection[str], own: Collection[str]) -> None:
    """Let the branches of a float32 If, and the body of a Loop, read float32: the converter casts only a node's inputs.

    own: names of the model's own nodes
    """
    halves = {value.name for value in graph.value_info if value.type.tensor_type.elem_type == 10}
    halves |= {tensor.name for tensor in graph.initializer if tensor.data_type == 10}
    producers = {name: node for node in graph.node for name in node.output}
    casts = {}
    for node in [node for node in graph.node if node.name in kept]:
        renamed = {}
        for name in halves & set(reads(node)):
            cast = producers.get(name)
            if cast is not None and cast.name not in own and _casts_to(cast, 10):
                renamed[name] = cast.input[0]
            else:
                renamed[name] = f'{name}_float_in_body'
                casts[name] = renamed[name]
        rename_reads(node, renamed)
    make_node = require('onnx').helper.make_node
    graph.node.extend(make_node('Cast', [name], [after], after, to=1) for name, after in sorted(casts.items()))


def _drop_round_trips(graph: Any, own: Collection[str]) -> None:
    """Remove the converter's casts to half and back between two float32 nodes: they lose the precision.

    own: names of the model's own nodes: the input of the model's own cast may have another type than float32
    """
    producers = {name: node for node in graph.node for name in node.output}
    renamed = {}
    for node in graph.node:
        if not _casts_to(node, 1):
            continue
        before = producers.get(node.input[0])
        if before is None or before.name in own:
            continue
        if _casts_to(before, 10) and producers.get(before.input[0]) is not None:
            renamed[node.output[0]] = before.input[0]
    outputs = {value.name for value in graph.output}
    for node in graph.node:
        rename_reads(node, renamed)
    for node in graph.node:
        # A graph's output keeps its name, so its Cast becomes an Identity of the float32 result.
        if node.output and node.output[0] in renamed and node.output[0] in outputs:
            node.op_type = 'Identity'
            node.input[0] = renamed[node.output[0]]
            del node.attribute[:]
    _drop_unread(graph)


def _casts_to(node: Any, kind: int) -> bool:
    return node.op_type == 'Cast' and any(a.name == 'to' and a.i == kind for a in node.attribute)


def _drop_unread(graph: Any) -> None:
    """Remove casts whose result is not read any more."""
    while True:
        read = {name for node in graph.node for name in reads(node)} | {value.name for value in graph.output}
        kept = [node for node in graph.node if node.op_type != 'Cast' or any(name in read for name in node.output)]
        if len(kept) == len(graph.node):
            return
        kept = [type(node).FromString(node.SerializeToString()) for node in kept]
        del graph.node[:]
        graph.node.extend(kept)


def _lost(before: Any, after: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Count the values of each constant that half precision cannot hold."""
    to_array = require('onnx').numpy_helper.to_array
    halves = {tensor.name for tensor in after.initializer if tensor.data_type == 10}
    clipped: dict[str, int] = {}
    vanished: dict[str, int] = {}
    for tensor in before.initializer:
        if tensor.name not in halves or tensor.data_type != 1:
            continue
        absolute = np.abs(to_array(tensor))
        _count(clipped, tensor.name, (absolute > LARGEST) & np.isfinite(absolute))
        _count(vanished, tensor.name, (absolute > 0) & (absolute < SMALLEST_SUBNORMAL))
    return clipped, vanished


def _count(counts: dict[str, int], name: str, found: Sequence[bool] | np.ndarray) -> None:
    number = int(np.sum(found))
    if number:
        counts[name] = number
