# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The results of `trt_perception predict --json`, read from their file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import printable
from .errors import EvaluationError
from .truth import is_number

_EXPECTED = 'expected the JSON lines of trt_perception predict --json'
_BOX_NUMBERS = 4


@dataclass(frozen=True)
class Found:
    """One detection, or one class of a classification.

    name: the class, or its index as text if the model has no names
    score: in 0..1
    box: x_min, y_min, x_max, y_max in pixels; None for a classification
    """

    name: str
    score: float
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class ImageResult:
    """The results of one image, as in results/json_lines.py. source: its path."""

    source: str
    width: int
    height: int
    found: tuple[Found, ...]


@dataclass(frozen=True)
class Predictions:
    """The results of all images. path: their file; detections: whether they are boxes."""

    path: Path
    detections: bool
    images: tuple[ImageResult, ...]


def read_predictions(path: Path) -> Predictions:
    """Read JSON lines. Raises EvaluationError."""
    try:
        lines = path.read_text(encoding='utf-8').split('\n')
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else 'not UTF-8 text'
        raise EvaluationError(f'predictions {path}: {reason}; {_EXPECTED}') from error
    images: list[ImageResult] = []
    kinds: set[str] = set()
    for number, line in enumerate(lines, 1):
        if line.strip():
            kind, image = _record(f'predictions {path} line {number}', line)
            kinds.add(kind)
            images.append(image)
    if not images:
        raise EvaluationError(f'predictions {path}: the file is empty; {_EXPECTED}')
    if len(kinds) > 1:
        raise EvaluationError(f'predictions {path}: detections and classifications in one file; evaluate one model')
    return Predictions(path, kinds == {'detections'}, tuple(images))


def _record(where: str, line: str) -> tuple[str, ImageResult]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f'{where}: not JSON ({error}); {_EXPECTED}') from error
    if isinstance(record, list):
        raise EvaluationError(f'{where}: a list, as in a COCO results file; {_EXPECTED}')
    kind = next((key for key in ('detections', 'classifications') if isinstance(record, dict) and key in record), '')
    if not (kind and isinstance(record.get('source'), str) and record['source'] and isinstance(record[kind], list)
            and all(isinstance(record.get(key), int) for key in ('width', 'height'))):
        raise EvaluationError(f'{where}: not a result of an image; {_EXPECTED}')
    found = tuple(_found(where, entry, kind == 'detections') for entry in record[kind])
    return kind, ImageResult(record['source'], record['width'], record['height'], found)


def _found(where: str, entry: Any, with_box: bool) -> Found:
    if not (isinstance(entry, dict) and isinstance(entry.get('class_id'), str) and is_number(entry.get('score'))):
        raise EvaluationError(f'{where}: {printable(entry)} has no class_id or no score; {_EXPECTED}')
    if not with_box:
        return Found(entry['class_id'], float(entry['score']))
    box = entry.get('bbox')
    if not (isinstance(box, list) and len(box) == _BOX_NUMBERS and all(map(is_number, box)) and box[0] <= box[2]
            and box[1] <= box[3]):
        raise EvaluationError(f'{where}: bbox is {printable(box)}; expected [x_min, y_min, x_max, y_max] in pixels')
    return Found(
        entry['class_id'], float(entry['score']), (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
