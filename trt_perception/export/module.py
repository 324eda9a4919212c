# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Exports a PyTorch module as it is called in a program: any inputs, any structure of outputs."""

from __future__ import annotations

import contextlib
import copy
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import ModelError, ParameterError, one_line
from ..pipeline.raw import TensorSpec
from ..pipeline.raw_file import raw_metadata
from ..pipeline.structure import Node, flatten
from .onnx_writer import ONE_AT_A_TIME, GraphSource, store_graph, write_graph

# ONNX and TensorRT have these; NumPy has no bfloat16.
_DTYPES = ('float32', 'float16', 'float64', 'int8', 'uint8', 'int32', 'int64', 'bool')


@dataclass(frozen=True)
class Arguments:
    """The example: tensors in the order of the call, with their names, all on the device of the module.

    by_name: whether the module is called with keywords
    gpus_of_example: indices of the GPUs on which the example was given
    """

    names: tuple[str, ...]
    tensors: tuple[Any, ...]
    by_name: bool
    gpus_of_example: tuple[int, ...] = ()

    @property
    def gpus(self) -> tuple[int, ...]:
        """Indices of the GPUs on which the module runs, () on the CPU."""
        return _gpus(self.tensors)

    def batch(self) -> int:
        """Return the first dimension, which all tensors share. Raises ParameterError."""
        sizes = {tuple(tensor.shape)[:1] for tensor in self.tensors}
        if len(sizes) != 1 or sizes == {()} or sizes == {(0,)}:
            shapes = ', '.join(f'{name} {list(tensor.shape)}' for name, tensor in zip(self.names, self.tensors))
            raise ParameterError(
                f'max_batch needs inputs with one common first dimension, the batch; found {shapes}: give such an '
                'example, or leave max_batch out')
        return int(next(iter(sizes))[0])

    def with_batch(self, batch: int) -> Arguments:
        """Return the example with another batch: its rows again and again."""
        torch = require('torch')
        rows = torch.arange(batch) % self.batch()
        return Arguments(
            self.names, tuple(tensor[rows.to(tensor.device)] for tensor in self.tensors), self.by_name)


@dataclass(frozen=True)
class ExportedModule:
    """A file that was written from a module.

    structure: of the outputs
    expected: pairs of inputs and the module's outputs for them, as arrays; the first is the example
    """

    path: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    structure: Node
    expected: tuple[tuple[list[np.ndarray], list[np.ndarray]], ...]


def arguments_of(module: Any, example: Any) -> Arguments:
    """Return the example as tensors on the device of the module.

    example: a tensor or array, a tuple or list of them (arguments of forward), or a dict (keyword arguments)
    Raises ParameterError for anything else, ModelError if `module` is not a torch.nn.Module.
    """
    torch = require('torch')
    if not isinstance(module, torch.nn.Module):
        raise ModelError(
            f'expected a torch.nn.Module, found {type(module).__name__}: give the network itself, such as '
            'torchvision.models.resnet18()')
    device = next((tensor.device for tensor in (*module.parameters(), *module.buffers())), None)
    if device is not None and device.type == 'meta':
        raise ModelError('the network is on the meta device, without weights: load its weights first')
    by_name = isinstance(example, Mapping)
    if by_name and isinstance(module, torch.jit.ScriptModule):
        raise ParameterError(
            'the example is a dict, but the network is TorchScript: expected its arguments by position, as a tuple')
    values = tuple(example.values()) if by_name else tuple(example) if isinstance(example, (tuple, list)) else (
        example,)
    if not values:
        raise ParameterError('example is empty: expected the inputs of one call of the network')
    names = tuple(map(str, example)) if by_name else _argument_names(module, len(values))
    tensors = tuple(as_tensor(value, f'example: {name}') for name, value in zip(names, values))
    if device is None:
        device = tensors[0].device
    return Arguments(names, tuple(tensor.to(device) for tensor in tensors), by_name, _gpus(tensors))


def _gpus(tensors: Sequence[Any]) -> tuple[int, ...]:
    return tuple(tensor.device.index or 0 for tensor in tensors if tensor.device.type == 'cuda')


def as_tensor(value: Any, what: str) -> Any:
    """Return a tensor without gradient; what: for the message. Raises ParameterError for a wrong type or dtype."""
    torch = require('torch')
    if isinstance(value, np.ndarray) and value.dtype.kind in 'fiub':
        with contextlib.suppress(TypeError):  # a type that PyTorch does not have
            value = torch.from_numpy(np.array(value, value.dtype.newbyteorder('='), order='C'))
    if not isinstance(value, torch.Tensor):
        found = f'{value.dtype} array' if isinstance(value, np.ndarray) else type(value).__name__
        raise ParameterError(
            f'{what} is {found}: expected a tensor or a NumPy array; each argument of the network must be one')
    if value.layout != torch.strided or value.is_meta:
        found = 'on the meta device' if value.is_meta else str(value.layout).removeprefix('torch.')
        raise ParameterError(f'{what} is {found}: expected a dense tensor with values')
    if dtype_name(value) not in _DTYPES:
        raise ParameterError(f'{what} is {dtype_name(value)}: expected one of {", ".join(_DTYPES)}; convert it, and '
                             'the network with .float() or .half()')
    return value.detach()


def dtype_name(tensor: Any) -> str:
    """Return 'float32' for torch.float32."""
    return str(tensor.dtype).removeprefix('torch.')


def export_module(
    module: Any, arguments: Arguments, folder: Path, name: str, max_batch: int | None = None,
) -> ExportedModule:
    """Write folder/name.onnx and return it. The module does not change: neither its mode nor its values.

    It is exported in evaluation mode. max_batch: 1..max_batch is the batch of later calls; None: that of the example
    Raises ModelError if the network does not run with the example, returns something else than tensors, or cannot be
    exported; ParameterError if max_batch does not fit.
    """
    batched: tuple[bool, ...] | None = None
    with ONE_AT_A_TIME, _evaluating(module) as network, require('torch').no_grad():
        tensors, structure = _called(network, arguments)
        expected = [_arrays(arguments, tensors)]
        example = arguments
        if max_batch is not None:
            other = _other_batch(arguments.batch(), max_batch)
            if other:
                again = arguments.with_batch(other)
                more, _ = _called(network, again)
                expected.append(_arrays(again, more))
                batched = _batched(tensors, more, arguments.batch(), other)
                # torch.export takes a dimension of 1 for a constant.
                example = again if arguments.batch() == 1 else arguments
        outputs = _output_names(len(tensors), arguments.names)
        free = frozenset(
            (*arguments.names, *(one for one, is_batch in zip(outputs, batched) if is_batch)) if batched else ())
        # The exporter takes TorchScript only as it is, and takes its results apart in the same order.
        is_script = isinstance(network, require('torch').jit.ScriptModule)
        source = GraphSource(
            network if is_script else _flat(network, arguments), example.tensors, arguments.names, outputs,
            any_number=not is_script, batched=free)
        proto, _ = write_graph(source, folder)
    _require_inputs(proto, arguments.names)
    inputs = tuple(
        _spec(name, tensor, batched is not None) for name, tensor in zip(arguments.names, arguments.tensors))
    results = tuple(
        _spec(name, tensor, bool(batched and batched[index]))
        for index, (name, tensor) in enumerate(zip(outputs, tensors)))
    path = folder / f'{name}.onnx'
    store_graph(proto, raw_metadata(inputs, results, structure, max_batch or 1), path, False)
    return ExportedModule(path, inputs, results, structure, tuple(expected))


@contextlib.contextmanager
def _evaluating(module: Any) -> Iterator[Any]:
    """Yield the module in evaluation mode: a copy, or if it cannot be copied itself, which is restored afterwards."""
    torch = require('torch')
    try:
        network = copy.deepcopy(module)
    except Exception:  # such as a module with a tensor that was computed, of the old weight_norm
        network = module
    modes = [(part, part.training) for part in network.modules() if hasattr(part, 'training')]
    tf32 = _tf32(torch, False)
    try:
        network.eval()
        yield network
    finally:
        _tf32(torch, tf32)
        for part, training in modes:
            part.training = training


def _tf32(torch: Any, allowed: bool) -> bool:
    """Set whether convolutions on the GPU may round float32 to 10 bits, which TensorRT does not; return it before."""
    try:
        before = bool(torch.backends.cudnn.allow_tf32)
        torch.backends.cudnn.allow_tf32 = allowed
    except RuntimeError:  # the program uses PyTorch's newer settings, and both cannot be mixed
        return allowed
    return before


def _called(network: Any, arguments: Arguments) -> tuple[list[Any], Node]:
    torch = require('torch')
    try:
        if arguments.by_name:
            output = network(**dict(zip(arguments.names, arguments.tensors)))
        else:
            output = network(*arguments.tensors)
    except Exception as error:  # code of the user
        shapes = ', '.join(f'{dtype_name(tensor)} {list(tensor.shape)}' for tensor in arguments.tensors)
        raise ModelError(
            f'the network does not run with the example ({shapes}): {type(error).__name__}: {one_line(error, 300)}'
        ) from error
    tensors, structure = flatten(output, lambda value: isinstance(value, torch.Tensor))
    if not tensors:
        raise ModelError('the network returns no tensor: expected a tensor, or a tuple, list or dict of tensors')
    for tensor in tensors:
        if tensor.layout != torch.strided:
            raise ModelError(
                f'the network returns a {str(tensor.layout).removeprefix("torch.")} tensor: call .to_dense() in it')
        if dtype_name(tensor) not in _DTYPES:
            raise ModelError(
                f'the network returns {dtype_name(tensor)}: expected one of {", ".join(_DTYPES)}; convert the network '
                'with .float() or .half()')
    return tensors, structure


def _flat(network: Any, arguments: Arguments) -> Any:
    """Return a module that takes tensors and returns a tuple of tensors."""
    torch = require('torch')

    class Flat(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, *tensors: Any) -> Any:
            if arguments.by_name:
                output = self.network(**dict(zip(arguments.names, tensors)))
            else:
                output = self.network(*tensors)
            return tuple(flatten(output, lambda value: isinstance(value, torch.Tensor))[0])

    flat = Flat()
    flat.training = False
    return flat


def _argument_names(module: Any, count: int) -> tuple[str, ...]:
    """Return the names of the first parameters of forward, or input0, input1, ..."""
    plain = tuple(f'input{index}' for index in range(count))
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        return plain
    names = [
        parameter.name for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)]
    return tuple(names[:count]) if len(names) >= count else plain


def _output_names(count: int, taken: Sequence[str]) -> tuple[str, ...]:
    """Return output0, output1, ...; in ONNX, an output with the name of an input is the input itself."""
    stem = 'output'
    while any(re.fullmatch(rf'{stem}\d+', name) for name in taken):
        stem += '_'
    return tuple(f'{stem}{index}' for index in range(count))


def _other_batch(batch: int, max_batch: int) -> int:
    """Return a second batch for the comparison, 0 if only one is possible."""
    if batch > max_batch:
        raise ParameterError(f'the example has a batch of {batch}, more than max_batch {max_batch}: raise max_batch')
    if max_batch == 1:
        return 0
    return 2 if batch == 1 else batch - 1


def _batched(first: Sequence[Any], second: Sequence[Any], batch: int, other: int) -> tuple[bool, ...]:
    """Return which outputs have the batch as their first dimension."""
    if len(first) != len(second):
        raise ModelError(f'the network returns {len(first)} tensors for a batch of {batch}, but {len(second)} for a '
                         f'batch of {other}: leave max_batch out')
    result = []
    for index, (one, two) in enumerate(zip(first, second)):
        shapes = tuple(one.shape), tuple(two.shape)
        if shapes[0][:1] == (batch,) and shapes[1] == (other, *shapes[0][1:]):
            result.append(True)
        elif shapes[0] == shapes[1]:
            result.append(False)
        else:
            raise ModelError(
                f'output{index} has the shape {list(shapes[0])} for a batch of {batch}, and {list(shapes[1])} for '
                f'a batch of {other}: expected the batch as its first dimension; leave max_batch out')
    return tuple(result)


def _require_inputs(proto: Any, names: Sequence[str]) -> None:
    found = [value.name for value in proto.graph.input]
    unused = [name for name in names if name not in found or not any(
        name in node.input for node in proto.graph.node)]
    if unused:
        raise ModelError(
            f'the result does not depend on the input {", ".join(unused)}: leave it out of the example')


def _arrays(arguments: Arguments, outputs: Sequence[Any]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return ([np.array(tensor.cpu().numpy(), order='C') for tensor in arguments.tensors],
            [np.array(tensor.detach().cpu().numpy(), order='C') for tensor in outputs])


def _spec(name: str, tensor: Any, batched: bool) -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype_name(tensor)), tuple(int(size) for size in tensor.shape), batched)
