# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads an ONNX file's input, outputs and metadata."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import ModelError, one_line, reason
from ..ort.size_inputs import SIZE_INPUTS
from ..tensors.quantisation import Quantisation
from .external_data import external_files, external_tensors, shown
from .file_kinds import LFS_POINTER, START_BYTES, is_tflite, kind_of, kind_of_text
from .heads.families import family_of_inputs
from .metadata_names import read_metadata_names
from .onnx_quantisation import INTEGER_LAYERS, quantised_edges
from .onnx_quantisation import METADATA_KEY as QUANTISATION_KEY
from .onnx_skeleton import read_skeleton
from .onnx_tensors import all_tensors
from .quantised_pixels import implied_preprocessing
from .training_mode import require_inference_mode

_EXPORT_HINTS = {
    '.pt': 'python export.py --weights {name} --include onnx (YOLOv5), or yolo export model={name} format=onnx',
    '.pth': 'export it with torch.onnx.export first (models/README.md)',
    '.engine': 'give the ONNX file it was built from',
    '.plan': 'give the ONNX file it was built from',
}
_DTYPES: dict[int, np.dtype] = {
    1: np.dtype(np.float32), 2: np.dtype(np.uint8), 3: np.dtype(np.int8), 10: np.dtype(np.float16)}
_CHUNK = 1 << 20
# onnx.load reads these as text.
_TEXT_FORMATS = ('.textproto', '.prototxt', '.pbtxt', '.json', '.onnxjson', '.onnxtxt', '.onnxtext')


@dataclass(frozen=True)
class OnnxSummary:
    """One ONNX file, or one .tflite file (tflite_file.py). `width` and `height` are 0 if they are dynamic.

    stored_precision: fp32, fp16 or int8, from the weights and the Q/DQ nodes of the graph
    end_to_end: whether the graph includes NMS, None if unknown
    metadata_size: (width, height) from the exporter's metadata, None if missing
    proto: the onnx.ModelProto; tflite: the TfliteGraph; the other one is None
    has_fractions: whether the exporter writes boxes as fractions of the input, None if the values decide
    size_inputs: further inputs that take the size of the image (ort/size_inputs.py)
    quantised: the quantised ones of the input and the outputs of an ONNX file, by name. LiteRT's backend deals with
        those of a .tflite file itself
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
    tflite: Any = field(repr=False, compare=False, default=None)
    has_fractions: bool | None = None
    size_inputs: tuple[str, ...] = ()
    quantised: tuple[tuple[str, Quantisation], ...] = ()


def load_proto(path: Path, weights: bool = True) -> Any:
    """Return the onnx.ModelProto without its external data, which is only checked (external_data.py).

    weights: False omits the values of large initializers (onnx_skeleton.py)
    Raises ModelError if the file is not ONNX, or if its external data is missing, too short or outside its folder.
    """
    onnx = require('onnx')
    start = _start(path)
    proto = None if weights else _skeleton(onnx, path)
    if proto is None:
        try:
            proto = onnx.load(str(path), load_external_data=False)
        except MemoryError:
            raise  # Does not mean that the file is damaged.
        except Exception as error:  # protobuf's exception types differ between versions
            found = one_line(error, 200) or type(error).__name__
            raise _not_onnx(path, start) or ModelError(
                f'{path} cannot be read as ONNX ({found}): the file is damaged or not an ONNX file; copy or export it '
                'again') from error
    if not proto.graph.node or not proto.graph.output:
        raise _not_onnx(path, start) or ModelError(
            f'{path} contains no graph: expected an ONNX file; copy or export it again')
    external_tensors(path, proto)
    return proto


def _start(path: Path) -> bytes:
    """Return the first bytes of the file; ModelError if it is missing, or obviously not an ONNX file."""
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
            start = file.read(START_BYTES)
    except OSError as error:
        raise ModelError(f'{path} cannot be read: {reason(error)}') from error
    if not start:
        raise ModelError(f'{path} is empty: expected an ONNX file; copy or export it again')
    if start.startswith(LFS_POINTER):
        raise ModelError(f'{path} is a Git LFS pointer, not the model: run git lfs pull')
    found = kind_of(start)
    if found is not None:
        raise _is_a(path, *found)
    return start


def _not_onnx(path: Path, start: bytes) -> ModelError | None:
    """Return the error for a text file or a damaged .tflite file, which are not ONNX; None for another file."""
    if path.suffix.lower() == '.tflite':
        return ModelError(
            f'{path} cannot be read as ONNX, and it is not a TensorFlow Lite model either: expected TFL3 in bytes 5 to '
            f'8, found {start[4:8]!r}; copy or export it again')
    found = None if path.suffix.lower() in _TEXT_FORMATS else kind_of_text(start)
    return None if found is None else _is_a(path, *found)


def _is_a(path: Path, kind: str, remedy: str) -> ModelError:
    return ModelError(f'{path} cannot be read as ONNX, it is {kind}: {remedy}')


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
    sizes = [value for value in inputs if _is_size(value)]
    inputs = [value for value in inputs if value not in sizes]
    if len(inputs) != 1:
        family = family_of_inputs(value.name for value in inputs)
        hint = (
            f'this looks like {family.name}, which is not supported: {family.advice}' if family else
            'export it with the image as its only input')
        raise ModelError(
            f'{path.name} has {len(inputs)} inputs ({", ".join(_show(v) for v in inputs)}): expected '
            f'one image input; {hint}')
    value = inputs[0]
    shape = shape_of(value)
    dtype = _DTYPES.get(value.type.tensor_type.elem_type)
    if dtype is None:
        raise ModelError(
            f'{path.name} has the input {_show(value)}: expected float32, float16, uint8, or quantised int8; export it '
            'with a float32 input')
    layout = layout_of(shape)
    if layout is None:
        raise ModelError(
            f'{path.name} has the input {_show(value)}: expected an image, [1, 3, height, width] or '
            '[1, height, width, 3] (or 1 channel)')
    if shape[0] > 1:
        raise ModelError(
            f'{path.name} has the fixed batch size {shape[0]} (input {_show(value)}): export it with '
            'batch size 1 or with a dynamic batch')
    channels, height, width = shape[1:] if layout == 'nchw' else (shape[3], shape[1], shape[2])
    require_inference_mode(path, proto)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    edges = quantised_edges(proto, value.name, path.name)
    quantised = {name: edge.quantisation for name, edge in edges.items()}
    if value.name in quantised:
        (scale,), (zero_point,) = quantised[value.name].scales, quantised[value.name].zero_points
        # Quantisers of ONNX files write int8 with the zero point 0 for any range, so it says nothing of the pixels.
        if dtype != np.int8 or zero_point:
            metadata.update(implied_preprocessing(metadata, dtype.name, scale, zero_point))
    elif dtype == np.int8:
        raise ModelError(
            f'{path.name} has the input {_show(value)}, and neither its graph nor its metadata say what the numbers '
            f'stand for: write scale and zero point into its metadata {QUANTISATION_KEY} (see models/README.md), or '
            'export it with a float32 input')
    return OnnxSummary(
        path=path, sha256=sha256_of(path, proto), input_name=value.name, input_dtype=dtype,
        layout=layout, width=width, height=height, channels=channels,
        dynamic_batch=shape[0] == 0, names=read_metadata_names(metadata).names, metadata=metadata,
        metadata_size=metadata_size(metadata), end_to_end=_end_to_end(graph, metadata),
        declared_outputs=tuple((v.name, shape_of(v)) for v in graph.output),
        stored_precision=stored_precision(proto, [edge.node for edge in edges.values()]), proto=proto,
        size_inputs=tuple(value.name for value in sizes), quantised=tuple(quantised.items()))


def sha256_of(path: Path, proto: Any = None) -> str:
    """Return the SHA-256 over the file, then over its external data files, sorted by name. Raises ModelError."""
    digest = hashlib.sha256()
    if proto is None and not is_tflite(path):
        proto = load_proto(path, weights=False)
    for file in (path, *(external_files(path, proto).values() if proto is not None else ())):
        try:
            _digest_file(digest, file)
        except OSError as error:
            raise ModelError(f'{file} cannot be read: {reason(error)}') from error
    return digest.hexdigest()


def _digest_file(digest: Any, path: Path) -> None:
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)


def layout_of(shape: tuple[int, ...]) -> str | None:
    """Return nchw or nhwc for the shape of an image input, None if it is not an image; nchw if both fit."""
    if len(shape) != 4:
        return None
    if shape[1] in (1, 3):
        return 'nchw'
    return 'nhwc' if shape[3] in (1, 3) else None


def shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of an onnx.ValueInfoProto, with 0 for each dynamic dimension."""
    return tuple(
        max(0, dim.dim_value) if dim.HasField('dim_value') else 0
        for dim in value.type.tensor_type.shape.dim)


def _is_size(value: Any) -> bool:
    """Return whether it is the size of the image: int64 [1, 2], or [batch, 2]."""
    shape = shape_of(value)
    # 7: TensorProto.INT64.
    return (
        value.name in SIZE_INPUTS and value.type.tensor_type.elem_type == 7 and len(shape) == 2 and shape[0] <= 1
        and shape[1] in (0, 2))


def _show(value: Any) -> str:
    onnx = require('onnx')
    kind = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    return f'{shown(value.name)} {kind} {[d or "?" for d in shape_of(value)]}'.replace("'", '')


def metadata_size(metadata: dict[str, str]) -> tuple[int, int] | None:
    """Return (width, height) from Ultralytics' `imgsz`, '[height, width]'; None if it is missing or no size."""
    try:
        height, width = (int(side) for side in json.loads(metadata['imgsz']))
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError):
        return None
    return (width, height) if min(width, height) > 0 else None


def stored_precision(proto: Any, edges: Sequence[Any] = ()) -> str:
    """Return fp32, fp16 or int8, from the weights and the Q/DQ nodes.

    edges: nodes that quantise the input or an output. A QuantizeLinear among them says nothing about the network
    """
    outputs = {node.output[0] for node in edges if node is not None and node.op_type == 'QuantizeLinear'}
    if any(
            node.op_type.startswith(('QuantizeLinear', *INTEGER_LAYERS)) and node.output[0] not in outputs
            for node in proto.graph.node):
        return 'int8'
    # 10: TensorProto.FLOAT16. Only the weights decide: a float32 input is often cast at once.
    sizes = {10: 0, 1: 0}
    for tensor in all_tensors(proto):
        if tensor.data_type in sizes:
            sizes[tensor.data_type] += int(np.prod(tensor.dims, dtype=np.int64))
    return 'fp16' if sizes[10] > sizes[1] else 'fp32'


def _end_to_end(graph: Any, metadata: dict[str, str]) -> bool | None:
    said = metadata_end_to_end(metadata)
    if said is not None:
        return said
    if any(node.op_type in ('NonMaxSuppression', 'EfficientNMS_TRT') for node in graph.node):
        return True
    return None


def metadata_end_to_end(metadata: dict[str, str]) -> bool | None:
    """Return whether the network includes NMS according to the exporter's metadata, None if they do not say it."""
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
    return None
