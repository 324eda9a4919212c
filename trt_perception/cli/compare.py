# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compare two annotations of the same images: boxes lost, gained and moved; a gate for a model update.

  trt_perception annotate BAG... --model old.onnx --output old
  trt_perception annotate BAG... --model new.onnx --output new
  trt_perception compare old new --max-lost 0.02 --html difference.html

A and B are --output folders of annotate, folders of one bag in them, or files of JSON lines (results.jsonl, predict
--json). Bags are matched by their content, images by topic and number, boxes by class and IoU. Limits make it a gate:
the exit code is 1 if one is exceeded (docs/compare.md).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ..errors import one_line
from ..measure.table import print_table
from ..progress import ConsoleProgress
from ..regression.compare import compare
from ..regression.comparison import Comparison
from ..regression.inputs import Side, read_side
from ..regression.limits import Limits, checks, failures, require_fitting
from ..regression.options import MOVED_IOU, CompareOptions
from ..regression.page import comparison_page
from ..regression.pictures import read_pictures
from ..regression.report import bag_table, class_table, record, short, shown_name, summary, thresholds_note
from ..regression.tally import BoxTally
from .files import Outputs, write_report
from .numbers import fraction, number, positive, whole
from .together import require_beside

_MOST_PICTURES = 200
_CLASSES, _CHANGES, _BAGS, _LINES = 30, 10, 20, 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    parser.add_argument('a', metavar='A', type=Path, help='the reference annotation, such as that of the old model')
    parser.add_argument('b', metavar='B', type=Path, help='the annotation to judge, such as that of the new model')
    parser.add_argument(
        '--score', type=fraction, default=0.0, metavar='S',
        help='count boxes of at least this score; a box up to 0.05 below still counts as found, so annotate with a '
             'lower --score (default: all)')
    parser.add_argument(
        '--iou', type=number(0.01, 1.0), default=CompareOptions.iou, metavar='X',
        help='boxes with at least this IoU may be the same object (default: %(default)g)')
    parser.add_argument(
        '--moved-iou', type=fraction, default=MOVED_IOU, metavar='X',
        help='a matched box with a lower IoU has moved (default: %(default)g)')
    parser.add_argument(
        '--common-classes', action='store_true',
        help='leave out classes that only one model has; without it, other class names are an error')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write all figures as a JSON object')
    parser.add_argument('--html', type=Path, metavar='FILE', help='write a page with the largest differences')
    parser.add_argument(
        '--pictures', type=whole(0, _MOST_PICTURES), default=CompareOptions.pictures, metavar='N',
        help='images with the largest differences in the page and in the JSON object (default: %(default)d)')
    limits = parser.add_argument_group('limits', 'If a limit is exceeded, the exit code is 1. Without limits it is 0.')
    limits.add_argument('--max-lost', type=fraction, metavar='X', help="fraction of A's boxes that B does not have")
    limits.add_argument('--max-gained', type=fraction, metavar='X', help="fraction of B's boxes that A does not have")
    limits.add_argument('--max-moved', type=fraction, metavar='X', help='fraction of the matched boxes that moved')
    limits.add_argument(
        '--max-score-difference', type=fraction, metavar='X', help='95th percentile of the score differences')
    limits.add_argument(
        '--min-agreement', type=fraction, metavar='X',
        help='2 matched / (boxes of A + boxes of B); for classifiers, fraction of the images with the same or an '
             'equally likely first class')
    limits.add_argument(
        '--min-top1', type=fraction, metavar='X',
        help='for classifiers: fraction of the images with the same first class')
    limits.add_argument(
        '--each-class', type=positive, metavar='N',
        help='the limits also hold for each class with at least N boxes (images)')
    limits.add_argument(
        '--partial', action='store_true',
        help='allow images and bags that only A or only B has; without this option they exceed the limits')


def run(options: argparse.Namespace) -> int:
    """Compare; 0 if no limit is exceeded."""
    limits = Limits(
        options.max_lost, options.max_gained, options.max_moved, options.max_score_difference, options.min_agreement,
        options.min_top1, options.each_class, options.partial)
    wanted = CompareOptions(
        options.iou, options.moved_iou, options.score, options.common_classes,
        options.pictures if options.html or options.json else 0)
    if not (options.html or options.json):
        require_beside('--html or --json', {'--pictures': options.pictures != CompareOptions.pictures})
    a, b = read_side(options.a), read_side(options.b)
    _check_outputs(options, a, b)
    with ConsoleProgress(unit='') as progress:
        result = compare(a, b, wanted, progress)
    require_fitting(limits, result)
    found = checks(limits, result)
    lines = failures(limits, result, found)
    _print(result)
    if options.json is not None:
        text = json.dumps(record(result, found, lines, bool(limits.given)), indent=1) + '\n'
        write_report('--json', options.json, text)
    if options.html is not None:
        with ConsoleProgress(unit='images') as progress:
            pictures = read_pictures(result, progress)
        for note in pictures.notes:
            _note(note)
        write_report('--html', options.html, comparison_page(result, pictures, found, lines, bool(limits.given)))
    for line in lines[:_LINES]:
        print(f'trt_perception: {one_line(line)}', file=sys.stderr)
    if len(lines) > _LINES:
        print(f'trt_perception: and {len(lines) - _LINES} more limits are exceeded', file=sys.stderr)
    return 1 if lines else 0


def _print(result: Comparison) -> None:
    for note in result.notes:
        _note(f'not compared: {note}')
    if result.left_out:
        names = ', '.join(shown_name(name) for name in result.left_out[:_CHANGES])
        more = len(result.left_out) - _CHANGES
        _note(f'left out: classes that only one model has: {names}{f" and {more} more" if more > 0 else ""}')
    note = thresholds_note(result)
    if note:
        _note(note)
    print(summary(result))
    print_table(short(class_table(result, _CLASSES), isinstance(result.tally, BoxTally)))
    if len(result.tally.classes) > _CLASSES:
        print(f'and {len(result.tally.classes) - _CLASSES} classes more (--json has all)')
    for (first, second), count in result.tally.changes.most_common(_CHANGES):
        print(f'{count} x {shown_name(first)} in A is {shown_name(second)} in B')
    if len(result.bags) > 1:
        print_table(bag_table(result, _BAGS))
        if len(result.bags) > _BAGS:
            print(f'and {len(result.bags) - _BAGS} bags with a higher agreement (--json has all)')


def _check_outputs(options: argparse.Namespace, a: Side, b: Side) -> None:
    """Raise OutputError before the work if an output cannot be written, or would replace an input."""
    outputs = Outputs(*a.files, *b.files, *(
        path for side in (a, b) for one in side.annotations for path in one.bag_files))
    outputs.file('--json', options.json)
    outputs.file('--html', options.html)


def _note(text: str) -> None:
    print(f'note: {one_line(text)}', file=sys.stderr)
