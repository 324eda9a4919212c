# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Arguments about the model and its thresholds, shared by the subcommands that run one."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..backends.create import create_pipeline
from ..catalogue.resolve import resolve_model, resolve_video
from ..model.heads.classification import ClassificationSettings
from ..model.heads.identify import HEADS
from ..model.heads.yolo import DetectionSettings
from ..model.normalisation import COLOR_ORDERS, RESIZE_MODES, Overrides
from ..model.spec import TASKS, ModelOptions, ModelSpec, load_model
from ..monitor import Monitor
from ..pipeline.interface import Pipeline, PostprocessSettings
from ..pipeline.options import (
    BACKENDS,
    CALIBRATION_METHODS,
    DEFAULT_INT8_AGREEMENT,
    PRECISIONS,
    CalibrationOptions,
    PipelineOptions,
)
from ..pipeline.tensorrt_options import BuildOptions
from ..progress import ConsoleProgress
from .numbers import above_zero, fraction, numbers, positive, whole

# Threads spin while they wait for each other: with many more than processors an inference takes minutes.
_MOST_THREADS = max(16, os.cpu_count() or 1)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add MODEL and what says how to read it."""
    parser.add_argument(
        'model', metavar='MODEL', help='an ONNX file, or the name of a catalogue model (fetched if missing)')
    parser.add_argument(
        '--labels', default='', metavar='FILE',
        help='class names (txt, json, yaml), or coco or imagenet, of a model that has none of its own')
    parser.add_argument('--task', choices=TASKS, default='auto', help='what the model does (default: auto)')
    parser.add_argument(
        '--head', choices=HEADS, default='auto', help="layout of the model's output (default: auto)")
    parser.add_argument(
        '--input-size', nargs=2, type=positive, default=(0, 0), metavar=('WIDTH', 'HEIGHT'),
        help='input size of a model that leaves it open')
    group = parser.add_argument_group(
        'preprocessing', 'x = (pixel * scale - mean) / std; what is not given is as the model says')
    group.add_argument('--color-order', choices=('auto', *COLOR_ORDERS), default='auto', help="of the model's input")
    group.add_argument('--scale', type=above_zero, metavar='S', help='multiplies the pixels (0..255)')
    for name, what in (('mean', 'subtracted'), ('std', 'divides')):
        group.add_argument(
            f'--{name}', type=numbers, metavar='A[,B,C]',
            help=f"{what}: one number, or three with commas in the order of the model's colours")
    group.add_argument(
        '--resize-mode', choices=('auto', *RESIZE_MODES), default='auto',
        help='how an image is brought to the input size')
    group.add_argument(
        '--crop-fraction', type=fraction, metavar='F', help='part of the shorter side that center_crop keeps')


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add backend and thresholds."""
    parser.add_argument('--backend', choices=BACKENDS, default='auto', help='what runs the network')
    parser.add_argument(
        '--threads', type=whole(1, _MOST_THREADS), default=0, metavar='N', help='CPU threads of one inference')
    parser.add_argument(
        '--precision', choices=PRECISIONS, help='arithmetic of the network (default: as the file is stored)')
    parser.add_argument(
        '--calibration', default='', metavar='SOURCE', help='images, video or bag that int8 is calibrated with')
    add_calibration_arguments(parser, '--calibration-')
    add_gate_argument(parser)
    defaults = DetectionSettings()
    parser.add_argument(
        '--score', type=fraction, default=defaults.score_threshold, metavar='S',
        help='least score of a detection (default: %(default)s)')
    parser.add_argument(
        '--iou', type=fraction, default=defaults.iou_threshold, metavar='T',
        help='overlap at which the weaker of two boxes of a class goes (default: %(default)s)')
    parser.add_argument(
        '--top-k', type=positive, default=ClassificationSettings().top_k, metavar='K',
        help='classes a classification reports (default: %(default)s)')


def add_calibration_arguments(parser: argparse.ArgumentParser, prefix: str = '--') -> None:
    """Add what is done with the frames of --calibration.

    prefix: of the options, '--calibration-' where a plain --topic would be another one's
    """
    defaults = CalibrationOptions()
    parser.add_argument(
        f'{prefix}topic', dest='calibration_topic', default='', help='image topic of a bag that has several')
    parser.add_argument(
        f'{prefix}samples', dest='calibration_samples', type=positive, default=defaults.samples, metavar='N',
        help='frames to calibrate with, spread evenly over the source (default: %(default)s)')
    parser.add_argument(
        f'{prefix}method', dest='calibration_method', choices=CALIBRATION_METHODS, default=defaults.method,
        help='how ranges come from what the network computes; auto measures all (default: %(default)s)')


def add_gate_argument(parser: argparse.ArgumentParser) -> None:
    """Add what the accuracy gate asks for."""
    parser.add_argument(
        '--min-agreement', type=fraction, default=None, metavar='A',
        help='least agreement with ONNX Runtime fp32 on frames of the calibration source, 0 for no check (default: '
        f'{DEFAULT_INT8_AGREEMENT} for int8, else 0)')


def load(options: argparse.Namespace) -> ModelSpec:
    """Return the model of MODEL; fetches a catalogue model that is missing."""
    spec = load_model(model_path(options), ModelOptions(
        task=options.task, head=options.head, labels=options.labels,
        input_size=tuple(options.input_size),
        preprocessing=Overrides(
            options.color_order, options.scale, options.mean, options.std, options.resize_mode,
            options.crop_fraction)))
    if spec.labels_warning:
        print(f'warning: {spec.labels_warning}', file=sys.stderr)
    return spec


def model_path(options: argparse.Namespace) -> Path:
    """Return the file of MODEL; fetches a catalogue model that is missing."""
    with ConsoleProgress() as progress:
        return resolve_model(options.model, fetch=True, progress=progress)


def calibration_source(options: argparse.Namespace) -> str:
    """Return the path of --calibration, '' without it; fetches a catalogue video that is missing."""
    if not options.calibration:
        return ''
    with ConsoleProgress() as progress:
        return str(resolve_video(options.calibration, progress=progress))


def calibration_options(options: argparse.Namespace) -> CalibrationOptions:
    """Return --calibration and what is done with its frames; the name of a catalogue video stays a name."""
    return CalibrationOptions(
        options.calibration, options.calibration_topic, options.calibration_samples, method=options.calibration_method)


def settings(options: argparse.Namespace) -> PostprocessSettings:
    """Return the thresholds."""
    return PostprocessSettings(
        DetectionSettings(score_threshold=options.score, iou_threshold=options.iou),
        ClassificationSettings(top_k=options.top_k))


def pipeline_options(spec: ModelSpec, options: argparse.Namespace) -> PipelineOptions:
    """Return backend and precision; fetches a catalogue video of --calibration that is missing."""
    precision = options.precision or spec.stored_precision
    return PipelineOptions(
        backend=options.backend, precision=precision, num_threads=options.threads,
        calibration=replace(calibration_options(options), source=calibration_source(options)),
        min_agreement=options.min_agreement,
        build=BuildOptions(precision=precision, input_size=tuple(options.input_size)))


@contextlib.contextmanager
def console_monitor(verbose: bool = False) -> Iterator[Monitor]:
    """Show progress if it takes long, and warnings and errors at once; with `verbose` all of the log."""
    with ConsoleProgress(unit='') as progress:
        def log(severity: str, text: str) -> None:
            if verbose or severity not in ('info', 'debug'):
                # The text is to begin its line, where the bar is.
                progress.close()
                print(f'{severity}: {text}', file=sys.stderr)

        yield Monitor(progress, log, debug_log=verbose)


@contextlib.contextmanager
def open_pipeline(spec: ModelSpec, options: argparse.Namespace) -> Iterator[Pipeline]:
    """Open a pipeline; shows on the console what that does if it takes long, and its warnings at once."""
    chosen = pipeline_options(spec, options)
    with console_monitor() as monitor:
        pipeline = create_pipeline(spec, chosen, settings(options), monitor)
        pipeline.open()
    try:
        yield pipeline
    finally:
        pipeline.close()
