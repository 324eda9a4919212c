# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The accuracy as lines for people and as a JSON object."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..errors import one_line, printable
from .classification import ClassificationAccuracy, TopAccuracy
from .detection import MIN_IOU, ClassAccuracy, DetectionAccuracy

_LONGEST_NAME = 40


def detection_lines(accuracy: DetectionAccuracy) -> list[str]:
    """Return the totals and a table of the classes."""
    total = accuracy.total
    lines = [
        f'mAP50      {_figure(total.map50)}',
        f'mAP50-95   {_figure(total.map50_95)}',
        f'precision  {_figure(total.counts.precision)}  at score {accuracy.score:g}, IoU {MIN_IOU:g}: '
        f'{total.counts.right} right, {total.counts.wrong} wrong',
        f'recall     {_figure(total.counts.recall)}  at score {accuracy.score:g}, IoU {MIN_IOU:g}: '
        f'{total.counts.right} of {total.counts.boxes} boxes', '']
    return lines + _table(
        ('class', 'boxes', 'mAP50', 'mAP50-95', 'precision', 'recall'),
        [(one.name, str(one.counts.boxes), _figure(one.map50), _figure(one.map50_95), _figure(one.counts.precision),
          _figure(one.counts.recall)) for one in accuracy.classes])


def classification_lines(accuracy: ClassificationAccuracy) -> list[str]:
    """Return the totals and a table of the classes."""
    total = accuracy.total
    lines = [f'top-1  {_figure(total.first / total.images)}  {total.first} of {total.images} images',
             f'top-5  {_figure(total.among_five / total.images)}  {total.among_five} of {total.images} images', '']
    return lines + _table(
        ('class', 'images', 'top-1', 'top-5'),
        [(one.name, str(one.images), _figure(one.first / one.images), _figure(one.among_five / one.images))
         for one in accuracy.classes])


def detection_record(accuracy: DetectionAccuracy) -> dict[str, Any]:
    """Return the accuracy as a JSON object. A figure that does not exist is null."""
    return {
        'task': 'detection', 'images': accuracy.images, 'detections': accuracy.detections, 'score': accuracy.score,
        'iou': MIN_IOU, **_class_record(accuracy.total),
        'classes': [{'name': one.name, **_class_record(one)} for one in accuracy.classes]}


def classification_record(accuracy: ClassificationAccuracy) -> dict[str, Any]:
    """Return the accuracy as a JSON object."""
    return {'task': 'classification', **_top_record(accuracy.total),
            'classes': [{'name': one.name, **_top_record(one)} for one in accuracy.classes]}


def _class_record(one: ClassAccuracy) -> dict[str, Any]:
    return {
        'boxes': one.counts.boxes, 'map50': _number(one.map50), 'map50_95': _number(one.map50_95),
        'precision': _number(one.counts.precision), 'recall': _number(one.counts.recall), 'right': one.counts.right,
        'wrong': one.counts.wrong}


def _top_record(one: TopAccuracy) -> dict[str, Any]:
    return {'images': one.images, 'top1': _number(one.first / one.images), 'top5': _number(one.among_five / one.images)}


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def _figure(value: float) -> str:
    return '    -' if math.isnan(value) else f'{value:.3f}'


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    rows = [(one_line(printable(row[0]), _LONGEST_NAME), *row[1:]) for row in rows]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return ['  '.join(cell.rjust(width) if column else cell.ljust(width)
                      for column, (cell, width) in enumerate(zip(row, widths))).rstrip() for row in (header, *rows)]
