# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Options of `trt_perception quantize` for the frames, the layers and the accuracy.

They are None if the user does not give them, so that an option without effect can be refused.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from ..errors import ModelError
from ..image.options import DROP
from ..model.spec import ModelSpec
from ..pipeline.options import CalibrationOptions
from ..precision.form import FORMS
from ..precision.parity import Agreement
from ..precision.prepare import ConversionOptions
from ..precision.target import Target
from .model_arguments import image_options
from .numbers import fraction, not_negative

# Option -> field of Target.
_TARGET = {
    '--min-agreement': 'agreement', '--max-score-difference': 'score_difference', '--min-mean-iou': 'mean_iou',
    '--min-iou': 'min_iou'}
_BOXES = ('--min-mean-iou', '--min-iou')
_NO_TARGET = Target(0.0, 1.0, 0.0, 0.0)


def add_check_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for checking, after those for calibration."""
    parser.set_defaults(calibration_samples=None, calibration_method=None)
    parser.add_argument(
        '--checking', type=not_negative, metavar='N',
        help='number of other frames of the source, to measure the agreement on; 0 for no check '
             f'(default: {CalibrationOptions().checking})')
    parser.add_argument(
        '--keep-float', nargs='*', metavar='LAYER',
        help='layers that stay in float (without names: no layers), instead of the layers found by measuring; the box '
             'decoder of an int8 detector stays in float in any case')
    group = parser.add_argument_group(
        'target', 'Accuracy against fp32. The search for int8 layers keeps as many layers in float as it needs.\n'
        'For fp16, and with --keep-float, there is no search: a file that misses a given target is not written.')
    usual = Target()
    for option, metavar, text, default in (
            ('--min-agreement', 'A', 'lowest agreement', usual.agreement),
            ('--max-score-difference', 'D', 'largest mean score difference', usual.score_difference),
            ('--min-mean-iou', 'I', 'lowest mean IoU of the matched boxes of a detector', usual.mean_iou),
            ('--min-iou', 'I', 'lowest IoU of a matched box, without the worst 2 %% of the boxes', usual.min_iou)):
        group.add_argument(
            option, type=fraction, metavar=metavar, help=f'{text} (default for the search: {default})')


def require_useful(options: argparse.Namespace, spec: ModelSpec) -> None:
    """Raise ModelError if an option is given that has no effect with the others or with this model."""
    target = _given_target(options)
    fp16 = options.precision == 'fp16'
    given = {
        '--half-rest': options.half_rest, '--form': options.form, '--method': options.calibration_method}
    for option, value in given.items():
        if fp16 and value:
            raise ModelError(f'{option} needs --precision int8, found fp16: leave it out')
    if options.half_rest and options.form not in (None, FORMS[0]):
        raise ModelError(f'--half-rest needs --form {FORMS[0]}, found {options.form}: leave one of them out')
    for option in _BOXES:
        if spec.task == 'classification' and _TARGET[option] in target:
            raise ModelError(f'{option} needs a detector, found a classifier: leave it out')
    frames = {
        '--topic': options.calibration_topic or None, '--samples': options.calibration_samples,
        '--checking': options.checking}
    asked = [
        *(option for option, value in frames.items() if value is not None),
        *(option for option, name in _TARGET.items() if name in target)]
    # Without calibration data int8 is refused anyway.
    if fp16 and not options.calibration and asked:
        raise ModelError(f'{asked[0]} needs frames, found none: give --calibration SOURCE, or leave it out')
    if options.checking == 0 and target:
        raise ModelError(
            f'{asked[-1]} needs frames to measure on, found --checking 0: give more, or leave {asked[-1]} out')


def calibration_options(options: argparse.Namespace, source: str) -> CalibrationOptions:
    """Return the options for the frames of `source`, with the usual values for those that the user does not give."""
    given = {
        'samples': options.calibration_samples, 'checking': options.checking, 'method': options.calibration_method}
    return replace(
        CalibrationOptions(source, options.calibration_topic, images=image_options(options, DROP)),
        **{name: value for name, value in given.items() if value is not None})


def conversion_options(options: argparse.Namespace) -> ConversionOptions:
    """Return the options of the conversion."""
    given = _given_target(options)
    target = replace(Target(), **given)
    # A target for boxes that the user gives is never weakened.
    strict = bool(given.keys() & {_TARGET[option] for option in _BOXES})
    return ConversionOptions(
        None if options.keep_float is None else tuple(options.keep_float), target, options.half_rest,
        () if strict else (target.without_boxes,), options.form or FORMS[0])


def missed_target(options: argparse.Namespace, agreement: Agreement | None) -> str:
    """Return the numbers that miss a target which the user gives and no search looked for, '' if there are none."""
    if agreement is None or (options.precision == 'int8' and options.keep_float is None):
        return ''
    return replace(_NO_TARGET, **_given_target(options)).missed(agreement)


def _given_target(options: argparse.Namespace) -> dict[str, float]:
    """The fields of Target that the user gives."""
    values = {name: getattr(options, option[2:].replace('-', '_')) for option, name in _TARGET.items()}
    return {name: value for name, value in values.items() if value is not None}
