# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Build the TensorRT engine of a model, before it is deployed.

Without --output the engine is stored in the cache, for a node with the same parameters on the same GPU. Accuracy is
checked as in the node: always for int8 (disable with --min-agreement 0), otherwise only with --min-agreement. With
--output the engine is written to FILE and its description to FILE.json, and it is not run. TensorRT for RTX also builds
for other GPUs, and on a machine without a GPU:

  trt_perception build yolov3-tiny --precision fp16 --output yolo.plan --compute-capability 8.6,8.9
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..advice.backend import without_backend
from ..backends.tensorrt.cache.private_files import replace_private
from ..backends.tensorrt.cuda.gpu_info import gpu_obstacle
from ..backends.tensorrt.engine_pipeline import EnginePipeline
from ..backends.tensorrt.engine_source import EngineSource
from ..backends.tensorrt.library.compat import PREFERENCES, load_for
from ..backends.tensorrt.library.inspector import layers_from_records, precision_doubt, precision_shortfall, summarize
from ..errors import EngineError, MissingDependencyError, PerceptionError, printable
from ..model.spec import ModelSpec, require_onnx
from ..pipeline.options import PipelineOptions
from ..pipeline.tensorrt_options import BuildOptions, RunOptions
from ..precision.gate import needed_agreement
from ..user_files import read_whole
from .files import OutputError, Outputs
from .model_arguments import (
    add_calibration_arguments,
    add_gate_argument,
    add_model_arguments,
    calibration_options,
    calibration_source,
    console_monitor,
    files_read,
)
from .model_arguments import load as load_spec
from .parameter_options import add_parameter

# A description has all layers of the engine: some megabytes for the largest networks.
_MOST_DESCRIPTION = 100_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    add_model_arguments(parser, files='an ONNX file')
    add_parameter(parser, '--precision', 'precision', 'as the file is stored', default=None)
    add_calibration_arguments(parser)
    add_gate_argument(parser)
    add_parameter(parser, '--strict-precision', 'strict_precision')
    parser.add_argument(
        '--output', type=Path, metavar='FILE', help='write the engine to this file instead of the cache')
    parser.add_argument(
        '--compute-capability', action='append', type=_capabilities, default=[], metavar='X.Y[,X.Y...]',
        help='build for these GPUs instead of the GPU of this machine (TensorRT for RTX; with --output)')
    add_parameter(parser, '--workspace-mib', 'workspace_mib', metavar='MIB')
    add_parameter(parser, '--optimization-level', 'builder_optimization_level', metavar='LEVEL')
    add_parameter(
        parser, '--batch', 'batch_profile', '1 1 1; for a node with max_batch N and at least N cameras: 1 N N',
        metavar=('MIN', 'OPT', 'MAX'))
    add_parameter(parser, '--dla-core', 'dla_core', metavar='N')
    add_parameter(parser, '--hardware-compatibility', 'hardware_compatibility')
    add_parameter(parser, '--device-index', 'device_index', metavar='N')
    parser.add_argument(
        '--tensorrt', choices=PREFERENCES, default='auto', help='TensorRT to build with (default: %(default)s)')
    parser.add_argument(
        '--no-timing-cache', action='store_true', help='measure all kernels again, and do not store the measurements')
    parser.add_argument('--verbose', action='store_true', help="show all of TensorRT's log, not only its warnings")


def run(options: argparse.Namespace) -> int:
    """Build the engine and print its path and description."""
    try:
        return _build(options)
    except PerceptionError as error:
        error.args = (without_backend(str(error)),)
        raise


def _build(options: argparse.Namespace) -> int:
    capabilities = tuple(dict.fromkeys(text for texts in options.compute_capability for text in texts))
    if capabilities and options.output is None:
        raise EngineError('--compute-capability needs --output FILE: the cache is only for the GPU of this machine')
    if capabilities and options.strict_precision:
        raise EngineError(
            '--strict-precision cannot be used with --compute-capability: the precision of an engine is read on its '
            'target GPU; leave one of them out')
    if options.output is not None and options.min_agreement:
        raise EngineError(
            '--min-agreement cannot be used with --output: the engine is compared where it is loaded; leave one of '
            'them out')
    model = load_spec(options)
    require_onnx(model, 'build')
    if options.output is not None:
        outputs = Outputs(*files_read(options, model))
        outputs.new_file('--output', options.output)
        _check_description(outputs, _description(options.output))
    wanted = _options(options, model, capabilities)
    source = EngineSource(model, wanted, tensorrt=load_for(wanted.build, options.tensorrt))
    _require_possible(source, into_cache=options.output is None)
    # This may fetch a video, so it is done after the check that the engine can be built.
    wanted = replace(wanted, calibration=replace(wanted.calibration, source=calibration_source(options)))
    with console_monitor(options.verbose) as monitor:
        source = replace(source, options=wanted, monitor=monitor)
        source.require_plausible_outputs()
        prepared = source.prepare()
        if options.output is None:
            engine = source.engine(prepared)
            path, sidecar = engine.plan_path, engine.sidecar
        else:
            path = options.output
            built = source.build(prepared)
            sidecar = built.sidecar(model.path.name, {
                'model_sha256': prepared.spec.sha256, 'tensorrt': built.report['tensorrt'], **asdict(wanted.build)})
            replace_private(path, built.plan)
            replace_private(_description(path), (json.dumps(sidecar, indent=1) + '\n').encode())
    _report(path, sidecar, wanted.build)
    if options.output is not None or not needed_agreement(model, wanted):
        _check_precision(sidecar, wanted.precision, options.strict_precision)
    else:
        with console_monitor(options.verbose) as monitor:
            pipeline = EnginePipeline(replace(source, monitor=monitor), prepared=prepared)
            pipeline.open()
        try:
            print(f'  accuracy:  {pipeline.describe()["agreement"]}')
        finally:
            pipeline.close()
    return 0


def _options(options: argparse.Namespace, model: ModelSpec, capabilities: tuple[str, ...]) -> PipelineOptions:
    """Return the pipeline options of the arguments."""
    precision = options.precision or model.stored_precision
    return PipelineOptions(
        backend='tensorrt', precision=precision, strict_precision=options.strict_precision,
        calibration=calibration_options(options), min_agreement=options.min_agreement,
        timing_cache=not options.no_timing_cache,
        build=BuildOptions(
            precision=precision, input_size=tuple(options.input_size), batch=tuple(options.batch),
            workspace_mib=options.workspace_mib, optimization_level=options.optimization_level,
            dla_core=options.dla_core, hardware_compatibility=options.hardware_compatibility,
            compute_capabilities=capabilities),
        run=RunOptions(options.device_index))


def _require_possible(source: EngineSource, into_cache: bool) -> None:
    try:
        source.require_possible(into_cache)
    except (EngineError, MissingDependencyError) as error:
        if str(error) != gpu_obstacle():
            raise
        others = '; or build for another GPU with --output and --compute-capability' if (
            source.library.compute_capabilities()) else ''
        raise EngineError(f'an engine can only be built on a machine with a GPU: {error}{others}') from error


def _description(path: Path) -> Path:
    return path.with_name(f'{path.name}.json')


def _check_description(outputs: Outputs, path: Path) -> None:
    """Raise OutputError if the description cannot be written, or if it would replace another kind of file."""
    outputs.new_file('--output', path)
    try:
        found = json.loads(read_whole(path, _MOST_DESCRIPTION))
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or 'plan_sha256' not in found:
        raise OutputError(
            f'--output {path.with_suffix("")}: {path} exists and is not an engine description; choose another name')


def _report(path: Path, sidecar: dict[str, Any], options: BuildOptions) -> None:
    summary = summarize(layers_from_records(sidecar['layers']))
    runs_in = f'the engine runs in {summary.text()}' if summary.text() else (
        f'its types are read on a target GPU ({", ".join(options.compute_capabilities)})')
    print(
        f'{printable(path)}\n'
        f'  model:     {printable(sidecar["model"])}\n'
        f'  built by:  {sidecar["tensorrt"]} in {sidecar["build_seconds"]:.1f} s, {sidecar["built"]}\n'
        f'  size:      {sidecar["plan_bytes"] / 1e6:.1f} MB\n'
        f'  precision: {options.precision} requested; {runs_in}')


def _check_precision(sidecar: dict[str, Any], precision: str, strict: bool) -> None:
    summary = summarize(layers_from_records(sidecar['layers']))
    doubt = precision_doubt(precision, summary)
    if doubt and strict:
        raise EngineError(doubt)
    shortfall = precision_shortfall(precision, summary)
    if shortfall:
        print(f'warning: {shortfall}', file=sys.stderr)


def _capabilities(text: str) -> list[str]:
    parts = [part.strip() for part in text.split(',')]
    for part in parts:
        major, dot, minor = part.partition('.')
        if not (dot and major.isdigit() and minor.isdigit()):
            raise argparse.ArgumentTypeError(f'{text}: expected compute capabilities such as 8.6,8.9')
    return parts
