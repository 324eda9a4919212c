# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the class names in an ONNX file's metadata."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import listed, printable

# Longer than the names of any data set (21,843 classes of ImageNet: 0.6 MB).
_LONGEST = 10_000_000
_QUOTED = 80
_LISTED = 3


@dataclass(frozen=True)
class MetadataNames:
    """The class names of a file. problem: why they cannot be used, or what is odd about them; '' if nothing."""

    names: tuple[str, ...] = ()
    problem: str = ''


def read_metadata_names(metadata: Mapping[str, str]) -> MetadataNames:
    """Read the exporter's `names` entry: a JSON or Python dict or list, as from Ultralytics.

    A class with an empty name has its index as its name.
    """
    text = metadata.get('names', '')
    if not text.strip():
        return MetadataNames()
    try:
        entries = _in_order(_parsed(text))
        names = tuple(_name(entry, index) for index, entry in enumerate(entries))
    except ValueError as error:
        return MetadataNames(
            problem=f"the file's class names cannot be read ({error}): found {_quoted(text)}; expected a list, or a "
            'mapping from the indices 0, 1, 2, ... to names')
    return MetadataNames(tuple(name if name.strip() else str(index) for index, name in enumerate(names)), _odd(names))


def _parsed(text: str) -> Any:
    if len(text) > _LONGEST:
        raise ValueError(f'{len(text)} characters')
    try:
        try:
            return json.loads(text)
        except ValueError:
            with warnings.catch_warnings():
                # A backslash in a name is not worth a line of Python's compiler.
                warnings.simplefilter('ignore')
                return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        raise ValueError('neither JSON nor a Python literal') from None


def _in_order(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        entries = list(value)
    elif isinstance(value, dict):
        try:
            by_index = {_index(key): name for key, name in value.items()}
        except ValueError:
            raise ValueError('its keys are not indices') from None
        # A gap would shift the names of all classes after it.
        missing = next((index for index in range(len(by_index)) if index not in by_index), None)
        if missing is not None:
            raise ValueError(f'class {missing} has no name, the indices are {min(by_index)} to {max(by_index)}')
        entries = [by_index[index] for index in range(len(by_index))]
    else:
        raise ValueError(f'a value of type {type(value).__name__}')
    return entries


def _index(key: Any) -> int:
    if isinstance(key, bool) or not isinstance(key, (int, str)):
        raise ValueError
    index = int(key)
    if abs(index) > _LONGEST:
        raise ValueError
    return index


def _name(entry: Any, index: int) -> str:
    # Digits are names too, without quotes.
    if isinstance(entry, bool) or not isinstance(entry, (str, int, float)):
        raise ValueError(f'the name of class {index} has the type {type(entry).__name__}')
    return str(entry)


def _odd(names: tuple[str, ...]) -> str:
    """Return what is odd about readable names: empty ones, and names of several classes."""
    empty = [str(index) for index, name in enumerate(names) if not name.strip()]
    shared = shared_names(names)
    found = []
    if empty:
        found.append(f'no name for class {listed(empty, _LISTED)}, whose index is used')
    if shared:
        found.append(shared)
    return f"the file's class names have {' and '.join(found)}; correct 'names' in its metadata" if found else ''


def shared_names(names: Sequence[str]) -> str:
    """Return which classes have the same name, after "have"; '' if all names differ. Empty names do not count."""
    classes: dict[str, list[str]] = {}
    for index, name in enumerate(names):
        if name.strip():
            classes.setdefault(name.strip(), []).append(str(index))
    shared = [
        f'{_quoted(name)} for classes {listed(indices, _LISTED)}'
        for name, indices in classes.items() if len(indices) > 1]
    return f'the same name {listed(shared, _LISTED, longest=0)}' if shared else ''


def _quoted(text: str) -> str:
    cut = text if len(text) <= _QUOTED else f'{text[:_QUOTED]}...'
    return f"'{printable(cut)}'"
