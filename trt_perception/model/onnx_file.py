# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads an ONNX file's input, outputs and metadata."""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import EngineError, ModelError, one_line
from .onnx_skeleton import read_skeleton
from .onnx_tensors import all_tensors

_EXPORT_HINTS = {
    '.pt': 'python export.py --weights {name} --include onnx (YOLOv5), or yolo export model={name} format=onnx',
    '.pth': 'export it with torch.onnx.export first (models/README.md)',
    '.engine': 'give the ONNX file it was built from',
    '.plan': 'give the ONNX file it was built from',
    '.tflite': 'export the original model to ONNX',
}
_DTYPES: dict[int, np.dtype] = {1: np.dtype(np.float32), 2: np.dtype(np.uint8), 10: np.dtype(np.float16)}
_CHUNK = 1 << 20


@dataclass(frozen=True)
class OnnxSummary:
    """One ONNX file. `width` and `height` are 0 if they are dynamic.

    stored_precision: fp32, fp16 or int8, from the weights and the Q/DQ nodes of the graph
    end_to_end: whether the graph includes NMS, None if unknown
    metadata_size: (width, height) from the exporter's metadata, None if missing
    """

    path: Path
    sha256: str
    input_name: str
    input_dtype: np.dtype
    layout: str
    width: int
    height: int
    channels: int
    dynamic_batch: bool
    names: tuple[str, ...]
    metadata: dict[str, str]
    metadata_size: tuple[int, int] | None
    end_to_end: bool | None
    declared_outputs: tuple[tuple[str, tuple[int, ...]], ...]
    stored_precision: str
    proto: Any = field(repr=False, compare=False, default=None)


def load_proto(path: Path, weights: bool = True) -> Any:
    """Return the onnx.ModelProto without its external data. Raises ModelError if the file is not ONNX.

    weights: False omits the values of large initializers (onnx_skeleton.py)
    """
    onnx = require('onnx')
    if not path.exists():
        raise ModelError(f'no model file at {path}: expected an ONNX file; check model_file')
    if path.is_dir():
        raise ModelError(f'{path} is a folder: expected an ONNX file')
    if not path.is_file():
        raise ModelError(f'{path} is a pipe or a device: expected an ONNX file')
    hint = _EXPORT_HINTS.get(path.suffix.lower())
    if hint:
        raise ModelError(
            f'{path.name} is not an ONNX file: {hint.format(name=path.name)}')
    try:
        with path.open('rb') as file:
            start = file.read(64)
    except OSError as error:
        raise ModelError(f'{path} cannot be read: {error.strerror or error}') from error
    if not start:
        raise ModelError(f'{path} is empty: expected an ONNX file; copy or export it again')
    if start.startswith(b'version https://git-lfs'):
        raise ModelError(f'{path} is a Git LFS pointer, not the model: run git lfs pull')
    proto = None if weights else _skeleton(onnx, path)
    if proto is not None:
        return proto
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except MemoryError:
        raise  # Does not mean that the file is damaged.
    except Exception as error:  # protobuf's exception types differ between versions
        reason = one_line(error, 200) or type(error).__name__
        raise ModelError(
            f'{path} cannot be read as ONNX ({reason}): the file is damaged or not an ONNX file; copy or export it '
            'again') from error
    if not proto.graph.node or not proto.graph.output:
        raise ModelError(f'{path} contains no graph: expected an ONNX file; copy or export it again')
    return proto


def _skeleton(onnx: Any, path: Path) -> Any | None:
    """Return None if onnx.load must read the file: another format, or damaged (onnx.load gives the better error)."""
    try:
        proto = onnx.ModelProto.FromString(read_skeleton(path))
    except MemoryError:
        raise
    except Exception:
        return None
    return proto if proto.graph.node and proto.graph.output else None


def read_onnx(path: Path) -> OnnxSummary:
    """Read the file. Raises ModelError if the model cannot run on images."""
    proto = load_proto(path, weights=False)
    graph = proto.graph
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise ModelError(
            f'{path.name} has {len(inputs)} inputs ({", ".join(_show(v) for v in inputs)}): expected '
            'one image input')
    value = inputs[0]
    shape = _shape(value)
    dtype = _DTYPES.get(value.type.tensor_type.elem_type)
    if dtype is None:
        raise ModelError(
            f'{path.name} has the input {_show(value)}: expected float32, float16 or uint8')
    layout = _layout(shape)
    if layout is None:
        raise ModelError(
            f'{path.name} has the input {_show(value)}: expected an image, [1, 3, height, width] or '
            '[1, height, width, 3] (or 1 channel)')
    if shape[0] > 1:
        raise ModelError(
            f'{path.name} has the fixed batch size {shape[0]} (input {_show(value)}): export it with '
            'batch size 1 or with a dynamic batch')
    channels, height, width = shape[1:] if layout == 'nchw' else (shape[3], shape[1], shape[2])
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    return OnnxSummary(
        path=path, sha256=sha256_of(path, proto), input_name=value.name, input_dtype=dtype,
        layout=layout, width=width, height=height, channels=channels,
        dynamic_batch=shape[0] == 0, names=metadata_names(metadata), metadata=metadata,
        metadata_size=_metadata_size(metadata), end_to_end=_end_to_end(graph, metadata),
        declared_outputs=tuple((v.name, _shape(v)) for v in graph.output),
        stored_precision=_stored_precision(proto), proto=proto)


def output_shapes(
    summary: OnnxSummary, width: int, height: int,
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Return the name and shape of each output at this input size and batch 1.

    Dynamic shapes are inferred; if that fails, the model is run once to get them.
    """
    known = summary.declared_outputs
    if all(shape and 0 not in shape for _, shape in known):
        return known
    proto = _with_fixed_input(summary, width, height)
    onnx = require('onnx')
    try:
        inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
        known = tuple((v.name, _shape(v)) for v in inferred.graph.output)
    except Exception:
        known = summary.declared_outputs
    if all(shape and 0 not in shape for _, shape in known):
        return known
    return _shapes_by_running(summary, width, height)


def metadata_names(metadata: dict[str, str]) -> tuple[str, ...]:
    """Return the class names in the exporter's `names` entry: a JSON or Python dict or list, as from Ultralytics."""
    text = metadata.get('names', '')
    if not text:
        return ()
    try:
        value = json.loads(text)
    except ValueError:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return ()
    if isinstance(value, dict):
        try:
            by_index = {int(key): name for key, name in value.items()}
            # A gap would shift the names of all classes after it.
            value = [by_index[index] for index in range(len(value))]
        except (TypeError, ValueError, KeyError):
            return ()
    if not isinstance(value, (list, tuple)):
        return ()
    return tuple(str(name) for name in value)


def sha256_of(path: Path, proto: Any = None) -> str:
    """Return the SHA-256 over the file, then over its external data files, sorted by name."""
    digest = hashlib.sha256()
    _digest_file(digest, path)
    if proto is None:
        proto = load_proto(path, weights=False)
    locations = sorted({
        entry.value for tensor in all_tensors(proto) for entry in tensor.external_data
        if entry.key == 'location'})
    for location in locations:
        data = path.parent / location
        if not data.is_file():
            raise ModelError(
                f'{path.name} has weights in the file {location}, which is missing in {path.parent}: '
                'copy that file too')
        _digest_file(digest, data)
    return digest.hexdigest()


def _digest_file(digest: Any, path: Path) -> None:
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)


def _layout(shape: tuple[int, ...]) -> str | None:
    if len(shape) != 4:
        return None
    if shape[1] in (1, 3):
        return 'nchw'
    return 'nhwc' if shape[3] in (1, 3) else None


def _shape(value: Any) -> tuple[int, ...]:
    """Return the shape, with 0 for each dynamic dimension."""
    return tuple(
        max(0, dim.dim_value) if dim.HasField('dim_value') else 0
        for dim in value.type.tensor_type.shape.dim)


def _show(value: Any) -> str:
    onnx = require('onnx')
    kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    return f'{value.name} {kind} {[d or "?" for d in _shape(value)]}'.replace("'", '')


def _metadata_size(metadata: dict[str, str]) -> tuple[int, int] | None:
    """Return (width, height) from Ultralytics' `imgsz`, '[height, width]'."""
    try:
        height, width = json.loads(metadata['imgsz'])
        return int(width), int(height)
    except (KeyError, ValueError, TypeError, RecursionError):
        return None


def _stored_precision(proto: Any) -> str:
    if any(node.op_type in ('QuantizeLinear', 'QLinearConv', 'ConvInteger') for node in proto.graph.node):
        return 'int8'
    # 10: TensorProto.FLOAT16. Only the weights decide: a float32 input is often cast at once.
    sizes = {10: 0, 1: 0}
    for tensor in all_tensors(proto):
        if tensor.data_type in sizes:
            sizes[tensor.data_type] += int(np.prod(tensor.dims, dtype=np.int64))
    return 'fp16' if sizes[10] > sizes[1] else 'fp32'


def _end_to_end(graph: Any, metadata: dict[str, str]) -> bool | None:
    said = [metadata[key].lower() for key in ('end2end', 'nms') if key in metadata]
    try:
        arguments = ast.literal_eval(metadata.get('args', '{}'))
        if isinstance(arguments, dict) and arguments.get('nms') is True:
            said.append('true')
    except (ValueError, SyntaxError):
        pass
    # Ultralytics' end2end describes the network: it is False for a YOLO11 exported with nms=True, which only its args
    # show. nms=False in args means nothing: YOLOv10 has it too.
    if 'true' in said:
        return True
    if 'false' in said:
        return False
    if any(node.op_type in ('NonMaxSuppression', 'EfficientNMS_TRT') for node in graph.node):
        return True
    return None


def _with_fixed_input(summary: OnnxSummary, width: int, height: int) -> Any:
    onnx = require('onnx')
    proto = onnx.ModelProto()
    proto.CopyFrom(summary.proto)
    dims = (1, summary.channels, height, width) if summary.layout == 'nchw' else (1, height, width, summary.channels)
    for value in proto.graph.input:
        if value.name == summary.input_name:
            for dim, size in zip(value.type.tensor_type.shape.dim, dims):
                dim.Clear()
                dim.dim_value = size
    # Declared symbolic output shapes would override the inferred ones.
    for value in proto.graph.output:
        value.type.tensor_type.ClearField('shape')
    return proto


def _shapes_by_running(
    summary: OnnxSummary, width: int, height: int,
) -> tuple[tuple[str, tuple[int, ...]], ...]:
    from ..ort.backend import OnnxRuntimeBackend
    shape = (1, summary.channels, height, width) if summary.layout == 'nchw' else (1, height, width, summary.channels)
    with OnnxRuntimeBackend(summary.path) as backend:
        try:
            outputs = backend.infer(summary.input_name, np.zeros(shape, summary.input_dtype))
        except EngineError as error:
            hint = '' if summary.width and summary.height else (
                '; set input_size to a size that the network accepts, usually a multiple of 32')
            raise ModelError(f'{summary.path.name} cannot run at {width}x{height}: {error}{hint}') from error
    return tuple((name, tuple(array.shape)) for name, array in outputs.items())
