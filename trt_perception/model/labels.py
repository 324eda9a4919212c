# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Class names by index, read from the files that training tools write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import LabelsError, one_line, printable, reason
from ..user_files import load_yaml, read_whole, short_int, short_repr, shown

_DATA = Path(__file__).parents[1] / 'data'
SHIPPED = ('coco', 'imagenet')
# ImageNet's 21,841 classes with their indices take 0.6 MB.
_MOST_BYTES = 2_000_000

_FORMATS = (
    'expected .txt (one name per line), .json (a list, {"0": name, ...} or {"names": ...}) or '
    ".yaml (Ultralytics' data.yaml with names:)")
_WORDNET_ID = re.compile(r'n\d{8}')


def load_labels(path: str | Path) -> list[str]:
    """Read class names. The position in the returned list is the class index.

    - .txt, .names, .labels: one name per line. Blank lines are allowed only at the end, because one in the middle
      would shift the indices of all later classes
    - .json: a list of names, {"0": name, ...}, {"names": either of these}, or Keras' imagenet_class_index.json
    - .yaml, .yml: `names:` as a list or as {0: name, ...}, as in Ultralytics' data.yaml, or a plain list

    A byte order mark, CRLF and spaces around names are removed. Two classes may have the same name: ImageNet lists
    often contain 'crane' twice.
    Raises LabelsError if the file is missing, malformed, empty, not a regular file or larger than 2 MB, or if an index
    has no name.
    """
    path = Path(path)
    where = f'labels file {printable(path)}'
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise LabelsError(f'{where}: {_FORMATS}, found the suffix {path.suffix!r}')
    try:
        text = read_whole(path, _MOST_BYTES).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise LabelsError(
            f'{where}: expected UTF-8 text, found byte {error.object[error.start]:#04x} at '
            f'offset {error.start}; save the file as UTF-8') from error
    except FileNotFoundError as error:
        raise LabelsError(f'{where}: {reason(error)}; check the path of the class names') from error
    except OSError as error:
        raise LabelsError(f'{where}: {reason(error)}') from error
    if '\0' in text:
        raise LabelsError(f'{where}: expected UTF-8 text, found a null byte at character {text.index(chr(0))}')
    return _READERS[suffix](text, where)


def shipped_labels(name: str) -> list[str]:
    """Return class names that are shipped with this package.

    name: 'coco' (80 classes, Ultralytics' spelling and order) or 'imagenet' (the 1000 classes of ILSVRC 2012 with
    torchvision's names). Raises LabelsError for another name.
    """
    if name not in SHIPPED:
        raise LabelsError(f'unknown list of class names {name!r}: expected one of {", ".join(SHIPPED)}')
    return load_labels(_DATA / f'{name}.txt')


def names_from(value: Any, where: str) -> list[str]:
    """Turn a list of names, or a mapping from index to name, into a list.

    where: the source of the value; error messages begin with it
    Raises LabelsError for another type, an index without a name, or a name that is not text.
    """
    if isinstance(value, Mapping):
        value = _in_order(value, where)
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise LabelsError(
            f'{where}: expected a list of names or a mapping from index to name, found {shown(value)}')
    if not value:
        raise LabelsError(f'{where}: expected class names, found none')
    return [_name(entry, f'{where}: class {index}') for index, entry in enumerate(value)]


def _in_order(names: Mapping[Any, Any], where: str) -> list[Any]:
    by_index: dict[int, Any] = {}
    for key, name in names.items():
        try:
            if isinstance(key, bool) or not isinstance(key, (int, str)):
                raise ValueError
            index = short_int(key) if isinstance(key, str) else key
        except ValueError:
            raise LabelsError(f'{where}: expected class indices as keys, found {short_repr(key)}') from None
        if index in by_index:
            raise LabelsError(f'{where}: class {index} has two names; remove one')
        by_index[index] = name
    missing = sorted(set(range(len(by_index))) - set(by_index))
    if missing:
        raise LabelsError(
            f'{where}: expected the indices 0 to {len(by_index) - 1} for {len(by_index)} names, but class '
            f'{missing[0]} has no name and the highest index is {max(by_index)}')
    return [by_index[index] for index in range(len(by_index))]


def _name(entry: Any, where: str) -> str:
    if _is_wordnet_pair(entry):
        entry = entry[1]
    if isinstance(entry, int) and not isinstance(entry, bool):
        # Digits and street numbers are valid names, but YAML and JSON read them as numbers.
        return str(entry)
    if isinstance(entry, (list, Mapping)):
        raise LabelsError(f'{where}: expected a name, found {shown(entry)}; write one name for each class')
    if not isinstance(entry, str):
        raise LabelsError(
            f'{where}: expected a name, found {shown(entry)}; YAML reads words such as yes, no, on and '
            'null as values: put the name in quotes')
    if not entry.strip():
        raise LabelsError(f'{where}: expected a name, found an empty one')
    return entry.strip()


def _is_wordnet_pair(entry: Any) -> bool:
    """Return whether entry is like ["n01440764", "tench"] in Keras' imagenet_class_index.json."""
    return (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)
            and _WORDNET_ID.fullmatch(entry[0]) is not None)


def _read_txt(text: str, where: str) -> list[str]:
    # Not splitlines(): it also splits at characters that a name may contain.
    lines = text.replace('\r\n', '\n').replace('\r', '\n').rstrip().split('\n')
    if lines == ['']:
        raise LabelsError(f'{where}: expected one class name per line, found an empty file')
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise LabelsError(
                f'{where}: line {number} is blank, but each line is a class and a blank one would shift the '
                'indices of all later classes: remove the line or give the class a name')
    return [line.strip() for line in lines]


def _read_json(text: str, where: str) -> list[str]:
    try:
        value = json.loads(text, object_pairs_hook=lambda pairs: _unique(pairs, where), parse_int=short_int)
    except ValueError as error:
        raise LabelsError(f'{where}: not valid JSON: {error}') from error
    except RecursionError as error:
        raise LabelsError(f'{where}: not valid JSON: it is nested too deeply') from error
    if isinstance(value, dict) and 'names' in value:
        value = value['names']
    return names_from(value, where)


def _unique(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise LabelsError(f'{where}: the key {short_repr(key)} appears twice; remove one')
        result[key] = value
    return result


def _read_yaml(text: str, where: str) -> list[str]:
    try:
        value = load_yaml(text)
    except ValueError as error:
        raise LabelsError(f'{where}: not valid YAML: {error}') from error
    if isinstance(value, Mapping):
        if 'names' not in value:
            keys = one_line(', '.join(str(key) for key in value), 100) or 'nothing'
            raise LabelsError(f'{where}: expected the key names:, found {keys}')
        names = names_from(value['names'], where)
        count = value.get('nc')
        if count is not None and count != len(names):
            raise LabelsError(
                f'{where}: nc: is {short_repr(count)}, but names: has {len(names)} names; correct one of them')
        return names
    return names_from(value, where)


_READERS = {
    '.txt': _read_txt, '.names': _read_txt, '.labels': _read_txt,
    '.json': _read_json, '.yaml': _read_yaml, '.yml': _read_yaml,
}
