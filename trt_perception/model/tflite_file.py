# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads a .tflite file's input, outputs and metadata, without LiteRT. Every offset in the file is checked.

The schema is that of TensorFlow Lite (https://github.com/google-ai-edge/LiteRT, schema.fbs, Apache-2.0).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import ModelError, printable, reason
from .flatbuffer import DamagedError, Table
from .metadata_names import read_metadata_names
from .onnx_file import OnnxSummary, layout_of, metadata_end_to_end, metadata_size
from .quantised_pixels import implied_preprocessing, is_of_ultralytics
from .tflite_metadata import TfliteMetadata, read_metadata
from .tflite_operators import operator_name

# Fields of the schema's tables, by their index.
_CODES, _SUBGRAPHS, _DESCRIPTION, _BUFFERS, _METADATA = 1, 2, 3, 4, 6
_TENSORS, _SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS, _OPERATORS = 0, 1, 2, 3
_SHAPE, _TYPE, _BUFFER, _NAME, _QUANTIZATION, _SIGNATURE = 0, 1, 2, 3, 4, 7
_SCALE, _ZERO_POINT = 2, 3
_CODE_OLD, _CODE_CUSTOM, _CODE = 0, 1, 3
_OPERATOR_CODE, _OPERATOR_INPUTS, _OPERATOR_OUTPUTS = 0, 1, 2
_CUSTOM = 32
# The enum TensorType.
_TYPES = {
    0: 'float32', 1: 'float16', 2: 'int32', 3: 'uint8', 4: 'int64', 5: 'string', 6: 'bool', 7: 'int16', 8: 'complex64',
    9: 'int8', 10: 'float64', 12: 'uint64', 15: 'uint32', 16: 'uint16', 17: 'int4', 18: 'bfloat16', 19: 'int2'}
_QUANTIZED = {'uint8', 'int8', 'int16'}
# Operators that keep the range of the values, so the operator before them decides.
_TRANSPARENT = frozenset({'RESHAPE', 'SQUEEZE', 'EXPAND_DIMS', 'TRANSPOSE', 'QUANTIZE', 'DEQUANTIZE', 'CAST', 'MEAN'})
# The outputs of layers without an upper bound are logits.
_ACTIVATIONS = {'SOFTMAX': 'softmax', 'LOGISTIC': 'sigmoid', 'FULLY_CONNECTED': 'softmax', 'CONV_2D': 'softmax'}
_LARGEST = (1 << 31) - 1
_LARGEST_METADATA = 16 << 20


@dataclass(frozen=True)
class TfliteTensor:
    """A tensor of the graph. shape: 0 for a dynamic dimension; scale: 0 if it is not quantised by one number."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    stored: bool

    @property
    def is_quantised(self) -> bool:
        """Whether its numbers stand for others."""
        return self.scale > 0 and self.dtype in _QUANTIZED


@dataclass(frozen=True)
class TfliteGraph:
    """The first subgraph of a file.

    operators: (name, indices of inputs, indices of outputs)
    """

    tensors: tuple[TfliteTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    description: str
    metadata: TfliteMetadata = field(default_factory=lambda: TfliteMetadata({}))
    bytes: int = 0

    def element_types(self) -> dict[str, str]:
        """Return the element type of each output as a backend gives it: float32 if it is quantised."""
        return {
            name: 'float32' if tensor.is_quantised else tensor.dtype
            for name, tensor in zip(self.output_names(), (self.tensors[index] for index in self.outputs))}

    def output_names(self) -> list[str]:
        """Return the names of the outputs; a name that occurs again gets its number (litert.backend.unique_names)."""
        names = [self.tensors[index].name for index in self.outputs]
        return [name if name not in names[:index] else f'{name}#{index}' for index, name in enumerate(names)]

    def activation_of(self, output: str) -> str:
        """Return the activation of a classifier's output: 'sigmoid', 'softmax' (also for logits), or '' if unknown."""
        makers = {index: (name, inputs) for name, inputs, made in self.operators for index in made}
        index = self.outputs[self.output_names().index(output)]
        for _ in range(len(makers)):
            name, inputs = makers.get(index, ('', ()))
            if name not in _TRANSPARENT or not inputs:
                return _ACTIVATIONS.get(name, '')
            index = inputs[0]
        return ''

    def operator_counts(self) -> Counter[str]:
        """Return how often each operator occurs."""
        return Counter(name for name, _, _ in self.operators)

    def parameters(self) -> int:
        """Return the number of stored weights, in floating point or 8 bits."""
        return sum(
            int(np.prod(tensor.shape, dtype=np.int64)) for tensor in self.tensors
            if tensor.stored and tensor.dtype in ('float32', 'float16', 'int8', 'uint8'))

    def stored_precision(self) -> str:
        """Return fp32, fp16 or int8: the type of most weights."""
        sizes: Counter[str] = Counter()
        for tensor in self.tensors:
            if tensor.stored:
                sizes[tensor.dtype] += int(np.prod(tensor.shape, dtype=np.int64))
        kinds = {
            'fp32': sizes['float32'], 'fp16': sizes['float16'],
            'int8': sum(sizes[kind] for kind in ('int8', 'uint8', 'int4', 'int16'))}
        return max(kinds, key=lambda kind: kinds[kind])


def read_graph(data: bytes, name: str) -> TfliteGraph:
    """Return the graph of a file's bytes; ModelError, which calls the file `name`, if it is damaged."""
    try:
        return _graph(data, name)
    except DamagedError as error:
        raise ModelError(
            f'{name} is damaged: expected a TensorFlow Lite model, found an offset outside of the file ({error}); copy '
            'or export it again') from error


def read_content(path: Path) -> bytes:
    """Return the bytes of a .tflite file; ModelError if it cannot be read or is above 2 GB."""
    try:
        if path.stat().st_size > _LARGEST:
            raise ModelError(f'{path} has more than 2 GB: expected a TensorFlow Lite model, which is smaller')
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f'{path} cannot be read: {reason(error)}') from error


def read_tflite(path: Path) -> OnnxSummary:
    """Read the file. Raises ModelError if the model cannot run on images."""
    data = read_content(path)
    graph = read_graph(data, path.name)
    if len(graph.inputs) != 1:
        shown = ', '.join(_show(graph.tensors[index]) for index in graph.inputs)
        raise ModelError(f'{path.name} has {len(graph.inputs)} inputs ({shown}): expected one image input')
    tensor = graph.tensors[graph.inputs[0]]
    if tensor.dtype not in ('float32', 'uint8') and not tensor.is_quantised:
        raise ModelError(
            f'{path.name} has the input {_show(tensor)}: expected float32, uint8, or quantised int8, uint8 or int16')
    layout = layout_of(tensor.shape)
    if layout is None:
        raise ModelError(
            f'{path.name} has the input {_show(tensor)}: expected an image, [1, height, width, 3] or '
            '[1, 3, height, width] (or 1 channel)')
    if tensor.shape[0] > 1:
        raise ModelError(
            f'{path.name} has the fixed batch size {tensor.shape[0]} (input {_show(tensor)}): export it with batch '
            'size 1 or with a dynamic batch')
    channels, height, width = tensor.shape[1:] if layout == 'nchw' else (
        tensor.shape[3], tensor.shape[1], tensor.shape[2])
    metadata = dict(graph.metadata.values)
    if tensor.is_quantised:
        metadata.update(implied_preprocessing(metadata, tensor.dtype, tensor.scale, tensor.zero_point))
    uint8 = tensor.dtype == 'uint8' and not tensor.is_quantised
    return OnnxSummary(
        path=path, sha256=hashlib.sha256(data).hexdigest(), input_name=tensor.name,
        input_dtype=np.dtype(np.uint8 if uint8 else np.float32), layout=layout, width=width, height=height,
        channels=channels, dynamic_batch=tensor.shape[0] == 0, names=read_metadata_names(metadata).names,
        metadata=metadata, metadata_size=metadata_size(metadata), end_to_end=metadata_end_to_end(metadata),
        declared_outputs=tuple(zip(graph.output_names(), (graph.tensors[index].shape for index in graph.outputs))),
        stored_precision=graph.stored_precision(), tflite=graph,
        has_fractions=True if is_of_ultralytics(metadata) else None)


def _graph(data: bytes, name: str) -> TfliteGraph:
    model = Table.root(data)
    subgraphs = list(model.tables(_SUBGRAPHS))
    if not subgraphs:
        raise ModelError(f'{name} contains no graph: expected a TensorFlow Lite model; copy or export it again')
    buffers = list(model.tables(_BUFFERS))
    codes = [_code(code) for code in model.tables(_CODES)]
    subgraph = subgraphs[0]
    tensors = tuple(_tensor(tensor, buffers) for tensor in subgraph.tables(_TENSORS))
    inputs, outputs = (
        tuple(subgraph.numbers(place, '<i4').tolist()) for place in (_SUBGRAPH_INPUTS, _SUBGRAPH_OUTPUTS))
    operators = []
    for operator in subgraph.tables(_OPERATORS):
        code = operator.number(_OPERATOR_CODE, 'I')
        if code >= len(codes):
            raise DamagedError(f'operator {code} of {len(codes)}')
        operators.append((
            codes[code], tuple(operator.numbers(_OPERATOR_INPUTS, '<i4').tolist()),
            tuple(operator.numbers(_OPERATOR_OUTPUTS, '<i4').tolist())))
    used = [*inputs, *outputs, *(index for _, *lists in operators for indices in lists for index in indices)]
    # -1 is an optional input that is missing.
    if any(not -1 <= index < len(tensors) for index in used) or min((*inputs, *outputs, 0)) < 0:
        raise DamagedError(f'a tensor beside the {len(tensors)} of the graph')
    if not outputs:
        raise ModelError(f'{name} has no outputs: expected a network; export it again')
    return TfliteGraph(
        tensors, inputs, outputs, tuple(operators), model.text(_DESCRIPTION),
        read_metadata(data, _metadata_buffer(model, buffers)), len(data))


def _code(code: Table) -> str:
    # Old files have the operator in a field of one byte.
    number = max(code.number(_CODE_OLD, 'b'), code.number(_CODE, 'i'))
    return printable(code.text(_CODE_CUSTOM)) if number == _CUSTOM else operator_name(number)


def _tensor(tensor: Table, buffers: list[Table]) -> TfliteTensor:
    shape = tensor.numbers(_SHAPE, '<i4').tolist()
    signature = tensor.numbers(_SIGNATURE, '<i4').tolist()
    if len(signature) == len(shape):
        shape = [size if known >= 0 else 0 for size, known in zip(shape, signature)]
    if any(size < 0 for size in shape):
        raise DamagedError(f'a tensor of the shape {shape}')
    buffer = tensor.number(_BUFFER, 'I')
    if buffer >= len(buffers):
        raise DamagedError(f'buffer {buffer} of {len(buffers)}')
    # A buffer may be empty, or lie behind the FlatBuffer (offset and size).
    stored = buffer > 0 and (buffers[buffer].length(0) > 0 or buffers[buffer].number(2, 'Q') > 0)
    quantization = tensor.table(_QUANTIZATION)
    scales = quantization.numbers(_SCALE, '<f4') if quantization else np.empty(0)
    zeros = quantization.numbers(_ZERO_POINT, '<i8') if quantization else np.empty(0)
    scale = float(scales[0]) if len(scales) == 1 and np.isfinite(scales[0]) else 0.0
    kind = tensor.number(_TYPE, 'b')
    return TfliteTensor(
        tensor.text(_NAME), _TYPES.get(kind, f'type {kind}'), tuple(shape), scale,
        int(zeros[0]) if len(zeros) == 1 else 0, stored)


def _metadata_buffer(model: Table, buffers: list[Table]) -> bytes:
    for entry in model.tables(_METADATA):
        index = entry.number(1, 'I')
        if entry.text(0) == 'TFLITE_METADATA' and index < len(buffers):
            return buffers[index].bytes_of(0, _LARGEST_METADATA)
    return b''


def _show(tensor: TfliteTensor) -> str:
    return f'{printable(tensor.name[:80])} {tensor.dtype} {[size or "?" for size in tensor.shape]}'.replace("'", '')
