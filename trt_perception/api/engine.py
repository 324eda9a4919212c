# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Engine: a network that is called with tensors or arrays, as the PyTorch module that it was made from."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import EngineError, ParameterError
from ..file_cache import replace_file
from ..model.external_data import load_external_data
from ..model.onnx_file import load_proto
from ..pipeline.raw import DeviceBackend, RawBackend, RawModel, TensorSpec
from ..pipeline.raw_file import METADATA_KEY, raw_metadata
from ..pipeline.structure import Node, rebuild
from .checks import text
from .device_array import DeviceArray, device_view


class Engine:
    """A network on TensorRT or ONNX Runtime. `trt_perception.from_torch` and `load_engine` return it.

    Call it as the module: with the same arguments, by position or by name. It returns what the module returns, with the
    same tuples, lists and dicts. Use it with `with`, or call `close`. One thread at a time may use it.

    >>> with trt_perception.from_torch(module, example, precision='fp16') as engine:
    ...     output = engine(image)
    """

    def __init__(
        self, model: RawModel, backend: RawBackend, structure: Node, difference: float | None = None,
    ) -> None:
        """Take an open backend. Programs call `trt_perception.from_torch` or `load_engine` instead."""
        self._model = model
        self._backend: RawBackend | None = backend
        self._device: DeviceBackend | None = backend if hasattr(backend, 'enqueue') else None  # type: ignore[assignment]
        self._structure = structure
        self._difference = difference
        self._names = {spec.name: index for index, spec in enumerate(model.inputs)}
        self._expected = tuple((spec.dtype, spec.shape) for spec in model.inputs)
        self._batch = model.usual_batch
        self._torch_types: tuple[tuple[Any, tuple[int, ...]], ...] = ()
        self._torch_results: tuple[Any, ...] = ()

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Run the network once.

        inputs, named: as of the module's forward, each with the dtype and the shape of the example (with max_batch, the
            first dimension may be any from 1 to it). All are of one kind:
            - NumPy arrays: returns new NumPy arrays
            - tensors on the CPU: returns tensors on the CPU
            - tensors on the GPU (only with TensorRT): returns tensors there. Nothing is copied through the host, and
              the run is queued in the order of PyTorch's current stream
            - other arrays on the GPU with __cuda_array_interface__, as of CuPy and pycuda (only with TensorRT): returns
              DeviceArrays, when they are complete

        Results are new in each call, and have no gradient. Raises ParameterError for a wrong number, shape, dtype or
        device, and EngineError if the engine is closed or fails. The engine can be used again after a ParameterError.
        """
        if named or len(inputs) != len(self._expected):
            inputs = self._ordered(inputs, named)
        kind = type(inputs[0])
        if kind is np.ndarray:
            return self._with_arrays(inputs)
        torch = sys.modules.get('torch')
        if torch is not None and isinstance(inputs[0], torch.Tensor):
            return self._with_tensors(torch, inputs)
        interface = getattr(inputs[0], '__cuda_array_interface__', None)
        if interface is not None:
            return self._with_device_arrays(inputs, interface)
        if isinstance(inputs[0], np.ndarray):
            return self._with_arrays(tuple(np.asarray(value) for value in inputs))
        raise self._no_array(0, inputs[0])

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Name, dtype, shape and batched of each input."""
        return self._model.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Name, dtype, shape and batched of each tensor of the result, in the order of the module."""
        return self._model.outputs

    @property
    def max_batch(self) -> int:
        """The largest batch; 1 if no input has a batch of any size."""
        return self._model.max_batch

    @property
    def precision(self) -> str:
        """Return fp32, fp16 or int8: the precision of the network's file."""
        return self._model.precision

    @property
    def difference(self) -> float | None:
        """The largest difference from the module on the example, as a fraction of the largest value of an output.

        None for an engine of load_engine, which has no module to compare with.
        """
        return self._difference

    def describe(self) -> dict[str, str]:
        """Return how it runs: backend, backend_version, device, precision_effective; of TensorRT also the engine."""
        return self._opened().describe()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the network as one ONNX file in its precision, for `trt_perception.load_engine`.

        The file runs on other machines too, without PyTorch. It is not a TensorRT plan: a plan fits only one kind of
        GPU and one version of TensorRT, so it stays in the cache.

        Raises ParameterError if `path` is a folder or the file that this engine was loaded from, FetchError if the file
        cannot be written, and ModelError.
        """
        target = Path(text('path', path))
        model = self._model
        if target.is_dir():
            raise ParameterError(f'{target} is a folder: expected the name of the file to write, such as network.onnx')
        if target.exists() and target.samefile(model.path):
            raise ParameterError(f'{target} is the file of this engine: choose another name')
        if not model.path.exists():
            raise EngineError(
                f'{model.path} was removed since the engine was opened: open the engine again, then save it')
        proto = load_proto(model.path)
        load_external_data(model.path, proto)
        metadata = {entry.key: entry.value for entry in proto.metadata_props}
        metadata.update(raw_metadata(model.inputs, model.outputs, self._structure, model.max_batch))
        assert METADATA_KEY in metadata
        require('onnx').helper.set_model_props(proto, metadata)
        replace_file(target, lambda part: part.write_bytes(proto.SerializeToString(deterministic=True)))

    def close(self) -> None:
        """Free everything. A second call does nothing."""
        backend, self._backend, self._device = self._backend, None, None
        if backend is not None:
            backend.close()

    def __enter__(self) -> Engine:
        """Return the engine, which is open already."""
        self._opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def __reduce__(self) -> Any:
        """Refuse pickle and copy: an open engine stays in its process."""
        raise TypeError(
            f'{self!r} cannot be copied or sent to another process: save it with engine.save, and load the file there '
            'with trt_perception.load_engine')

    def __repr__(self) -> str:
        """Return the inputs, the precision and whether the engine is closed."""
        inputs = ', '.join(map(str, self._model.inputs))
        closed = ', closed' if self._backend is None else ''
        return f'<trt_perception.Engine ({inputs}): {self.precision}{closed}>'

    # -- one way for each kind of array ------------------------------------------------------------------------------

    def _with_arrays(self, arrays: Sequence[np.ndarray]) -> Any:
        batch = self._batch
        for (dtype, shape), array in zip(self._expected, arrays):
            if type(array) is not np.ndarray or array.dtype != dtype or array.shape != shape:
                arrays = [value if type(value) is np.ndarray else self._array(index, value)
                          for index, value in enumerate(arrays)]
                batch = self._checked([(value.dtype, value.shape) for value in arrays])
                break
        backend = self._backend
        if backend is None:
            raise self._closed()
        return self._result(backend.run(arrays, batch))

    def _with_tensors(self, torch: Any, tensors: Sequence[Any]) -> Any:
        if not self._torch_types:
            # Once: PyTorch may be imported after the engine was made.
            self._torch_types = tuple((getattr(torch, dtype.name), shape) for dtype, shape in self._expected)
            self._torch_results = tuple(getattr(torch, spec.dtype.name) for spec in self._model.outputs)
        batch = self._batch
        device = tensors[0].device
        for (dtype, shape), tensor in zip(self._torch_types, tensors):
            if not isinstance(tensor, torch.Tensor) or tensor.dtype != dtype or tensor.shape != shape:
                batch = self._checked_tensors(torch, tensors)
                break
        if device.type == 'cpu':
            return self._with_host_tensors(torch, tensors, batch)
        return self._with_gpu_tensors(torch, tensors, batch, device)

    def _with_host_tensors(self, torch: Any, tensors: Sequence[Any], batch: int) -> Any:
        backend = self._backend
        if backend is None:
            raise self._closed()
        try:
            arrays = [tensor.numpy() for tensor in tensors]
        except (RuntimeError, TypeError):  # one that has a gradient or is not on the CPU
            for index, tensor in enumerate(tensors):
                if tensor.device.type != 'cpu':
                    raise self._wrong_device(index, tensor.device, 'cpu') from None
                if tensor.layout != torch.strided:
                    raise ParameterError(
                        f'{self._label(index)} is {str(tensor.layout).removeprefix("torch.")}: call it with .to_dense()'
                    ) from None
            # A view such as the imaginary part of a conjugate is negative, which NumPy does not know.
            arrays = [tensor.detach().resolve_neg().numpy() for tensor in tensors]
        return self._result([torch.from_numpy(array) for array in backend.run(arrays, batch)])

    def _with_gpu_tensors(self, torch: Any, tensors: Sequence[Any], batch: int, device: Any) -> Any:
        engine = self._device
        if engine is None or device.type != 'cuda' or device.index != engine.device_index:
            if self._backend is None:
                raise self._closed()
            raise self._wrong_device(0, device, self._place())
        for index, tensor in enumerate(tensors):
            if tensor.device != device:
                raise self._wrong_device(index, tensor.device, str(device))
        # These copies and the results are made in the order of the current stream, and so freed and used again.
        tensors = [tensor if tensor.is_contiguous() else tensor.contiguous() for tensor in tensors]
        results = [
            torch.empty(spec.shape_for(batch), dtype=dtype, device=device)
            for spec, dtype in zip(self._model.outputs, self._torch_results)]
        engine.enqueue(
            [tensor.data_ptr() for tensor in tensors], [result.data_ptr() for result in results], batch,
            torch.cuda.current_stream(device).cuda_stream)
        return self._result(results)

    def _with_device_arrays(self, arrays: Sequence[Any], first: dict[str, Any]) -> Any:
        engine = self._device
        if engine is None:
            if self._backend is None:
                raise self._closed()
            raise self._wrong_device(0, 'the GPU', self._place())
        # The engine waits for this code, so each array is asked once: the property is not free.
        views = [device_view(first, self._label(0))]
        for index, array in enumerate(arrays[1:], 1):
            interface = getattr(array, '__cuda_array_interface__', None)
            if interface is None:
                raise self._wrong_device(index, f'the host ({type(array).__name__})', 'the GPU, as the first input')
            views.append(device_view(interface, self._label(index)))
        batch = self._checked([(view.dtype, view.shape) for view in views])
        for index, view in enumerate(views):
            device = engine.device_of(view.address)
            if device != engine.device_index:
                raise self._wrong_device(index, f'GPU {device}', f'GPU {engine.device_index}')
        streams = {view.stream for view in views} - {None}
        if len(streams) > 1:
            raise ParameterError(
                'the inputs are made on several CUDA streams: expected one; synchronise them, or copy them on one '
                'stream')
        results = [DeviceArray(engine, spec.shape_for(batch), spec.dtype) for spec in self._model.outputs]
        engine.enqueue(
            [view.address for view in views], [result.address for result in results], batch,
            next(iter(streams), None), wait=True)  # readers of these arrays do not know our stream
        return self._result(results)

    def _result(self, tensors: Sequence[Any]) -> Any:
        return tensors[0] if self._structure == 0 else rebuild(self._structure, tensors)

    # -- checks and messages -----------------------------------------------------------------------------------------

    def _ordered(self, inputs: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """Return all inputs in the order of the network."""
        names = list(self._names)
        unknown = [name for name in named if name not in self._names]
        twice = [name for name in named if name in names[:len(inputs)]]
        if len(inputs) + len(named) != len(names) or unknown or twice:
            found = f'{len(inputs)} by position' + (f' and {", ".join(named)}' if named else '')
            raise ParameterError(
                f'expected {len(names)} input{"s" * (len(names) > 1)} ({", ".join(names)}), found {found}')
        return (*inputs, *(named[name] for name in names[len(inputs):]))

    def _checked(self, found: Sequence[tuple[np.dtype, tuple[int, ...]]]) -> int:
        """Return the batch; ParameterError for a wrong dtype or shape."""
        batches = []
        for index, (spec, (dtype, shape)) in enumerate(zip(self._model.inputs, found)):
            if dtype != spec.dtype:
                raise ParameterError(
                    f'{self._label(index)} is {dtype}, expected {spec.dtype} as in the example: convert it to '
                    f'{spec.dtype}')
            if spec.batched and len(shape) == len(spec.shape) and shape[1:] == spec.shape[1:]:
                batches.append((index, shape[0]))
            elif tuple(shape) != spec.shape:
                raise self._wrong_shape(index, shape)
        for index, batch in batches:
            if not 1 <= batch <= self._model.max_batch:
                raise ParameterError(
                    f'{self._label(index)} has a batch of {batch}, expected 1 to {self._model.max_batch}: split it, or '
                    'make the engine with a larger max_batch')
            if batch != batches[0][1]:
                raise ParameterError(
                    f'{self._label(index)} has a batch of {batch}, but {self._label(batches[0][0])} one of '
                    f'{batches[0][1]}: expected the same batch')
        return batches[0][1] if batches else self._batch

    def _checked_tensors(self, torch: Any, tensors: Sequence[Any]) -> int:
        for index, tensor in enumerate(tensors):
            if not isinstance(tensor, torch.Tensor):
                raise ParameterError(
                    f'{self._label(index)} is {type(tensor).__name__}, but the first input is a tensor: expected '
                    'tensors only')
        known = {getattr(torch, spec.dtype.name): spec.dtype for spec in self._model.inputs}
        for index, tensor in enumerate(tensors):
            if tensor.dtype not in known:
                expected = self._model.inputs[index].dtype
                raise ParameterError(
                    f'{self._label(index)} is {str(tensor.dtype).removeprefix("torch.")}, expected {expected} as in '
                    f'the example: convert it with .to(torch.{expected})')
        return self._checked([(known[tensor.dtype], tuple(tensor.shape)) for tensor in tensors])

    def _array(self, index: int, value: Any) -> np.ndarray:
        if not isinstance(value, np.ndarray):
            raise ParameterError(
                f'{self._label(index)} is {type(value).__name__}, but the first input is a NumPy array: expected NumPy '
                'arrays only')
        return np.asarray(value)

    def _no_array(self, index: int, value: Any) -> ParameterError:
        spec = self._model.inputs[index]
        return ParameterError(
            f'{self._label(index)} is {type(value).__name__}: expected a tensor or a NumPy array, {spec.dtype} '
            f'{list(spec.shape)}')

    def _wrong_shape(self, index: int, shape: Sequence[int]) -> ParameterError:
        spec = self._model.inputs[index]
        if spec.batched:
            return ParameterError(
                f'{self._label(index)} has the shape {list(shape)}, expected [batch, '
                f'{", ".join(map(str, spec.shape[1:]))}] as in the example: make an engine for another shape')
        # An engine with a batch takes several.
        batch = '; give max_batch to from_torch for other batches' if tuple(shape[1:]) == spec.shape[1:] else ''
        return ParameterError(
            f'{self._label(index)} has the shape {list(shape)}, expected {list(spec.shape)} as in the example: make an '
            f'engine for each shape{batch}')

    def _wrong_device(self, index: int, found: object, expected: str) -> ParameterError:
        if self._device is None:
            advice = (
                'call it with .cpu(), or install TensorRT and pycuda or cuda-bindings, so that the network runs on the '
                'GPU')
        else:
            advice = f'move it to {expected}'
        return ParameterError(f'{self._label(index)} is on {found}, expected {expected}: {advice}')

    def _place(self) -> str:
        return 'the CPU, on which ONNX Runtime runs' if self._device is None else f'cuda:{self._device.device_index}'

    def _label(self, index: int) -> str:
        return f"input '{self._model.inputs[index].name}'"

    def _closed(self) -> EngineError:
        return EngineError('the engine is closed: make it again with trt_perception.from_torch or load_engine')

    def _opened(self) -> RawBackend:
        if self._backend is None:
            raise self._closed()
        return self._backend
