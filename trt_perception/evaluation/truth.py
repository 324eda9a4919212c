# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The labelled data set: a COCO file, or a CSV file with one class for each image."""

from __future__ import annotations

import csv
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import printable, reason
from ..results.json_reader import is_number
from ..user_files import short_repr
from .errors import EvaluationError

_CSV_HEADER = ['file', 'class']
_BOX_NUMBERS = 4
_SHOWN = 60


@dataclass(frozen=True)
class TruthImage:
    """One labelled image.

    file_name: as in the file; it may begin with folders
    width, height: in pixels, 0 if the file does not tell them
    """

    file_name: str
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Label:
    """One annotation.

    image, class_index: positions in Truth.images and Truth.classes
    box: x_min, y_min, width, height in pixels; None for a class of the whole image
    crowd: COCO's iscrowd: many objects in one box, which count neither as found nor as missing
    """

    image: int
    class_index: int
    box: tuple[float, float, float, float] | None = None
    crowd: bool = False


@dataclass(frozen=True)
class Truth:
    """A labelled data set. path: its file."""

    path: Path
    images: tuple[TruthImage, ...]
    classes: tuple[str, ...]
    labels: tuple[Label, ...]


def read_truth(path: Path) -> Truth:
    """Read a COCO file, or a CSV file if the name ends with .csv. Raises EvaluationError."""
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        why = reason(error) if isinstance(error, OSError) else 'not UTF-8 text'
        raise EvaluationError(f'truth {path}: {why}; expected a COCO file (JSON) or a CSV file') from error
    return _csv_truth(path, text) if path.suffix.lower() == '.csv' else _coco_truth(path, text)


def _csv_truth(path: Path, text: str) -> Truth:
    try:
        rows = [row for row in csv.reader(text.splitlines(), strict=True) if row]
    except csv.Error as error:
        raise EvaluationError(f'truth {path}: {error}; expected lines such as photos/cat.jpg,"tabby, cat"') from error
    if not rows or [cell.strip().lower() for cell in rows[0]] != _CSV_HEADER:
        found = printable(','.join(rows[0])[:_SHOWN]) if rows else 'an empty file'
        raise EvaluationError(f'truth {path}: expected the first line file,class, found {found}')
    images: dict[str, str] = {}
    for row in rows[1:]:
        if len(row) != len(_CSV_HEADER) or not row[0].strip() or not row[1].strip():
            raise EvaluationError(
                f'truth {path}: expected a file and a class in each line, found {printable(",".join(row))}; a name '
                'with a comma is written in quotation marks')
        file, name = row[0].strip(), row[1].strip()
        if file in images:
            raise EvaluationError(f'truth {path}: {printable(file)} is listed twice; expected one class for each image')
        images[file] = name
    if not images:
        raise EvaluationError(f'truth {path}: no images; expected a line file,class for each image')
    classes = tuple(dict.fromkeys(images.values()))
    labels = tuple(Label(index, classes.index(name)) for index, name in enumerate(images.values()))
    return Truth(path, tuple(TruthImage(file) for file in images), classes, labels)


def _coco_truth(path: Path, text: str) -> Truth:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EvaluationError(
            f'truth {path}: not a JSON file ({error}); expected a COCO file, or a CSV file with the name *.csv'
        ) from error
    images, categories, annotations = (
        _entries(path, content, key) for key in ('images', 'categories', 'annotations'))
    image_of = _positions(path, 'images', images)
    class_of = _positions(path, 'categories', categories)
    classes = tuple(_text(path, f'categories[{i}].name', entry.get('name')) for i, entry in enumerate(categories))
    files = tuple(
        TruthImage(_text(path, f'images[{i}].file_name', entry.get('file_name')),
                   _pixels(path, f'images[{i}].width', entry.get('width')),
                   _pixels(path, f'images[{i}].height', entry.get('height')))
        for i, entry in enumerate(images))
    _require_different(
        path, 'categories have the name', classes, 'because classes are matched by name: rename one, in the names '
        'of the model too')
    _require_different(
        path, 'images have the file_name', [image.file_name for image in files], 'because images are matched by it: '
        'write the folder into it')
    if not files:
        raise EvaluationError(f'truth {path}: no images; expected at least one in the list images')
    labels = tuple(
        _label(path, f'annotations[{i}]', entry, image_of, class_of) for i, entry in enumerate(annotations))
    return Truth(path, files, classes, labels)


def _entries(path: Path, content: object, key: str) -> list[dict[str, Any]]:
    part = content.get(key) if isinstance(content, dict) else None
    if not isinstance(part, list) or not all(isinstance(entry, dict) for entry in part):
        raise EvaluationError(
            f'truth {path}: not a COCO file; expected an object with the lists images, categories and annotations')
    return part


def _label(
    path: Path, where: str, entry: Mapping[str, Any], image_of: Mapping[Any, int], class_of: Mapping[Any, int],
) -> Label:
    places = []
    for key, known in (('image_id', image_of), ('category_id', class_of)):
        value = entry.get(key)
        if not isinstance(value, Hashable) or value not in known:
            raise EvaluationError(f'truth {path}: {where}.{key} is {short_repr(value)}, which no image or category has')
        places.append(known[value])
    crowd = entry.get('iscrowd')
    # bool('0') is True: a text would make a crowd, which does not count, of each object.
    if crowd not in (None, 0, 1):
        raise EvaluationError(f'truth {path}: {where}.iscrowd is {short_repr(crowd)}; expected the number 0 or 1')
    box = entry.get('bbox')
    if not box:
        return Label(places[0], places[1], None, bool(crowd))
    if not (isinstance(box, list) and len(box) == _BOX_NUMBERS and all(map(is_number, box)) and min(box[2:]) >= 0):
        raise EvaluationError(
            f'truth {path}: {where}.bbox is {printable(box)}; expected [x, y, width, height] in pixels')
    return Label(places[0], places[1], (float(box[0]), float(box[1]), float(box[2]), float(box[3])), bool(crowd))


def _positions(path: Path, key: str, entries: Sequence[Mapping[str, Any]]) -> dict[Any, int]:
    found: dict[Any, int] = {}
    for index, entry in enumerate(entries):
        number = entry.get('id')
        if not isinstance(number, (int, str)) or number in found:
            raise EvaluationError(
                f'truth {path}: {key}[{index}].id is {short_repr(number)}; expected a number that no other one has')
        found[number] = index
    return found


def _text(path: Path, where: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise EvaluationError(f'truth {path}: {where} is {short_repr(value)}; expected a name')
    return value


def _pixels(path: Path, where: str, value: object) -> int:
    if value is None:
        return 0
    if not isinstance(value, (int, float)) or not is_number(value) or value < 0:
        raise EvaluationError(f'truth {path}: {where} is {short_repr(value)}; expected a number of pixels')
    return int(value)


def _require_different(path: Path, what: str, names: Sequence[str], why: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise EvaluationError(f'truth {path}: two {what} {printable(name)}; expected different ones, {why}')
        seen.add(name)
