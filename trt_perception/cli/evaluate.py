# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compare the results of predict with a labelled data set: mAP, precision, recall, top-1, top-5.

  trt_perception predict m.onnx photos --score 0.001 --json found.jsonl
  trt_perception evaluate --truth coco.json found.jsonl --min-map50 0.6

The truth is a COCO file, or for a classifier also a CSV file with the first line file,class. Images are matched by file
name. The exit code is 1 if a figure is below --min-map50, --min-map or --min-top1 (docs/evaluate.md).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from ..errors import ParameterError, one_line, printable
from ..evaluation.classification import classification_accuracy
from ..evaluation.detection import detection_accuracy
from ..evaluation.pairing import class_numbers, pair_images
from ..evaluation.predictions import Predictions, read_predictions
from ..evaluation.report import classification_lines, classification_record, detection_lines, detection_record
from ..evaluation.truth import Truth, read_truth
from ..model.thresholds import Thresholds
from .files import Outputs, write_report
from .numbers import fraction

# predict with its usual threshold gives no lower score. mAP is the area under a curve that goes down to score 0.
_LOW_SCORE = 0.05
_FIVE = 5
_DETECTION_ONLY = ('score', 'min_map50', 'min_map', 'ignore_other_classes')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    parser.add_argument(
        '--truth', required=True, type=Path, metavar='FILE', help='COCO file, or a CSV file with lines file,class')
    parser.add_argument(
        'predictions', type=Path, metavar='PREDICTIONS', help='file written by trt_perception predict --json')
    parser.add_argument(
        '--score', type=fraction, metavar='S',
        help=f'score threshold of precision and recall, not of mAP (default: {Thresholds().score:g}; if the model has '
             'its own, give that one)')
    parser.add_argument('--json', metavar='FILE', type=Path, help='write the figures as a JSON object')
    parser.add_argument('--min-map50', type=fraction, metavar='X', help='exit with 1 if mAP50 is below X')
    parser.add_argument('--min-map', type=fraction, metavar='X', help='exit with 1 if mAP50-95 is below X')
    parser.add_argument('--min-top1', type=fraction, metavar='X', help='exit with 1 if top-1 is below X')
    parser.add_argument(
        '--rename', action='append', default=[], type=_renaming, metavar='PREDICTED=TRUTH',
        help='class name of the predictions and its name in the truth; may be given several times')
    parser.add_argument(
        '--ignore-other-classes', action='store_true', default=None,
        help='leave out detections of classes that the truth does not have')
    parser.add_argument(
        '--partial', action='store_true',
        help='evaluate the images that both files have; without it, others are an error')


def run(options: argparse.Namespace) -> int:
    """Compare; 0 if no figure is below its minimum."""
    outputs = Outputs(options.truth, options.predictions)
    outputs.file('--json', options.json)
    truth = read_truth(options.truth)
    predictions = read_predictions(options.predictions)
    _require_fitting(options, predictions)
    pairs = pair_images(truth, predictions, options.partial)
    for note in pairs.notes:
        _note(note)
    renamed = _renamed(options.rename)
    if predictions.detections:
        lines, record = _detections(options, truth, pairs.results, renamed)
        checks = [('mAP50', 'map50', options.min_map50, '--min-map50'),
                  ('mAP50-95', 'map50_95', options.min_map, '--min-map')]
    else:
        lines, record = _classifications(truth, pairs.results, renamed)
        checks = [('top-1', 'top1', options.min_top1, '--min-top1')]
    for line in lines:
        print(line)
    if options.json is not None:
        record = {'truth': str(options.truth), 'predictions': str(options.predictions), **record}
        write_report('--json', options.json, json.dumps(record, indent=1) + '\n')
    code = 0
    for name, key, least, option in checks:
        if least is not None and record[key] < least:
            print(f'trt_perception: {name} is {record[key]:.4f}, below {least:g} ({option})', file=sys.stderr)
            code = 1
    return code


def _detections(
    options: argparse.Namespace, truth: Truth, results: Any, renamed: dict[str, str],
) -> tuple[list[str], dict[str, Any]]:
    numbers = class_numbers(truth, results, renamed, bool(options.ignore_other_classes))
    score = Thresholds().score if options.score is None else options.score
    accuracy = detection_accuracy(truth, results, numbers, score)
    others = [name for name, number in numbers.items() if number is None]
    if others:
        _note(f'left out: detections of {len(others)} classes that the truth does not have')
    # A threshold below the lowest score was not used by predict.
    if accuracy.lowest_score >= _LOW_SCORE:
        _note(
            f'the lowest score in {options.predictions} is {accuracy.lowest_score:.3f}; mAP also counts weaker '
            'detections: run predict with --score 0.001')
    head = f'{accuracy.images} images, {accuracy.total.counts.boxes} boxes, {accuracy.detections} detections'
    return [head, *detection_lines(accuracy)], detection_record(accuracy)


def _classifications(truth: Truth, results: Any, renamed: dict[str, str]) -> tuple[list[str], dict[str, Any]]:
    accuracy = classification_accuracy(truth, results, renamed)
    if accuracy.never_predicted:
        _note(f'classes that are never predicted: {accuracy.never_predicted}')
    if accuracy.shortest < _FIVE:
        _note(f'a result has {accuracy.shortest} classes, so top-5 counts fewer than 5: run predict with --top-k 5')
    return classification_lines(accuracy), classification_record(accuracy)


def _require_fitting(options: argparse.Namespace, predictions: Predictions) -> None:
    """Refuse options of the other task: a minimum that is not checked would be a gate that is open."""
    wrong = ('min_top1',) if predictions.detections else _DETECTION_ONLY
    given = [f'--{name.replace("_", "-")}' for name in wrong if getattr(options, name) is not None]
    if given:
        kind, others = ('detections', 'classifications') if predictions.detections else (
            'classifications', 'detections')
        raise ParameterError(f'{given[0]} is for {others}, but {options.predictions} has {kind}')


def _renaming(text: str) -> tuple[str, str]:
    predicted, equals, truth = text.partition('=')
    if not (predicted and equals and truth):
        raise argparse.ArgumentTypeError(f'{text}: expected PREDICTED=TRUTH, for example motorbike=motorcycle')
    return predicted, truth


def _renamed(pairs: list[tuple[str, str]]) -> dict[str, str]:
    renamed: dict[str, str] = {}
    for predicted, name in pairs:
        if renamed.setdefault(predicted, name) != name:
            raise ParameterError(
                f'--rename: {printable(predicted)} is given as {printable(renamed[predicted])} and as '
                f'{printable(name)}; expected one name of the truth for each predicted name')
    return renamed


def _note(text: str) -> None:
    print(f'note: {one_line(printable(text))}', file=sys.stderr)
