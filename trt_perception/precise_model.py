# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The model file in the precision asked for, with what the conversion says passed on."""

from __future__ import annotations

from .model import ModelSpec
from .pipeline_options import Monitor, PipelineOptions
from .precision.prepare import CalibrationOptions, PreparedModel, prepare_model


def precise_model(spec: ModelSpec, options: PipelineOptions, monitor: Monitor) -> PreparedModel:
    """Return the model in `options.precision`; made once, then cached. Raises what prepare_model raises."""
    def progress(text: str, done: int, total: int | None) -> None:
        monitor.on_progress(done / total if total else None, text)

    prepared = prepare_model(
        spec, options.precision,
        CalibrationOptions(
            source=options.calibration_source or None, samples=options.calibration_samples,
            method=options.calibration_method),
        progress=progress)
    for warning in prepared.warnings:
        monitor.on_log('warning', warning)
    return prepared
