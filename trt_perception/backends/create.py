# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses the pipeline for a model."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping

from ..dependencies import require
from ..errors import EngineError, MissingDependencyError, ModelError, listed, printable
from ..model.heads.classification import ClassificationHead
from ..model.heads.detection import FamilyHead
from ..model.heads.several_lists import further_lists
from ..model.spec import ModelSpec
from ..monitor import Monitor
from ..pipeline.interface import Pipeline, PostprocessSettings
from ..pipeline.options import PipelineOptions


def create_pipeline(
    spec: ModelSpec, options: PipelineOptions | None = None, settings: PostprocessSettings | None = None,
    monitor: Monitor | None = None,
) -> Pipeline:
    """Return an unopened pipeline for the model.

    monitor: follows the progress of `open`, which takes minutes if an engine is built
    Raises ModelError if the backend is unknown or does not read this kind of file.
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
    chosen, reason = _choice(options.backend, monitor or Monitor(), spec)
    if reason and monitor is not None:
        monitor.log('info', f'backend auto: {chosen}, because {reason}')
    return _CREATE[chosen](spec, options, settings, monitor)


def chosen_backend(backend: str, monitor: Monitor, spec: ModelSpec) -> str:
    """Return the backend that runs the model here: `backend`, or for auto the best one.

    Raises ModelError if it is unknown or does not read this kind of file.
    """
    return _choice(backend, monitor, spec)[0]


def _choice(backend: str, monitor: Monitor, spec: ModelSpec) -> tuple[str, str]:
    """Return the backend, and for auto the reason, otherwise ''."""
    if backend not in BACKENDS:
        raise ModelError(f"backend is '{backend}': expected one of {', '.join(BACKENDS)}")
    if backend != 'auto':
        require_readable(backend, spec)
        return backend, ''
    if spec.file_format == 'tflite':
        return 'litert', 'the model is a .tflite file'
    if tensorrt_runs(monitor):
        return 'tensorrt', 'a GPU, TensorRT and a CUDA package are found'
    if _openvino_runs(monitor):
        return 'openvino', 'TensorRT does not run here, and openvino is installed'
    return 'onnxruntime', 'TensorRT does not run here, and openvino is not installed'


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
    from .tensorrt.engine_pipeline import EnginePipeline
    from .tensorrt.engine_source import EngineSource
    return EnginePipeline(EngineSource(spec, options, monitor or Monitor()), settings)


# The names of the backends, and what creates the pipeline of each. Its module is imported only if it is chosen.
_CREATE: Mapping[
    str, Callable[[ModelSpec, PipelineOptions, PostprocessSettings | None, Monitor | None], Pipeline]] = {
        'onnxruntime': _onnxruntime, 'openvino': _openvino, 'tensorrt': _tensorrt, 'litert': _litert}
BACKENDS = ('auto', *_CREATE)


def tensorrt_runs(monitor: Monitor) -> bool:
    """Return whether a GPU, TensorRT and pycuda or cuda-bindings are available; log the reason if only the GPU is."""
    from .tensorrt.cuda.gpu_info import has_gpu
    from .tensorrt.cuda.provider import cuda_provider
    from .tensorrt.library.compat import load
    if not has_gpu():
        return False
    try:
        load()
        cuda_provider()
    except (MissingDependencyError, EngineError) as error:
        # A robot with an idle GPU is as slow as one without a GPU, so the log says why.
        monitor.log('warning', f'this machine has a GPU, but the model runs on the CPU: {error}')
        return False
    return True


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
