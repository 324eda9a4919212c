# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Tries whether a backend runs a model, with the same steps as when it is opened, but without building an engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..errors import EngineError, MissingDependencyError, PerceptionError
from ..model.spec import ModelSpec
from ..monitor import Monitor
from ..pipeline.options import PipelineOptions
from .create import BACKENDS, chosen_backend, create_pipeline


@dataclass(frozen=True)
class Trial:
    """The result for one backend.

    runs: whether it runs the model; None if this machine cannot tell, for example because it is not installed
    identity: name and version, '' if it is not installed
    error: why it does not run the model, or why this machine cannot tell; None if it runs
    spec: the model as the open pipeline runs it
    """

    runs: bool | None
    identity: str
    error: PerceptionError | None
    spec: ModelSpec


def try_backends(spec: ModelSpec, backend: str, monitor: Monitor) -> tuple[str, dict[str, Trial]]:
    """Return (the backend that would run the model here, the result of each backend by name).

    backend: auto to try each that reads this kind of file, otherwise the only one to try
    """
    options = PipelineOptions(
        backend=backend, precision=spec.stored_precision,
        build=replace(PipelineOptions().build, precision=spec.stored_precision))
    chosen = chosen_backend(backend, monitor, spec)
    return chosen, {
        name: (_try_tensorrt if name == 'tensorrt' else _try_to_open)(spec, replace(options, backend=name), monitor)
        for name in BACKENDS if name != 'auto' and backend in ('auto', name)
        and (name == 'litert') == (spec.file_format == 'tflite')}


def _try_to_open(spec: ModelSpec, options: PipelineOptions, monitor: Monitor) -> Trial:
    """Open the pipeline as every command does: load the model, run it, check its outputs."""
    pipeline = create_pipeline(spec, options, monitor=monitor)
    error: PerceptionError | None = None
    try:
        pipeline.open()
    except MissingDependencyError as missing:
        return Trial(None, '', missing, spec)
    except PerceptionError as refused:
        error = refused
    try:
        described = pipeline.describe()
        return Trial(error is None, f"{described['backend']} {described['backend_version']}", error, pipeline.spec)
    finally:
        pipeline.close()


def _try_tensorrt(spec: ModelSpec, options: PipelineOptions, monitor: Monitor) -> Trial:
    """Check the outputs on ONNX Runtime, as before a build, and let TensorRT read the model."""
    from .tensorrt.engine_source import EngineSource
    # A build logs TensorRT's warnings, about each layer of some networks; here they are not about the question.
    source = EngineSource(spec, options, Monitor(monitor.progress, cancel=monitor.cancel))
    try:
        identity = source.library.identity
    except (MissingDependencyError, EngineError) as error:
        return Trial(None, '', error, spec)
    try:
        source.require_plausible_outputs()
        source.require_parsable()
    except (MissingDependencyError, EngineError) as error:
        # Without a GPU only TensorRT for RTX reads a model.
        return Trial(None, identity, error, spec)
    except PerceptionError as error:
        return Trial(False, identity, error, spec)
    return Trial(True, identity, None, spec)
