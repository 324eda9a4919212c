# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""trt_perception.from_torch and load_engine: a PyTorch module, or an ONNX file, becomes an Engine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.raw import RAW_BACKENDS, chosen_raw_backend, create_raw_backend, is_strongly_typed
from ..errors import EngineError, ModelError, ParameterError
from ..export.comparison import Comparison, compare_outputs
from ..export.module import Arguments, ExportedModule, arguments_of, as_tensor, export_module
from ..model.file_kinds import is_tflite
from ..monitor import Monitor
from ..pipeline.options import CALIBRATION_METHODS, PRECISIONS, STRICT_PRECISION, CalibrationOptions
from ..pipeline.raw import RawBackend, RawModel, RawOptions, TensorSpec
from ..pipeline.raw_file import read_raw_model
from ..pipeline.tensorrt_options import RunOptions
from ..precision.raw import INT8_DIFFERENCE, Sample, prepare_raw, require_raw_precision, split_samples
from ..unfinished import temporary_folder
from ..user_files import why_no_file
from .checks import choice, flag, number, text, whole
from .engine import Engine
from .logged import logged_monitor

_METHOD = CalibrationOptions().method
# The largest accepted difference from the module, as a fraction of the largest value of an output. fp32: ten times what
# float32 gives for the classifiers of torchvision; fp16: ten times what half precision gives for them.
_LIMITS = {'fp32': 1e-3, 'fp16': 2e-2}
_MOST_SAMPLES = 256
# In lower precisions, whole numbers such as class indices may differ in rare cases.
_UNEQUAL = 0.01


@dataclass(frozen=True)
class _Chosen:
    """The checked options."""

    precision: str | None
    backend: str
    max_difference: float | None
    calibration: Iterable[Any] | None
    method: str
    strict_precision: bool
    options: RawOptions


def from_torch(
    module: Any,
    example: Any,
    *,
    precision: str | None = None,
    backend: str = 'auto',
    max_batch: int | None = None,
    calibration: Iterable[Any] | None = None,
    calibration_method: str = _METHOD,
    max_difference: float | None = None,
    strict_precision: bool = False,
    num_threads: int = 0,
    device_index: int | None = None,
) -> Engine:
    """Return an Engine that computes what a PyTorch module computes, to be called in its place.

    The module is exported to ONNX, converted to `precision`, and run by TensorRT if there is a GPU, otherwise by ONNX
    Runtime on the CPU. Engines and converted files are kept in ~/.cache/trt_perception: a later call with the same
    module finds them. Afterwards the Engine is compared with the module on the example. The module does not change.

    module: a torch.nn.Module. Its result in evaluation mode is computed, also if it is in training mode
    example: inputs of one call: a tensor or array, a tuple or list of them (several arguments), or a dict (keyword
        arguments). Their shapes and dtypes are those of later calls
    precision: fp32, fp16 or int8; None: that of the module. Inputs and results keep the dtypes of the module. int8
        needs `calibration`. ONNX Runtime runs fp16 in fp32, with a warning
    backend: auto, onnxruntime or tensorrt
    max_batch: largest batch. The first dimension of all inputs may then be 1 to max_batch. None: only the batch of the
        example
    calibration: up to 256 inputs in the form of `example`, typical of what the network will get; some of them are only
        used to compare int8
    calibration_method: auto, minmax, entropy, percentile or mse
    max_difference: largest accepted difference from the module, as a fraction of the largest value of each output (of
        each attribute of a detector's output); None: 0.001 for fp32, 0.02 for fp16. For int8: root mean square of the
        difference, as a fraction of that of the output, on the inputs for comparing; None: 0.1
    strict_precision: raise EngineError if the network does not run in `precision`; otherwise only warn
    num_threads: CPU threads for one run; 0: one for each physical core that the process may use
    device_index: index of the GPU that TensorRT uses; None: that of the example or the module, or 0

    Warnings and progress go to the logger trt_perception.

    Raises ModelError (the module cannot be exported, or differs too much), ParameterError (a wrong option or example),
    CalibrationError, EngineError, FetchError (the cache cannot be written) and MissingDependencyError, all of them
    PerceptionErrors in one line.
    """
    arguments = arguments_of(module, example)
    given = arguments.gpus_of_example
    gpus = given or arguments.gpus
    chosen = _checked(
        precision, backend, calibration, calibration_method, max_difference, strict_precision, num_threads,
        (gpus[0] if gpus else 0) if device_index is None else device_index)
    if max_batch is not None:
        max_batch = whole('max_batch', max_batch, 1)
    monitor = logged_monitor()
    runner = chosen_raw_backend(chosen.backend, monitor)
    if runner == 'onnxruntime' and given:
        raise EngineError(
            'the example is on the GPU, but ONNX Runtime runs the network on the CPU: install TensorRT, and '
            'pycuda or cuda-bindings; or give the example, and later inputs, on the CPU (.cpu())')
    with temporary_folder() as folder:
        monitor.log('info', 'exporting the network with PyTorch')
        name = re.sub(r'\W', '_', type(module).__name__) or 'network'
        exported = export_module(module, arguments, folder, name, max_batch)
        raw, structure = read_raw_model(exported.path)
        # The classes of the module's own tuples and dicts are not in the file.
        del structure
        samples = None if chosen.calibration is None else [
            _sample(arguments, raw.inputs, one, index) for index, one in _first(chosen.calibration)]
        model = _prepared(raw, chosen, runner, samples, True, monitor)
    opened = _opened(model, runner, chosen.options, monitor)
    try:
        difference = _compared(opened, model, exported, chosen, monitor)
    except BaseException:
        opened.close()
        raise
    return Engine(model, opened, exported.structure, difference)


def load_engine(
    path: str | os.PathLike[str],
    *,
    precision: str | None = None,
    backend: str = 'auto',
    max_batch: int | None = None,
    calibration: Iterable[Any] | None = None,
    calibration_method: str = _METHOD,
    max_difference: float | None = None,
    strict_precision: bool = False,
    num_threads: int = 0,
    device_index: int = 0,
) -> Engine:
    """Return the Engine of an ONNX file, without PyTorch: of a file that Engine.save wrote, or of any other one.

    Its result is that of the module; of a file of another program, the output, or a tuple of several. The options are
    those of from_torch, except:

    precision: None: as the file is stored
    max_batch: only for a file of another program whose inputs have an open first dimension; None: 1
    max_difference: only for int8

    Raises ModelError if the file is missing or not ONNX, or has open dimensions, and the errors of from_torch.
    """
    chosen = _checked(
        precision, backend, calibration, calibration_method, max_difference, strict_precision, num_threads,
        device_index)
    if max_batch is not None:
        max_batch = whole('max_batch', max_batch, 1)
    file = Path(text('path', path))
    if not file.is_file():
        raise ModelError(f'{file}: {why_no_file(file)}; expected an ONNX file, such as one that Engine.save wrote')
    if is_tflite(file):
        raise ModelError(
            f'{file} is a TensorFlow Lite model: expected an ONNX file; trt_perception.open runs it, if it is a '
            'detector or classifier')
    monitor = logged_monitor()
    raw, structure = read_raw_model(file, max_batch)
    samples = None if chosen.calibration is None else [
        _named_sample(raw.inputs, one, index) for index, one in _first(chosen.calibration)]
    runner = chosen_raw_backend(chosen.backend, monitor)
    model = _prepared(raw, chosen, runner, samples, False, monitor)
    return Engine(model, _opened(model, runner, chosen.options, monitor), structure)


def _checked(
    precision: str | None, backend: str, calibration: Iterable[Any] | None, method: str,
    max_difference: float | None, strict_precision: bool, num_threads: int, device_index: int,
) -> _Chosen:
    if calibration is not None and (isinstance(calibration, (str, bytes)) or not isinstance(calibration, Iterable)):
        raise ParameterError(
            f'calibration is {type(calibration).__name__}: expected an iterable of inputs as `example`; images are '
            'read and preprocessed by your program')
    return _Chosen(
        None if precision is None else choice('precision', precision, PRECISIONS),
        choice('backend', backend, RAW_BACKENDS),
        None if max_difference is None else number('max_difference', max_difference, 0.0, float('inf')),
        calibration, choice('calibration_method', method, CALIBRATION_METHODS),
        flag('strict_precision', strict_precision),
        RawOptions(
            num_threads=whole('num_threads', num_threads, 0),
            run=RunOptions(device_index=whole('device_index', device_index, 0))))


def _prepared(
    raw: RawModel, chosen: _Chosen, runner: str, samples: Sequence[Sample] | None, keep: bool, monitor: Monitor,
) -> RawModel:
    """Return the network in the precision in which it will run."""
    wanted = chosen.precision or raw.precision
    require_raw_precision(raw, wanted, samples is not None)
    effective = wanted
    if runner == 'onnxruntime' and wanted == 'fp16' != raw.precision:
        # It has no fp16 arithmetic on CPUs, and would convert each tensor back and forth.
        if chosen.strict_precision:
            raise EngineError(
                f'precision fp16 was requested, but ONNX Runtime would run the network in fp32{STRICT_PRECISION}')
        monitor.log('warning', 'precision fp16 was requested, but ONNX Runtime runs the network in fp32 on the CPU')
        effective = raw.precision
    return prepare_raw(
        raw, effective, None if samples is None else split_samples(samples), method=chosen.method,
        max_difference=INT8_DIFFERENCE if chosen.max_difference is None else chosen.max_difference,
        half_rest=runner == 'tensorrt' and effective == 'int8' and is_strongly_typed(chosen.options),
        keep=keep, monitor=monitor)


def _opened(model: RawModel, runner: str, options: RawOptions, monitor: Monitor) -> RawBackend:
    backend = create_raw_backend(runner, model, options, monitor)
    try:
        backend.open()
    except BaseException:
        backend.close()
        raise
    return backend


def _compared(
    backend: RawBackend, model: RawModel, exported: ExportedModule, chosen: _Chosen, monitor: Monitor,
) -> float:
    """Return the largest difference from the module; ModelError if it is above the limit."""
    worst = Comparison('example', 0.0, 0.0)
    unequal: dict[str, float] = {}
    for inputs, outputs in exported.expected:
        batch = next((array.shape[0] for spec, array in zip(model.inputs, inputs) if spec.batched), model.usual_batch)
        try:
            found = backend.run(inputs, batch)
        except EngineError as error:
            if len(exported.expected) == 1:
                raise
            raise ModelError(
                f'the exported network does not run with a batch of {batch}: it computes with the batch of the '
                f'example; leave max_batch out ({error})') from error
        floats = [spec.dtype.kind == 'f' for spec in model.outputs]
        names = [spec.name for spec in model.outputs]
        compared = compare_outputs(
            'example', [value.astype(np.float64) for value, is_float in zip(outputs, floats) if is_float],
            {name: value for name, value, is_float in zip(names, found, floats) if is_float},
            backend.describe()['backend'])
        if compared.relative >= worst.relative:
            worst = compared
        for spec, value, reference in zip(model.outputs, found, outputs):
            if spec.dtype.kind != 'f':
                unequal[spec.name] = max(unequal.get(spec.name, 0.0), _unequal_part(value, reference))
    for name, part in unequal.items():
        # Class indices and the order of equal values may differ from PyTorch for good reasons: no error.
        if part > _UNEQUAL and model.precision != 'int8':
            monitor.log(
                'warning', f'{part:.0%} of the whole numbers in {name} differ from the module on the example: compare '
                'more inputs before you use them')
    # int8 was compared on the inputs that were held out.
    limit = _LIMITS.get(model.precision) if chosen.max_difference is None else chosen.max_difference
    if limit is not None and model.precision != 'int8' and worst.relative > limit:
        raise ModelError(
            f'the engine differs from the module by {worst.relative:.2g} of the largest value in {model.precision}, '
            f'more than max_difference {limit:g}: the network may have branches that depend on its input; try '
            f'{"fp32, or " if model.precision == "fp16" else ""}another example, or raise max_difference')
    return worst.relative


def _unequal_part(found: np.ndarray, expected: np.ndarray) -> float:
    """Return how many values of an output differ, 0..1; all, if the shapes do."""
    if found.shape != expected.shape:
        return 1.0
    return float(np.mean(found != expected)) if expected.size else 0.0


def _first(calibration: Iterable[Any]) -> Iterable[tuple[int, Any]]:
    return zip(range(_MOST_SAMPLES), calibration)


def _sample(arguments: Arguments, specs: Sequence[TensorSpec], value: Any, index: int) -> Sample:
    """Return one item of `calibration` as arrays by name."""
    if isinstance(value, Mapping):
        values = [value.get(name) for name in arguments.names]
    else:
        values = list(value) if isinstance(value, (tuple, list)) else [value]
    if len(values) != len(specs):
        raise ParameterError(
            f'item {index} of calibration has {len(values)} inputs, expected {len(specs)} as in the example')
    arrays = [as_tensor(one, f'item {index} of calibration').cpu().numpy() for one in values]
    return _fitting(specs, arrays, index)


def _named_sample(specs: Sequence[TensorSpec], value: Any, index: int) -> Sample:
    """The same, of NumPy arrays."""
    values: list[Any]
    if isinstance(value, Mapping):
        values = [value.get(spec.name) for spec in specs]
    else:
        values = list(value) if isinstance(value, (tuple, list)) else [value]
    if len(values) != len(specs) or any(not isinstance(one, np.ndarray) for one in values):
        raise ParameterError(f'item {index} of calibration: expected {len(specs)} NumPy arrays')
    return _fitting(specs, values, index)


def _fitting(specs: Sequence[TensorSpec], arrays: Sequence[np.ndarray], index: int) -> Sample:
    for spec, array in zip(specs, arrays):
        fits = array.shape[1:] == spec.shape[1:] and array.shape[:1] != (0,) if spec.batched else (
            array.shape == spec.shape)
        if array.dtype != spec.dtype or not fits or len(array.shape) != len(spec.shape):
            raise ParameterError(
                f'item {index} of calibration has {array.dtype} {list(array.shape)} for {spec.name}, expected '
                f'{spec.dtype} {list(spec.shape)} as in the example')
    return {spec.name: np.array(array, order='C') for spec, array in zip(specs, arrays)}
