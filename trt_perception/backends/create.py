# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses the pipeline for a model."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..dependencies import require
from ..errors import EngineError, MissingDependencyError, ModelError, listed, printable
from ..model.heads.classification import ClassificationHead
from ..model.heads.detection import FamilyHead
from ..model.heads.several_lists import further_lists
from ..model.spec import ModelSpec
from ..monitor import Monitor
from ..pipeline.host import HostPipeline
from ..pipeline.interface import Pipeline, PostprocessSettings
from ..pipeline.options import PipelineOptions


def create_pipeline(
    spec: ModelSpec, options: PipelineOptions | None = None, settings: PostprocessSettings | None = None,
    monitor: Monitor | None = None,
) -> Pipeline:
    """Return an unopened pipeline for the model.

    monitor: follows the progress of `open`, which takes minutes if an engine is built
    Raises ModelError if the backend is unknown, does not read this kind of file or does not fit the device; EngineError
    if the model would run on the CPU although a GPU is wanted, and strict_device is set, or if max_batch is larger than
    the batch profile.
    """
    options = options or PipelineOptions()
    if isinstance(spec.head, FamilyHead) and spec.head.remark and monitor is not None:
        monitor.log('info', f'{spec.path.name} is {spec.head.family}: {spec.head.remark}')
    if isinstance(spec.head, ClassificationHead) and monitor is not None:
        others = further_lists(spec.outputs, spec.head)
        if others:
            monitor.log('info', (
                f"{spec.path.name}: the scores are output '{printable(spec.head.output_name)}'; output_name chooses "
                f"another of {listed([*others, spec.head.output_name], 8)}"))
    choice = _choice(options.backend, monitor or Monitor(), spec, options.device)
    if choice.fallback:
        if options.strict_device:
            raise EngineError(
                f'{choice.fallback}; strict_device is set: fix the cause, or set strict_device to false')
        if monitor is not None:
            # A robot with an idle GPU is as slow as one without a GPU, so the log says why.
            monitor.log('warning', choice.fallback)
    if choice.reason and monitor is not None:
        monitor.log('info', f'backend auto: {choice.backend}, because {choice.reason}')
    pipeline = _CREATE[choice.backend](spec, options, settings, monitor)
    if isinstance(pipeline, HostPipeline):
        pipeline.device_fallback = choice.fallback
    return pipeline


def chosen_backend(backend: str, monitor: Monitor, spec: ModelSpec) -> str:
    """Return the backend that runs the model here: `backend`, or for auto the best one.

    Raises ModelError if it is unknown or does not read this kind of file.
    """
    choice = _choice(backend, monitor, spec)
    if choice.fallback:
        monitor.log('warning', choice.fallback)
    return choice.backend


@dataclass(frozen=True)
class _Choice:
    """A backend.

    reason: why auto chose it, or ''; fallback: why it runs on the CPU although a GPU is wanted, or ''
    """

    backend: str
    reason: str = ''
    fallback: str = ''


def _choice(backend: str, monitor: Monitor, spec: ModelSpec, device: str = 'auto') -> _Choice:
    if backend not in BACKENDS:
        raise ModelError(f"backend is '{backend}': expected one of {', '.join(BACKENDS)}")
    if backend != 'auto':
        require_readable(backend, spec)
        if device == 'cpu' and backend == 'tensorrt':
            raise ModelError(
                'device is cpu, but backend is tensorrt, which runs on a GPU: set device to auto, or backend to auto')
        return _Choice(backend, '', _asked(device, backend, 'set backend to tensorrt or auto'))
    if spec.file_format == 'tflite':
        return _Choice('litert', 'the model is a .tflite file', _asked(
            device, 'litert', 'a GPU runs ONNX files only: give the ONNX file of the model'))
    if device == 'cpu':
        obstacle, fallback = 'device is cpu', ''
    else:
        gpu, obstacle = tensorrt_obstacle()
        if not obstacle:
            return _Choice('tensorrt', 'a GPU, TensorRT and a CUDA package are found')
        fallback = f'this machine has a GPU, but the model runs on the CPU: {obstacle}' if gpu else ''
    chosen, reason = _on_cpu(monitor, spec)
    why = 'device is cpu' if device == 'cpu' else 'TensorRT does not run here'
    return _Choice(chosen, f'{why}, and {reason}', _asked(device, chosen, obstacle) or fallback)


def _on_cpu(monitor: Monitor, spec: ModelSpec) -> tuple[str, str]:
    """Return the backend for an ONNX file on the CPU, and why."""
    if _openvino_runs(monitor):
        return 'openvino', 'openvino is installed'
    return 'onnxruntime', 'openvino is not installed'


def _asked(device: str, backend: str, why: str) -> str:
    """Return why the model runs on the CPU although the user asked for the GPU, '' if it does not."""
    if device != 'gpu' or backend == 'tensorrt':
        return ''
    return f'device gpu was requested, but {_LIBRARIES[backend]} runs the model on the CPU: {why}'


def require_readable(backend: str, spec: ModelSpec) -> None:
    """Raise ModelError if the backend (not auto) cannot read the model's kind of file."""
    name = spec.path.name
    if spec.file_format == 'tflite' and backend != 'litert':
        raise ModelError(
            f'backend is {backend}, but {name} is a TensorFlow Lite model: expected an ONNX file; set backend to auto '
            'or litert, or export the original model to ONNX')
    if spec.file_format != 'tflite' and backend == 'litert':
        raise ModelError(
            f'backend is litert, but {name} is an ONNX file: expected a .tflite file; set backend to auto, onnxruntime '
            'or tensorrt, or convert the model to .tflite (docs/litert.md)')


def _onnxruntime(
    spec: ModelSpec, options: PipelineOptions, settings: PostprocessSettings | None, monitor: Monitor | None,
) -> Pipeline:
    from .onnxruntime_pipeline import OnnxRuntimePipeline
    return OnnxRuntimePipeline(spec, options, settings, monitor)


def _openvino(
    spec: ModelSpec, options: PipelineOptions, settings: PostprocessSettings | None, monitor: Monitor | None,
) -> Pipeline:
    from .openvino_pipeline import OpenVinoPipeline
    return OpenVinoPipeline(spec, options, settings, monitor)


def _litert(
    spec: ModelSpec, options: PipelineOptions, settings: PostprocessSettings | None, monitor: Monitor | None,
) -> Pipeline:
    from .litert_pipeline import LiteRtPipeline
    return LiteRtPipeline(spec, options, settings, monitor)


def _tensorrt(
    spec: ModelSpec, options: PipelineOptions, settings: PostprocessSettings | None, monitor: Monitor | None,
) -> Pipeline:
    from .tensorrt.batches import with_batches
    from .tensorrt.engine_pipeline import EnginePipeline
    from .tensorrt.engine_source import EngineSource
    run = replace(options.run, concurrent_runs=max(1, options.concurrent_runs, options.run.concurrent_runs))
    chosen = with_batches(spec, replace(options, run=run))
    return EnginePipeline(EngineSource(spec, chosen, monitor or Monitor()), settings)


# The names of the backends, and what creates the pipeline of each. Its module is imported only if it is chosen.
_CREATE: Mapping[
    str, Callable[[ModelSpec, PipelineOptions, PostprocessSettings | None, Monitor | None], Pipeline]] = {
        'onnxruntime': _onnxruntime, 'openvino': _openvino, 'tensorrt': _tensorrt, 'litert': _litert}
BACKENDS = ('auto', *_CREATE)


# The libraries that run on the CPU, by backend, as messages name them.
_LIBRARIES = {'onnxruntime': 'ONNX Runtime', 'openvino': 'OpenVINO', 'litert': 'LiteRT'}


def tensorrt_runs(monitor: Monitor) -> bool:
    """Return whether a GPU, TensorRT and pycuda or cuda-bindings are available; log the reason if only the GPU is."""
    gpu, obstacle = tensorrt_obstacle()
    if gpu and obstacle:
        monitor.log('warning', f'this machine has a GPU, but the model runs on the CPU: {obstacle}')
    return not obstacle


def tensorrt_obstacle() -> tuple[bool, str]:
    """Return whether there is a GPU with its driver, and why TensorRT cannot run on it: '' if it can."""
    from .tensorrt.cuda.gpu_info import gpu_obstacle, has_gpu
    from .tensorrt.cuda.provider import cuda_provider
    from .tensorrt.library.compat import load

    if not has_gpu():
        return False, gpu_obstacle() or 'no GPU is found'
    try:
        load()
        cuda_provider()
    except (MissingDependencyError, EngineError) as error:
        return True, str(error)
    return True, ''


def _openvino_runs(monitor: Monitor) -> bool:
    """Return whether openvino is installed; log the reason if it is but cannot be imported."""
    if importlib.util.find_spec('openvino') is None:
        return False
    try:
        require('openvino')
    except MissingDependencyError as error:
        monitor.log('warning', f'OpenVINO is not used: {error}')
        return False
    return True
