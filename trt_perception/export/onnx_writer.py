# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes a network as ONNX with PyTorch's exporters, without paths of this machine, in one file."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import MissingDependencyError, ModelError, one_line
from .network import Network, tensors_of

EXPORTERS = ('auto', 'torchscript', 'dynamo')
# TensorRT 8.6 and ONNX Runtime 1.16 read it.
DEFAULT_OPSET = 17
# The lowest one that the dynamo exporter writes without a conversion.
_DYNAMO_OPSET = 18
# A protobuf message has at most 2 GiB.
_MOST_BYTES = (1 << 31) - (1 << 20)
_LARGE_TENSOR = 1024
_GRAPH_LOG = '_jit_onnx_log'
# PyTorch's exporters keep their state in globals, and this package changes globals of Python and PyTorch meanwhile. Two
# threads that export would fail, or leave sys.stdout redirected.
ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class ExportOptions:
    """How the file is written.

    input_name, output_names: names in the ONNX file; missing output names are output0, output1, ...
    dynamic_batch: the first dimension of input and outputs is open
    opset: 0 for DEFAULT_OPSET, or more if the exporter needs it
    exporter: 'torchscript' traces the network; 'dynamo' captures it with torch.export, and needs onnxscript; 'auto'
        takes the first, and the second if the first fails
    external_data: write the weights into a second file, NAME.onnx.data
    channels: 3, or 1 for a network that takes grey images
    """

    input_name: str = 'images'
    output_names: tuple[str, ...] = ()
    dynamic_batch: bool = False
    opset: int = 0
    exporter: str = 'auto'
    external_data: bool = False
    channels: int = 3


@dataclass(frozen=True)
class GraphSource:
    """What the exporters take.

    module: a torch.nn.Module whose forward takes `arguments` and returns a tensor, or a tuple of tensors
    any_number: whether forward is declared as forward(self, *tensors)
    batched: names of the inputs and outputs whose first dimension is open
    """

    module: Any
    arguments: tuple[Any, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    any_number: bool = False
    batched: frozenset[str] = frozenset()


def export_graph(network: Network, shape: tuple[int, int, int, int], folder: Path, options: ExportOptions) -> Any:
    """Return (onnx.ModelProto with all weights, name of the exporter that wrote it).

    shape: of the input, [1, channels, height, width]; folder: empty, for the files that PyTorch writes
    Raises ModelError if the network does not run at this shape, or if it cannot be exported.
    """
    names = output_names(network, shape, options)
    # torch.export takes a dimension of 1 for a constant.
    example = require('torch').zeros((2, *shape[1:]) if options.dynamic_batch else shape)
    batched = frozenset((options.input_name, *names) if options.dynamic_batch else ())
    source = GraphSource(network.module, (example,), (options.input_name,), names, batched=batched)
    return write_graph(source, folder, options.opset, options.exporter)


def write_graph(source: GraphSource, folder: Path, opset: int = 0, exporter: str = 'auto') -> tuple[Any, str]:
    """Return (onnx.ModelProto with all weights, name of the exporter that wrote it).

    folder: empty, for the files that PyTorch writes; opset, exporter: as in ExportOptions
    Raises ModelError if no exporter can.
    """
    torch, onnx = require('torch'), require('onnx')
    reasons = []
    for name, write in _EXPORTERS.items():
        if exporter not in ('auto', name):
            continue
        path = folder / f'{name}.onnx'
        try:
            with ONE_AT_A_TIME, _quiet(), torch.no_grad():
                write(source, path, opset)
            model = onnx.load(str(path))
            written = next(entry.version for entry in model.opset_import if entry.domain in ('', 'ai.onnx'))
            # The dynamo exporter writes another opset if it cannot convert to the requested one.
            if opset in (0, written):
                return _cleaned(model), name
            reasons.append(f'{name}: it wrote opset {written} instead of {opset}')
        except MissingDependencyError as error:
            reasons.append(f'{name}: {error}')
        except MemoryError:
            raise
        except Exception as error:  # the exporters raise errors of many types
            reasons.append(f'{name}: {type(error).__name__}: {one_line(error, 300)}')
    raise ModelError(f'PyTorch {torch.__version__} cannot export the network ({"; ".join(reasons)})')


def output_names(network: Network, shape: Sequence[int], options: ExportOptions) -> tuple[str, ...]:
    """Return a name for each output. Raises ModelError if the network does not run, or for too many names."""
    torch = require('torch')
    try:
        with torch.no_grad():
            count = len(tensors_of(network.module(torch.zeros(tuple(shape)))))
    except ModelError:
        raise
    except Exception as error:  # code of the user
        raise ModelError(
            f'the network does not run with an input of {list(shape)}: {one_line(error, 300)}; choose the size with '
            '--input-size WIDTH HEIGHT, and --channels 1 for grey images') from error
    if len(options.output_names) > count:
        raise ModelError(f'{len(options.output_names)} output names, but the network has {count}: leave some out')
    return (*options.output_names, *(f'output{index}' for index in range(len(options.output_names), count)))


def store_graph(model: Any, metadata: Mapping[str, str], path: Path, external_data: bool) -> None:
    """Write the model with this metadata. Raises ModelError if it is too large for one file."""
    onnx = require('onnx')
    onnx.helper.set_model_props(model, dict(metadata))
    if external_data:
        # save_model moves the weights of the message that it is given.
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        onnx.save_model(
            copy, str(path), save_as_external_data=True, location=f'{path.name}.data', size_threshold=_LARGE_TENSOR)
        return
    if model.ByteSize() > _MOST_BYTES:
        raise ModelError(
            f'the network has {model.ByteSize() / 1e9:.1f} GB, and one ONNX file has at most 2.1 GB: use '
            '--external-data')
    path.write_bytes(model.SerializeToString(deterministic=True))


def _with_torchscript(source: GraphSource, path: Path, opset: int) -> None:
    export = require('torch.onnx').export
    keywords: dict[str, Any] = {}
    if 'dynamo' in inspect.signature(export).parameters:
        keywords['dynamo'] = False
    if source.batched:
        keywords['dynamic_axes'] = {
            name: {0: 'batch'} for name in (*source.input_names, *source.output_names) if name in source.batched}
    export(
        source.module, source.arguments, str(path), input_names=list(source.input_names),
        output_names=list(source.output_names), opset_version=opset or DEFAULT_OPSET, **keywords)


def _with_dynamo(source: GraphSource, path: Path, opset: int) -> None:
    torch = require('torch')
    require('onnxscript')
    export = require('torch.onnx').export
    if 'external_data' not in inspect.signature(export).parameters:
        raise ModelError(f'PyTorch {torch.__version__} has no dynamo exporter that writes files: expected 2.6 or newer')
    keywords: dict[str, Any] = {}
    if source.batched:
        batch = torch.export.Dim('batch')
        shapes = tuple({0: batch} if name in source.batched else None for name in source.input_names)
        keywords['dynamic_shapes'] = (shapes,) if source.any_number else shapes
    export(
        source.module, source.arguments, str(path), input_names=list(source.input_names),
        output_names=list(source.output_names), opset_version=opset or _DYNAMO_OPSET, dynamo=True,
        external_data=False, verbose=False, **keywords)


_EXPORTERS: Mapping[str, Callable[[GraphSource, Path, int], None]] = {
    'torchscript': _with_torchscript, 'dynamo': _with_dynamo}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' notes off the screen. The file is checked afterwards, and errors are raised."""
    torch = require('torch')
    loggers = [logging.getLogger(name) for name in ('torch', 'torch.onnx', 'onnxscript', 'onnx_ir')]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    # If an operator is missing, the torchscript exporter prints the whole network, not through sys.stdout.
    log = getattr(torch._C, _GRAPH_LOG, None)
    try:
        if log is not None:
            setattr(torch._C, _GRAPH_LOG, lambda *parts: None)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), \
                contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        if log is not None:
            setattr(torch._C, _GRAPH_LOG, log)
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


def _cleaned(model: Any) -> Any:
    """Remove what has no effect: stack traces with paths of this machine, and an IR version newer than needed."""
    onnx = require('onnx')
    graph = model.graph
    for message in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        for name in ('doc_string', 'metadata_props'):
            if name in message.DESCRIPTOR.fields_by_name:
                message.ClearField(name)
    if hasattr(onnx.helper, 'find_min_ir_version_for'):
        with contextlib.suppress(ValueError):
            needed = onnx.helper.find_min_ir_version_for(list(model.opset_import))
            # Functions of a model came with version 8.
            model.ir_version = min(model.ir_version, max(needed, 8))
    return model
