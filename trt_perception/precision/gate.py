# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy gate: a model in another precision or on another backend must find what ONNX Runtime finds in fp32.

A file stored in fp16 or int8 has no fp32 reference: it is compared with the same file on ONNX Runtime. For such a file
the gate is off, except if min_agreement is set, or if the file is int8 and there is a calibration source: the frames of
that source have no other use.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from ..advice.backend import or_backend
from ..errors import CalibrationError, EngineError
from ..image.frame import Frame
from ..model.spec import ModelSpec
from ..model.unchanged import unchanged
from ..monitor import Monitor
from ..ort.backend import OnnxRuntimeBackend
from ..pipeline.host import HostPipeline
from ..pipeline.interface import Pipeline, PostprocessSettings
from ..pipeline.options import PipelineOptions
from .agreement_report import AgreementReport
from .calibration_frames import read_samples
from .parity import compare
from .stored_int8 import sums_saturate


def needed_agreement(spec: ModelSpec, options: PipelineOptions) -> float:
    """Return the lowest accepted agreement of this model, 0 without a gate.

    spec: of the model as the user gave it
    """
    by_default = spec.stored_precision == 'fp32' or (spec.stored_precision == 'int8' and options.calibration.source)
    if options.min_agreement is None and not by_default:
        return 0.0
    return options.needed_agreement


def require_frames(spec: ModelSpec, options: PipelineOptions, frames: Sequence[Frame]) -> None:
    """Raise CalibrationError if there is a gate but no frames to compare on, before a build takes minutes.

    frames: those that calibration held out for checking, usually none if there was no calibration
    """
    if needed_agreement(spec, options) and not frames and not options.calibration.source:
        raise CalibrationError(
            f'min_agreement is {needed_agreement(spec, options)}, but there are no frames to compare on: set '
            'calibration_source to a folder of images, a video or a rosbag2, or min_agreement to 0.0')


def checking_frames(
    spec: ModelSpec, options: PipelineOptions, frames: Sequence[Frame], monitor: Monitor,
) -> Sequence[Frame]:
    """Return the frames to compare on: these, or without any, some of the calibration source.

    Logs what is missing in the source or cannot be read, as a conversion does.
    Raises CalibrationError if there are neither frames nor a source, SourceError if the source cannot be opened,
    EngineError if `monitor.cancel` is set.
    """
    require_frames(spec, options, frames)
    if frames:
        return frames
    calibration = options.calibration
    samples = read_samples(
        calibration.source, calibration.checking, 0, calibration.topic,
        monitor.following(_comparing(spec)), calibration.images)
    for fault in samples.faults:
        monitor.log('warning', fault)
    return samples.calibration


def comparison_identity(spec: ModelSpec, frames: Sequence[Frame], settings: PostprocessSettings) -> str:
    """Return a digest that distinguishes measurements of the same engine.

    It covers the pixels, the preprocessing, the head that reads the output, and the thresholds.
    """
    thresholds = {'detection': asdict(settings.detection), 'classification': asdict(settings.classification)}
    digest = hashlib.sha256(json.dumps(thresholds, sort_keys=True, default=sorted).encode())
    preprocessing = ', '.join(f'{name}={value!r}' for name, value in spec.preprocessing.identity().items())
    digest.update(f'{spec.sha256} {spec.input_shape} Preprocessing({preprocessing}) {spec.head}'.encode())
    for frame in frames:
        digest.update(f'{frame.encoding} {frame.width} {frame.height} {frame.step} {frame.is_bigendian} '.encode())
        if frame.significant_bits != 16:
            digest.update(f'{frame.significant_bits} bits '.encode())
        digest.update(frame.data.tobytes())
    return digest.hexdigest()


def measure_agreement(
    spec: ModelSpec, candidate: Pipeline, options: PipelineOptions, frames: Sequence[Frame], monitor: Monitor,
) -> AgreementReport:
    """Compare an open pipeline with ONNX Runtime.

    spec: of the model as the user gave it, usually fp32
    frames: of checking_frames
    Raises EngineError if a pipeline fails or if `monitor.cancel` is set, ModelError if the model's files have changed.
    """
    def until_cancelled() -> Iterator[Frame]:
        for frame in frames:
            monitor.check(_comparing(spec))
            yield frame

    monitor.progress(f'comparing with ONNX Runtime {spec.stored_precision} on {len(frames)} frames', 0, None)
    # A cancellation counts before the reference model is loaded.
    monitor.check(_comparing(spec))
    compared = comparison_identity(spec, frames, candidate.settings)
    backend = OnnxRuntimeBackend(
        spec.path, options.num_threads, monitor, exact_sums=sums_saturate(spec.path, spec.stored_precision))
    with unchanged(spec.path, spec.sha256, 'it was compared', spec.files), \
            HostPipeline(spec, backend, candidate.settings) as reference:
        agreement = compare(reference, candidate, until_cancelled())
    if agreement.says_nothing:
        monitor.log(
            'warning', 'the accuracy check measured nothing, because nothing was detected in the frames: give frames '
            'that show what the model detects')
    elif agreement.doubt:
        monitor.log('warning', f'the accuracy check is not reliable: {agreement.doubt}; give more frames')
    return AgreementReport.of(agreement, options.calibration.source, compared)


def require_agreement(spec: ModelSpec, report: AgreementReport, options: PipelineOptions) -> None:
    """Raise EngineError with the numbers if the agreement is lower than needed."""
    needed = needed_agreement(spec, options)
    # Frames without objects refuse the model only if the user set min_agreement; otherwise they gave a warning.
    if needed and options.min_agreement is not None and report.says_nothing:
        raise EngineError(
            f'min_agreement is {needed}, but {report.summary}: set calibration_source to frames that show what the '
            'model detects, or min_agreement to 0.0')
    if report.value < needed:
        raise EngineError(
            f'{options.precision} loses too much accuracy: expected an agreement of {needed:.3f} or more with ONNX '
            f'Runtime {spec.stored_precision}, found {report.value:.3f} ({report.summary}); {_advice(spec, options)}')


def _comparing(spec: ModelSpec) -> str:
    return f'comparing {spec.path.name} with ONNX Runtime'


def _advice(spec: ModelSpec, options: PipelineOptions) -> str:
    if options.precision == spec.stored_precision:
        return f'lower min_agreement{or_backend()}'
    if options.precision == 'fp16':
        return 'use fp32, or lower min_agreement'
    return "use fp16, or calibrate with frames more like the camera's, or lower min_agreement"
