# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Arguments about the model and its thresholds, shared by the subcommands that run a model."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..backends.create import create_pipeline
from ..catalogue.resolve import resolve_model, resolve_video
from ..errors import SourceError, one_line, printable
from ..image.options import DROP, ImageOptions
from ..model.heads.classification import ClassificationSettings
from ..model.heads.yolo import DetectionSettings
from ..model.labels import SHIPPED
from ..model.normalisation import Overrides
from ..model.onnx_file import load_proto
from ..model.onnx_tensors import all_tensors
from ..model.spec import ModelOptions, ModelSpec, load_model
from ..monitor import Monitor
from ..parameters.checks import class_indices
from ..parameters.table import PREPROCESSING, Values
from ..pipeline.interface import Pipeline, PostprocessSettings
from ..pipeline.options import PRECISIONS, CalibrationOptions, PipelineOptions
from ..pipeline.tensorrt_options import BuildOptions
from ..progress import ConsoleProgress
from .numbers import above_zero, fraction
from .parameter_options import add_parameter
from .suggestions import closest
from .together import require_beside


def add_model_arguments(
    parser: argparse.ArgumentParser, as_option: bool = False, files: str = 'an ONNX or .tflite file',
) -> None:
    """Add MODEL and the options for reading it.

    as_option: as --model MODEL, for a subcommand whose files come first
    files: the kinds of files that the subcommand takes
    """
    text = f'{files}, or the name of a catalogue model (downloaded if it is not in the cache)'
    if as_option:
        parser.add_argument('--model', required=True, metavar='MODEL', help=text)
    else:
        parser.add_argument('model', metavar='MODEL', help=text)
    add_parameter(parser, '--labels', 'labels_file', metavar='FILE')
    add_parameter(parser, '--task', 'task')
    add_parameter(parser, '--head', 'head')
    add_parameter(parser, '--output-name', 'output_name', metavar='NAME')
    add_parameter(parser, '--input-size', 'input_size', metavar=('WIDTH', 'HEIGHT'))
    add_preprocessing_arguments(parser)


def add_preprocessing_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that replace the preprocessing of a model."""
    group = parser.add_argument_group('preprocessing', PREPROCESSING.text)
    add_parameter(group, '--color-order', 'color_order')
    add_parameter(group, '--scale', 'scale', default=None, type=above_zero, metavar='S')
    add_parameter(group, '--mean', 'mean', metavar='A[,B,C]')
    add_parameter(group, '--std', 'std', metavar='A[,B,C]')
    add_parameter(group, '--resize-mode', 'resize_mode')
    add_parameter(group, '--crop-fraction', 'crop_fraction', default=None, metavar='F')
    add_parameter(group, '--interpolation', 'interpolation')


_USUAL = CalibrationOptions()
# Options that have an effect on the results of one kind of model only.
_OF_TASK = {
    'detection': ('--score', '--iou', '--classes', '--class-agnostic', '--max-detections'),
    'classification': ('--top-k',)}


def add_run_arguments(parser: argparse.ArgumentParser, several_precisions: bool = False) -> None:
    """Add the options for backend, precision and thresholds.

    several_precisions: --precision takes names separated by commas, and its value is a tuple
    """
    add_parameter(parser, '--backend', 'backend')
    add_parameter(parser, '--threads', 'num_threads', metavar='N')
    several = {'choices': None, 'type': _precisions, 'metavar': 'P[,P]'} if several_precisions else {}
    add_parameter(parser, '--precision', 'precision', 'as the file is stored', default=None, **several)
    add_calibration_arguments(parser, '--calibration-')
    add_gate_argument(parser)
    add_score_argument(parser)
    add_parameter(parser, '--iou', 'iou_threshold', default=None, type=fraction, metavar='T')
    add_parameter(parser, '--classes', 'classes', nargs='+', action='extend', metavar='NAME')
    add_parameter(parser, '--class-agnostic', 'class_agnostic_nms')
    add_parameter(parser, '--max-detections', 'max_detections', metavar='N')
    add_parameter(parser, '--top-k', 'top_k', metavar='K')


def add_calibration_arguments(parser: argparse.ArgumentParser, prefix: str = '--') -> None:
    """Add --calibration, the options for its frames, and those for reading images.

    prefix: of the other options; '--calibration-' if --topic has another meaning in the subcommand
    """
    parser.set_defaults(calibration_prefix=prefix)
    add_parameter(parser, '--calibration', 'calibration_source', metavar='SOURCE')
    add_parameter(parser, f'{prefix}topic', 'calibration_topic', dest='calibration_topic', metavar='TOPIC')
    add_parameter(parser, f'{prefix}samples', 'calibration_samples', dest='calibration_samples', metavar='N')
    add_parameter(parser, f'{prefix}method', 'calibration_method', dest='calibration_method')
    add_parameter(parser, '--max-image-pixels', 'max_image_pixels', metavar='N')
    add_parameter(parser, '--significant-bits', 'significant_bits', metavar='N')


def add_gate_argument(parser: argparse.ArgumentParser) -> None:
    """Add --min-agreement."""
    add_parameter(parser, '--min-agreement', 'min_agreement', default=None, type=fraction, metavar='A')


def load(options: argparse.Namespace) -> ModelSpec:
    """Return the spec of MODEL; fetches a catalogue model that is missing."""
    spec = load_model(model_path(options), model_options(options))
    if spec.labels_warning:
        print(f'warning: {printable(spec.labels_warning)}', file=sys.stderr)
    task = _OF_TASK[spec.task]
    others = [option for options_of in _OF_TASK.values() if options_of is not task for option in options_of]
    useless = [option for option in others if is_given(option, options)]
    if useless:
        kinds = ('detectors', 'classifier') if spec.task == 'classification' else ('classifiers', 'detector')
        print(
            f'note: no effect of {", ".join(useless)}: for {kinds[0]}, and {printable(spec.path.name)} is a {kinds[1]}',
            file=sys.stderr)
    if getattr(options, 'calibration', '') and not _needs_frames(spec, options):
        print(
            f'note: no effect of --calibration: {printable(spec.path.name)} runs in fp32; give --precision or '
            '--min-agreement too', file=sys.stderr)
    return spec


def _needs_frames(spec: ModelSpec, options: argparse.Namespace) -> bool:
    """Return whether a conversion or the accuracy check reads --calibration."""
    wanted = options.precision or spec.stored_precision
    precisions = {wanted} if isinstance(wanted, str) else set(wanted)
    return options.min_agreement is not None or spec.stored_precision != 'fp32' or precisions != {'fp32'}


def is_given(option: str, options: argparse.Namespace) -> bool:
    """Return whether the command has the option, with another value than its default."""
    name = option[2:].replace('-', '_')
    return getattr(options, name, None) not in (None, [], '', False, getattr(Values(), name, None))


def model_options(options: argparse.Namespace) -> ModelOptions:
    """Return the options for reading MODEL."""
    return ModelOptions(
        task=options.task, head=options.head, output_name=options.output_name, labels=options.labels,
        input_size=tuple(options.input_size),
        preprocessing=preprocessing_options(options))


def preprocessing_options(options: argparse.Namespace) -> Overrides:
    """Return the values of `add_preprocessing_arguments`."""
    return Overrides(
        options.color_order, options.scale, options.mean, options.std, options.resize_mode, options.crop_fraction,
        options.interpolation)


def model_path(options: argparse.Namespace) -> Path:
    """Return the path of MODEL; fetches a catalogue model that is missing."""
    with ConsoleProgress() as progress:
        return resolve_model(options.model, fetch=True, progress=progress)


def files_read(options: argparse.Namespace, spec: ModelSpec) -> list[str | Path]:
    """Return the files and folders of the model options, for `Outputs`: the model, its weights, labels, calibration."""
    weights = set() if spec.file_format != 'onnx' else {
        entry.value for tensor in all_tensors(load_proto(spec.path, weights=False)) for entry in tensor.external_data
        if entry.key == 'location'}
    others = [options.labels if options.labels not in SHIPPED else '', options.calibration]
    return [spec.path, *(spec.path.parent / name for name in weights), *filter(None, others)]


def calibration_source(options: argparse.Namespace) -> str:
    """Return the path of --calibration, '' without it; fetches a catalogue video that is missing."""
    if not options.calibration:
        return ''
    with ConsoleProgress() as progress:
        path = resolve_video(options.calibration, progress=progress)
    # A source that is not needed is not opened, and a mistyped one would not be noticed.
    if not os.path.exists(path):  # noqa: PTH110, because Path.exists raises an error for a name that is too long
        raise SourceError(f'{options.calibration}: no such file or folder: check --calibration')
    return str(path)


def calibration_options(options: argparse.Namespace) -> CalibrationOptions:
    """Return the calibration options; the name of a catalogue video stays a name.

    Raises ParameterError for options of the frames without --calibration.
    """
    if not options.calibration:
        require_beside('--calibration', {
            f'{options.calibration_prefix}{name}': getattr(options, f'calibration_{name}') != usual
            for name, usual in (('topic', ''), ('samples', _USUAL.samples), ('method', _USUAL.method))})
    return CalibrationOptions(
        options.calibration, options.calibration_topic, options.calibration_samples, method=options.calibration_method,
        images=image_options(options, DROP))


def image_options(options: argparse.Namespace, damaged: str) -> ImageOptions:
    """Return the options for reading images.

    damaged: DROP or KEEP damaged images
    """
    return ImageOptions(options.max_image_pixels, damaged, options.significant_bits)


def add_score_argument(parser: argparse.ArgumentParser) -> None:
    """Add --score; without it, the value is None and the model's own threshold is used."""
    add_parameter(parser, '--score', 'score_threshold', default=None, type=fraction, metavar='S')


def settings(options: argparse.Namespace, spec: ModelSpec) -> PostprocessSettings:
    """Return the settings of the heads. Raises ParameterError for a class name that the model does not have."""
    thresholds = spec.thresholds.chosen(options.score, options.iou)
    return PostprocessSettings(
        DetectionSettings(
            thresholds.score, thresholds.iou, options.class_agnostic, options.max_detections,
            class_indices(options.classes, spec)),
        ClassificationSettings(top_k=options.top_k))


def pipeline_options(spec: ModelSpec, options: argparse.Namespace) -> PipelineOptions:
    """Return the pipeline options; fetches a catalogue video of --calibration that is missing."""
    # Several precisions are measured one by one, each with these options.
    precision = options.precision if isinstance(options.precision, str) else spec.stored_precision
    return PipelineOptions(
        backend=options.backend, precision=precision, num_threads=options.threads,
        calibration=replace(calibration_options(options), source=calibration_source(options)),
        min_agreement=options.min_agreement,
        build=BuildOptions(precision=precision, input_size=tuple(options.input_size)))


def _precisions(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(',')))
    for name in names:
        if name not in PRECISIONS:
            near = closest(name, PRECISIONS)
            raise argparse.ArgumentTypeError(
                f"invalid choice: '{name}' (choose from {', '.join(PRECISIONS)})"
                f"{f': did you mean {near}?' if near else ''}")
    return names


@contextlib.contextmanager
def console_monitor(verbose: bool = False) -> Iterator[Monitor]:
    """Yield a monitor that shows progress of long work, and warnings and errors; with `verbose` the whole log."""
    with ConsoleProgress(unit='') as progress:
        def log(severity: str, text: str) -> None:
            if verbose or severity not in ('info', 'debug'):
                # The text must start on a new line, so the bar is cleared first.
                progress.close()
                print(f'{severity}: {one_line(text)}', file=sys.stderr)

        yield Monitor(progress, log, debug_log=verbose)


@contextlib.contextmanager
def open_pipeline(spec: ModelSpec, options: argparse.Namespace, **changes: Any) -> Iterator[Pipeline]:
    """Yield an open pipeline; if opening takes long, shows progress on the console. Shows warnings.

    changes: fields of PipelineOptions that have no option of the command line
    """
    chosen = replace(pipeline_options(spec, options), **changes)
    with opened_pipeline(spec, chosen, settings(options, spec)) as pipeline:
        yield pipeline


@contextlib.contextmanager
def opened_pipeline(spec: ModelSpec, chosen: PipelineOptions, postprocess: PostprocessSettings) -> Iterator[Pipeline]:
    """Yield an open pipeline with these options; shows progress and warnings as open_pipeline."""
    with console_monitor() as monitor:
        pipeline = create_pipeline(spec, chosen, postprocess, monitor)
        pipeline.open()
    try:
        yield pipeline
    finally:
        pipeline.close()
