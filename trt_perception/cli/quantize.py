# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Make an int8 or fp16 model file, and show its size, speed and accuracy.

int8 needs frames that are typical of your camera (--calibration). Some of the frames calibrate int8. Other frames
measure the agreement with fp32, and the agreement decides which layers stay in float. By default, an int8 file is for
TensorRT. With --form cpu, it is for ONNX Runtime on a CPU, with --form openvino for OpenVINO.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CalibrationError, EngineError, ModelError
from ..file_cache import replace_file
from ..image.frame import Frame
from ..model.spec import ModelOptions, ModelSpec, load_model, require_onnx
from ..model.unchanged import unchanged
from ..pipeline.host import HostPipeline
from ..pipeline.options import CalibrationOptions
from ..pipeline.timing import times_in_turns
from ..precision.expected import expected_agreement
from ..precision.form import FORMS
from ..precision.graph import stored_bytes
from ..precision.parity import Agreement
from ..precision.prepare import PreparedModel, prepare_model
from ..progress import ProgressCallback, counted
from .files import Outputs, write_report
from .model_arguments import (
    add_calibration_arguments,
    add_model_arguments,
    calibration_source,
    console_monitor,
    files_read,
    load,
)
from .parameter_options import add_parameter
from .quantize_options import (
    add_check_arguments,
    calibration_options,
    conversion_options,
    missed_target,
    require_useful,
)
from .quantize_report import print_report

_TIMED_RUNS = 20
_TIMED_SECONDS = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    add_model_arguments(parser, files='an ONNX file')
    add_parameter(parser, '--precision', 'precision', 'int8', choices=('int8', 'fp16'), default='int8')
    add_calibration_arguments(parser)
    add_check_arguments(parser)
    parser.add_argument(
        '--half-rest', action='store_true',
        help='store the float layers of an int8 file in float16, for TensorRT 10 and newer and for TensorRT for RTX')
    parser.add_argument(
        '--form', choices=FORMS, help='what the int8 file is for: tensorrt; or, on a CPU like this one, cpu: ONNX '
        f'Runtime, or openvino (default: {FORMS[0]})')
    parser.add_argument(
        '--output', type=Path, metavar='FILE', help='the file to write (default: MODEL-PRECISION.onnx in this folder)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures as one JSON object')


def run(options: argparse.Namespace) -> int:
    """Convert, measure, print."""
    spec = load(options)
    require_onnx(spec, 'quantize')
    if spec.stored_precision != 'fp32':
        raise ModelError(f'{spec.path.name} is stored in {spec.stored_precision}: expected an fp32 model')
    require_useful(options, spec)
    calibration, conversion = calibration_options(options, calibration_source(options)), conversion_options(options)
    output = options.output if options.output is not None else Path(f'{spec.path.stem}-{options.precision}.onnx')
    outputs = Outputs(*files_read(options, spec))
    outputs.new_file('--output', output)
    outputs.file('--json', options.json)
    measured: list[_Measured] = []

    def make(part: Path) -> None:
        with console_monitor() as monitor:
            prepared = prepare_model(spec, options.precision, calibration, part, monitor, conversion=conversion)
        made = ModelOptions(
            task=options.task, head=options.head, output_name=options.output_name, labels=options.labels,
            input_size=tuple(options.input_size))
        with console_monitor() as monitor:
            try:
                with unchanged(spec.path, spec.sha256, 'it was measured', spec.files, storing=False):
                    result = _measure(spec, prepared, made, monitor.progress)
            except (ModelError, EngineError) as error:
                reason = str(error).replace(str(part), str(output))
                raise ModelError(f'{output} is not written, because it could not be measured: {reason}') from error
        missed = missed_target(options, result.agreement)
        if missed:
            raise ModelError(f'{output} is not written, because it misses the target: {missed}')
        measured.append(result)

    # The file is written only after the model has run. Until then an older file stays.
    replace_file(output, make)
    (result,) = measured
    report = _report(spec, output, result)
    print_report(report, result.prepared.record, result.agreement, result.doubt)
    if options.json:
        write_report('--json', options.json, json.dumps(report, indent=2) + '\n')
    if result.doubt:
        raise CalibrationError(
            f'{output} is written, but its accuracy is not checked: {result.doubt}. Give more images of what the '
            f'camera will see (usual for checking: {CalibrationOptions().checking}), or --checking 0 for no check')
    return 0


@dataclass(frozen=True)
class _Measured:
    """The converted model, its agreement with fp32 (None without frames), median milliseconds of fp32 and of it."""

    prepared: PreparedModel
    agreement: Agreement | None
    times: tuple[float, float]

    @property
    def doubt(self) -> str:
        """The reason why the frames did not check the model, '' if they did or if there are no frames."""
        if self.agreement is None:
            return ''
        if self.agreement.doubt or self.prepared.held_out or self.prepared.precision != 'int8':
            return self.agreement.doubt
        return f'there were only {self.agreement.frames} frames, and all of them were used for calibration'


def _measure(
    spec: ModelSpec, prepared: PreparedModel, options: ModelOptions, progress: ProgressCallback,
) -> _Measured:
    frames = prepared.checking
    made = load_model(prepared.path, options)
    agreement = expected_agreement(spec, prepared, frames, progress=progress) if frames else None
    return _Measured(prepared, agreement, _times(spec, made, frames, progress))


def _times(
    reference: ModelSpec, candidate: ModelSpec, frames: Sequence[Frame], progress: ProgressCallback,
) -> tuple[float, float]:
    """Return the median inference times of both models in milliseconds, measured in turns."""
    from ..ort.backend import OnnxRuntimeBackend
    frames = frames or [Frame.from_bgr(np.full((reference.height, reference.width, 3), 114, np.uint8))]
    with HostPipeline(reference, OnnxRuntimeBackend(reference.path)) as first, \
            HostPipeline(candidate, OnnxRuntimeBackend(candidate.path)) as second:
        turns = counted(range(_TIMED_RUNS), 'timing inference', _TIMED_RUNS, progress)
        return times_in_turns(first, second, frames, turns, _TIMED_SECONDS)


def _report(spec: ModelSpec, output: Path, result: _Measured) -> dict[str, Any]:
    from ..dependencies import require
    prepared = result.prepared
    return {
        'model': str(spec.path), 'output': str(output), 'precision': prepared.precision,
        'conversion': prepared.record, 'agreement': result.agreement.as_dict() if result.agreement else None,
        'checked': result.agreement is not None and not result.doubt,
        'bytes': [stored_bytes(spec.path), stored_bytes(output)],
        'onnxruntime_cpu_ms': [round(value, 2) for value in result.times],
        'onnxruntime': require('onnxruntime').__version__, 'cores': os.cpu_count(),
        'warnings': list(prepared.warnings)}
