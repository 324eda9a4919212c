# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy gate: a model in another precision or on another backend must find what ONNX Runtime finds in fp32."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .backends.onnxruntime import OnnxRuntimeBackend
from .errors import CalibrationError, EngineError
from .frame import Frame
from .model import ModelSpec
from .pipeline import HostPipeline, Pipeline
from .pipeline_options import Monitor, PipelineOptions
from .precision.parity import compare
from .precision.samples import read_samples

_FRAMES = 24


def measure_agreement(
    spec: ModelSpec, candidate: Pipeline, options: PipelineOptions, frames: Sequence[Frame], monitor: Monitor,
) -> dict[str, Any]:
    """Compare an open pipeline with ONNX Runtime fp32; returns Agreement's values, `value` and `summary` among them.

    spec: of the fp32 model; frames: to compare on, where empty they are read from the calibration source.
    Raises CalibrationError where there is none, EngineError if a pipeline fails.
    """
    if not frames:
        if not options.calibration_source:
            raise CalibrationError(
                f'min_agreement is {options.needed_agreement}, but there are no frames to compare on: set '
                'calibration_source to a folder of images, a video or a rosbag2, or min_agreement to 0.0')
        frames = read_samples(options.calibration_source, 1, _FRAMES).checking
    monitor.on_progress(None, f'comparing with ONNX Runtime fp32 on {len(frames)} frames')
    with HostPipeline(spec, OnnxRuntimeBackend(spec.path, options.num_threads), candidate.settings) as reference:
        agreement = compare(reference, candidate, frames)
    if agreement.says_nothing:
        monitor.on_log('warning', 'the accuracy gate says nothing: neither run found anything on the frames')
    return {**agreement.as_dict(), 'value': agreement.value, 'summary': agreement.summary()}


def require_agreement(report: Mapping[str, Any], options: PipelineOptions) -> None:
    """Raise EngineError with the numbers where the agreement is below the one needed."""
    if report['value'] < options.needed_agreement:
        raise EngineError(
            f'{options.precision} loses too much: agreement {report["value"]:.3f} with ONNX Runtime fp32, needed is '
            f'{options.needed_agreement:.3f} ({report["summary"]}); take fp16, or calibrate with frames more like the '
            "camera's, or lower min_agreement")
