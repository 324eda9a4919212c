# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads one line of `predict --json` or of the results.jsonl of `annotate`, whatever stands in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..errors import printable
from ..user_files import short_repr

_WRITERS = 'trt_perception predict --json or annotate'
EXPECTED = f'expected the JSON lines of {_WRITERS}'
_BOX_NUMBERS = 4
# JSON allows whole numbers that no float can be.
_LARGEST = 1e9
# A quantised output may end a step outside of 0..1.
_SCORE_TOLERANCE = 0.01


class LineError(ValueError):
    """A line is not the result of an image. The text says what was expected, without the file and the line."""


@dataclass(frozen=True)
class Found:
    """One detection, or one class of a classification.

    name: the class, or its index as text if the model has no names
    score: in 0..1, or 0.01 outside of it
    box: x_min, y_min, x_max, y_max in pixels; None for a classification
    """

    name: str
    score: float
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class LineResult:
    """The result of one image, as in json_lines.py.

    source: path of the image, video or bag; topic: of a bag that `annotate` read, '' in lines of `predict`
    frame: its number; 0 if the line has none
    width, height: in pixels; stamp_ns: None if the line has none
    detections: whether `found` are boxes
    """

    source: str
    topic: str
    frame: int
    width: int
    height: int
    stamp_ns: int | None
    detections: bool
    found: tuple[Found, ...]


def read_line(line: bytes) -> LineResult:
    """Return the result in a line, with or without a byte order mark. Raises LineError."""
    try:
        record = json.loads(line.decode('utf-8-sig'))
    except UnicodeDecodeError as error:
        raise LineError(f'not UTF-8 text; {EXPECTED}') from error
    except (ValueError, RecursionError) as error:
        raise LineError(f'not JSON ({error}); {EXPECTED}') from error
    if isinstance(record, list):
        raise LineError(f'a list, as in a COCO results file; {EXPECTED}')
    kind = next((key for key in ('detections', 'classifications') if isinstance(record, dict) and key in record), '')
    if not (kind and isinstance(record.get('source'), str) and record['source'] and isinstance(record[kind], list)
            and isinstance(record.get('topic', ''), str)
            and all(isinstance(record.get(key), int) for key in ('width', 'height'))
            and isinstance(record.get('frame', 0), int) and isinstance(record.get('stamp_ns', 0), int)):
        raise LineError(f'not a result of an image; {EXPECTED}')
    with_boxes = kind == 'detections'
    return LineResult(
        record['source'], record.get('topic', ''), record.get('frame', 0), record['width'], record['height'],
        record.get('stamp_ns'), with_boxes, tuple(_found(entry, with_boxes) for entry in record[kind]))


def is_number(value: object) -> bool:
    """Return whether a value of a JSON file is a number that pixels or scores can have; NaN is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST


def _found(entry: Any, with_box: bool) -> Found:
    if not (isinstance(entry, dict) and isinstance(entry.get('class_id'), str) and 'score' in entry):
        raise LineError(f'{printable(entry)} has no class_id or no score; {EXPECTED}')
    score = entry['score']
    # Such as percents, or logits: thresholds and limits would mean nothing.
    if not is_number(score) or not -_SCORE_TOLERANCE <= score <= 1 + _SCORE_TOLERANCE:
        raise LineError(f'score is {short_repr(score)}; expected a number from 0 to 1, as {_WRITERS} writes it')
    if not with_box:
        return Found(entry['class_id'], float(score))
    box = entry.get('bbox')
    if not (isinstance(box, list) and len(box) == _BOX_NUMBERS and all(map(is_number, box)) and box[0] <= box[2]
            and box[1] <= box[3]):
        raise LineError(f'bbox is {printable(box)}; expected [x_min, y_min, x_max, y_max] in pixels')
    return Found(
        entry['class_id'], float(score), (float(box[0]), float(box[1]), float(box[2]), float(box[3])))
