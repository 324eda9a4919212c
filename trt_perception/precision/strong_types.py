# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The model file in the precision asked for, with what the conversion says passed on."""

from __future__ import annotations

from ..errors import ModelError
from ..model.spec import ModelSpec
from ..pipeline.options import Monitor, PipelineOptions
from .prepare import CalibrationOptions, PreparedModel, prepare_model, with_half_rest


def require_convertible(spec: ModelSpec, options: PipelineOptions) -> None:
    """Raise what precise_model would raise at once, but convert nothing: ModelError, CalibrationError."""
    missing = not options.calibration_source and options.precision == 'int8' != spec.stored_precision
    if missing or spec.stored_precision not in ('fp32', options.precision):
        # Which says why: neither gets as far as reading anything.
        prepare_model(spec, options.precision)


def precise_model(
    spec: ModelSpec, options: PipelineOptions, monitor: Monitor, strongly_typed: bool = False,
) -> PreparedModel:
    """Return the model in `options.precision`; made once, then cached.

    Raises what prepare_model raises, and EngineError once `monitor.cancel` is set.

    strongly_typed: what runs the file takes its types literally, so that the float layers of an int8 model have to be
        float16 in the file to run so
    """
    progress = monitor.following(f'{options.precision} of {spec.path.name}')
    prepared = prepare_model(
        spec, options.precision,
        CalibrationOptions(
            source=options.calibration_source or None, topic=options.calibration_topic or None,
            samples=options.calibration_samples, method=options.calibration_method),
        progress=progress)
    for warning in prepared.warnings:
        monitor.on_log('warning', warning)
    if not (strongly_typed and prepared.rest_is_float32):
        return prepared
    if prepared.path == spec.path:
        # Somebody chose to store it so.
        monitor.on_log('info', (
            f'{spec.path.name} has its float layers in float32, in which they run here: '
            'trt_perception quantize --half-rest stores them in float16, which is faster'))
        return prepared
    try:
        return with_half_rest(spec, prepared, progress=progress)
    except ModelError as error:
        monitor.on_log('warning', f"the int8 model's float layers run in float32, which is slower: {error}")
        return prepared
