# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Make an int8 or fp16 model file, and show its size, speed and accuracy.

int8 needs frames of what the camera will see (--calibration). Some frames calibrate. Other frames are held out to
measure the agreement with fp32, which decides which layers stay in float. The file runs on ONNX Runtime and TensorRT.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EngineError, ModelError, printable
from ..file_cache import replace_file
from ..image.frame import Frame
from ..model.spec import ModelOptions, ModelSpec, load_model
from ..model.unchanged import unchanged
from ..pipeline.host import HostPipeline
from ..pipeline.options import CalibrationOptions
from ..precision.expected import expected_agreement
from ..precision.parity import Agreement
from ..precision.prepare import ConversionOptions, PreparedModel, prepare_model
from ..precision.search import Target
from ..progress import ProgressCallback, counted
from .files import Outputs, write_report
from .model_arguments import (
    add_calibration_arguments,
    add_model_arguments,
    calibration_options,
    calibration_source,
    console_monitor,
    files_read,
    load,
)
from .numbers import fraction, not_negative
from .parameter_options import add_parameter

_TIMED_RUNS = 20
_TIMED_SECONDS = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    target = Target()
    add_model_arguments(parser)
    add_parameter(parser, '--precision', 'precision', 'int8', choices=('int8', 'fp16'), default='int8')
    add_calibration_arguments(parser)
    parser.add_argument(
        '--checking', type=not_negative, default=CalibrationOptions().checking, metavar='N',
        help='number of other frames of the source, to measure the agreement on (default: %(default)s)')
    parser.add_argument(
        '--keep-float', nargs='*', metavar='LAYER',
        help='layers that stay in float (without names: no layers), instead of the layers found by measuring')
    parser.add_argument(
        '--min-agreement', type=fraction, default=target.agreement, metavar='A',
        help='lowest agreement with fp32 that the search accepts (default: %(default)s)')
    parser.add_argument(
        '--max-score-difference', type=fraction, default=target.score_difference, metavar='D',
        help='largest mean score difference that the search accepts (default: %(default)s)')
    parser.add_argument(
        '--half-rest', action='store_true',
        help='store the float layers of an int8 file in float16, for TensorRT 10 and newer and for TensorRT for RTX')
    parser.add_argument(
        '--output', type=Path, metavar='FILE', help='the file to write (default: MODEL-PRECISION.onnx in this folder)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures as one JSON object')


def run(options: argparse.Namespace) -> int:
    """Convert, measure, print."""
    spec = load(options)
    if spec.stored_precision != 'fp32':
        raise ModelError(f'{spec.path.name} is stored in {spec.stored_precision}: expected an fp32 model')
    if options.half_rest and options.precision == 'fp16':
        raise ModelError('--half-rest needs --precision int8, found fp16: leave it out')
    calibration = replace(
        calibration_options(options), source=calibration_source(options), checking=options.checking)
    conversion = ConversionOptions(
        None if options.keep_float is None else tuple(options.keep_float),
        Target(options.min_agreement, options.max_score_difference), options.half_rest)
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
                    measured.append(_measure(spec, prepared, made, monitor.progress))
            except (ModelError, EngineError) as error:
                reason = str(error).replace(str(part), str(output))
                raise ModelError(f'{output} is not written, because it could not be measured: {reason}') from error

    # The file is written only after the model has run. Until then an older file stays.
    replace_file(output, make)
    (result,) = measured
    report = _report(spec, output, result)
    _print(report, result.prepared.record, result.agreement)
    if options.json:
        write_report('--json', options.json, json.dumps(report, indent=2) + '\n')
    return 0


@dataclass(frozen=True)
class _Measured:
    """The converted model, its agreement with fp32 (None without frames), median milliseconds of fp32 and of it."""

    prepared: PreparedModel
    agreement: Agreement | None
    times: tuple[float, float]


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
        samples: tuple[list[float], list[float]] = ([], [])
        until = time.monotonic() + _TIMED_SECONDS
        for turn in counted(range(_TIMED_RUNS), 'timing inference', _TIMED_RUNS, progress):
            for pipeline, values in zip((first, second), samples):
                values.append(pipeline.run(frames[turn % len(frames)]).timings_ms['infer'])
            if time.monotonic() > until:
                break
    return float(np.median(samples[0])), float(np.median(samples[1]))


def _report(spec: ModelSpec, output: Path, result: _Measured) -> dict[str, Any]:
    from ..dependencies import require
    prepared = result.prepared
    return {
        'model': str(spec.path), 'output': str(output), 'precision': prepared.precision,
        'conversion': prepared.record, 'agreement': result.agreement.as_dict() if result.agreement else None,
        'bytes': [spec.path.stat().st_size, output.stat().st_size],
        'onnxruntime_cpu_ms': [round(value, 2) for value in result.times],
        'onnxruntime': require('onnxruntime').__version__, 'cores': os.cpu_count(),
        'warnings': list(prepared.warnings)}


def _print(report: dict[str, Any], record: dict[str, Any], agreement: Agreement | None) -> None:
    print(f"{printable(report['output'])}: {report['precision']}")
    if report['precision'] == 'int8':
        print(f"calibration: {record['samples']} samples, method {record['method']}, "
              f"sha256 {record['calibration_sha256'][:16]}")
        if record['losses']:
            tried = ', '.join(f'{name} {loss:.4f}' for name, loss in record['losses'].items())
            print(f'loss by method, all in int8: {tried}')
        print(f"int8 ({len(record['int8'])} layers, {record['int8_share']:.0%} of the multiplications): "
              f"{' '.join(record['int8'])}")
    kept = record['kept_float']
    print(f"float ({len(kept)} {'layers' if report['precision'] == 'int8' else 'nodes'}): {' '.join(kept) or 'none'}")
    for what, text in (('clipped', 'beyond 65504, clipped'), ('vanished', 'below the smallest half, now 0 or that')):
        counts = record.get(what)
        if counts:
            print(f'weights {text}: {sum(counts.values())} in {" ".join(counts)}')
    for name, peak in record.get('overflowing', {}).items():
        print(f'{name}: stays in float, its largest result is {peak:.3g} (the largest half is 65504)')
    if agreement is not None:
        print(f'compared with fp32, {report["precision"]} rounding computed exactly: {agreement.summary()}')
    else:
        print('agreement not measured: give frames with --calibration, and --checking above 0')
    before, after = report['bytes']
    print(f'size: {before / 1e6:.1f} -> {after / 1e6:.1f} MB')
    before, after = report['onnxruntime_cpu_ms']
    print(f"inference on ONNX Runtime {report['onnxruntime']}, {report['cores']} CPU cores, median: {before:.1f} -> "
          f'{after:.1f} ms (the gain is on TensorRT)')
