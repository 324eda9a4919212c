# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The options of annotate that say which images are worth labelling."""

from __future__ import annotations

import argparse
import math

from ..annotate.options import COCO
from ..annotate.selection import Selection
from ..errors import ParameterError
from ..model.spec import ModelSpec
from ..parameters.checks import class_indices
from .numbers import fraction, whole

_USUAL = {'coco_every': (30, 0.0), 'coco_below_score': 1.0, 'coco_classes': [], 'coco_unlike': 0, 'coco_most': 0}


def add_coco_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group('images of coco', 'An image is taken only if all of these options select it.')
    group.add_argument(
        '--coco-every', type=_every, default=_USUAL['coco_every'], metavar='N|Ss',
        help='every N-th image of a topic; with an s, such as 2s, one in S seconds (default: 30)')
    group.add_argument(
        '--coco-below-score', type=fraction, default=1.0, metavar='S',
        help='images with an object whose score is lower than S (default: all)')
    group.add_argument(
        '--coco-classes', nargs='+', action='extend', default=[], metavar='NAME',
        help='images with an object of one of these classes (default: all)')
    group.add_argument(
        '--coco-unlike', type=whole(0, 64), default=0, metavar='BITS',
        help='images whose hash differs in at least BITS of 64 bits from each image of the topic that was taken '
             'before; 6 leaves near-duplicates out (default: all)')
    group.add_argument(
        '--coco-missed-by', metavar='MODEL',
        help='images with an object that this other model misses; MODEL as for --model. For classifiers, images whose '
             'first class differs (default: all)')
    group.add_argument(
        '--coco-most', type=whole(0, 10**9), default=0, metavar='N', help='the first N of a bag (default: all)')


def chosen_images(options: argparse.Namespace, spec: ModelSpec) -> Selection:
    """Return the rules of the options.

    Raises ParameterError for a class name that the model does not have, and for rules that would do nothing or take
    no image.
    """
    given = [f'--{name.replace("_", "-")}' for name, usual in _USUAL.items() if getattr(options, name) != usual]
    if given and COCO not in options.formats:
        raise ParameterError(f'{given[0]} chooses images of {COCO}: add {COCO} to --formats, or leave it out')
    if spec.task == 'detection' and not options.tracking:
        least = spec.thresholds.chosen(options.score, options.iou).score
        if _USUAL['coco_below_score'] != options.coco_below_score <= least:
            raise ParameterError(
                f'--coco-below-score is {options.coco_below_score}, and no object has a score below {least} (--score): '
                'expected a higher one')
    classes = class_indices(options.coco_classes, spec, '--coco-classes')
    every, seconds = options.coco_every
    return Selection(
        every, seconds, options.coco_below_score, None if classes is None else tuple(sorted(classes)),
        options.coco_unlike, options.coco_most)


def _every(text: str) -> tuple[int, float]:
    """Return every how many images, and the seconds between them."""
    try:
        number = float(text[:-1]) if text.endswith('s') else int(text)
    except ValueError:
        number = 0
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f'{text}: expected a number of images, such as 30, or of seconds, such as 2s')
    return (1, number) if text.endswith('s') else (int(number), 0.0)
