# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the user names: an --output folder of `annotate`, the folder of one bag in it, or a file of JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..annotate.options import JSON
from ..annotate.sealing import RECORD
from ..annotate.store import Finished, finished_in, read_finished
from ..errors import listed, reason
from ..user_files import why_no_file
from .errors import CompareError

LINES = 'results.jsonl'
_EXPECTED = (
    'expected a folder that trt_perception annotate wrote (--output), the folder of one bag in it, or a file of JSON '
    'lines')


@dataclass(frozen=True)
class Annotation:
    """The results of one bag, or of one file of JSON lines.

    name: of the folder, or of the file; lines: the JSON lines
    record: the content of annotation.json; empty for a file without one
    """

    name: str
    lines: Path
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def content(self) -> str:
        """The hash of the bag's content, '' for a file without annotation.json."""
        return str(self.record.get('content', ''))

    @property
    def folder(self) -> Path | None:
        """The folder of the annotation, None for a file without annotation.json."""
        return self.lines.parent if self.record else None

    @property
    def bag_files(self) -> list[Path]:
        """The storage files of the bag, as they were when it was annotated."""
        return [Path(str(entry['path'])) for entry in self.record.get('files', ())]

    @property
    def names(self) -> tuple[str, ...]:
        """The class names of the model; () if they are not known."""
        found = self.part('settings').get('names')
        return tuple(map(str, found)) if isinstance(found, list) else ()

    @property
    def has_no_images(self) -> bool:
        """Whether annotation.json says that no image of the bag could be read."""
        return self.part('counts').get('images') == 0

    def part(self, key: str) -> Mapping[str, Any]:
        """Return an object of annotation.json, an empty one if it has none with this key."""
        found = self.record.get(key)
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Side:
    """One of the two. path: as the user named it"""

    path: Path
    annotations: tuple[Annotation, ...]

    @property
    def files(self) -> list[Path]:
        """The files that are read."""
        return [path for one in self.annotations
                for path in (one.lines, *((one.folder / RECORD,) if one.folder is not None else ()))]


def read_side(path: Path) -> Side:
    """Find the annotations at a path. Raises CompareError."""
    try:
        if path.is_dir():
            own = read_finished(path)
            found = [own] if own is not None else finished_in(path)
            if not found:
                raise CompareError(f'{path}: it has no finished annotation ({RECORD}); {_EXPECTED}')
            return Side(path, tuple(map(_annotation, found)))
        if not path.is_file():
            raise CompareError(f'{path}: {why_no_file(path)}; {_EXPECTED}')
    except OSError as error:
        raise CompareError(f'{path}: cannot be read: {reason(error)}') from error
    beside = read_finished(path.parent) if path.name == LINES else None
    return Side(path, (_annotation(beside) if beside is not None else Annotation(path.name, path),))


def pair_annotations(first: Side, second: Side) -> tuple[list[tuple[Annotation, Annotation]], list[str], list[str]]:
    """Return the bags that both have, matched by their content, and the names of those that only one has.

    Raises CompareError if there are none, or if a bag is there twice.
    """
    if not all(one.content for side in (first, second) for one in side.annotations):
        _require_one(first, second)
        return [(first.annotations[0], second.annotations[0])], [], []
    by_content = [_by_content(side) for side in (first, second)]
    common = [content for content in by_content[0] if content in by_content[1]]
    only = [[one.name for content, one in found.items() if content not in common] for found in by_content]
    if not common:
        raise CompareError(
            f'{first.path} and {second.path} have no bag in common: their contents differ, whatever their names '
            f'({listed(only[0], 3)}; {listed(only[1], 3)}): annotate the same bags with both models')
    return [(by_content[0][content], by_content[1][content]) for content in common], only[0], only[1]


def _annotation(found: Finished) -> Annotation:
    if LINES not in found.record['outputs']:
        raise CompareError(
            f'{found.folder}: it has no {LINES}, which is compared: annotate again with --formats {JSON} (it is among '
            'the defaults)')
    if not found.is_whole:
        raise CompareError(
            f'{found.folder}: its files are not those that {RECORD} lists: annotate this bag again')
    return Annotation(found.folder.absolute().name, found.folder / LINES, found.record)


def _by_content(side: Side) -> dict[str, Annotation]:
    found: dict[str, Annotation] = {}
    for one in side.annotations:
        if one.content in found:
            raise CompareError(
                f'{side.path}: {found[one.content].name} and {one.name} are annotations of the same bag: give the '
                'folder of one of them')
        found[one.content] = one
    return found


def _require_one(first: Side, second: Side) -> None:
    for side, other in ((first, second), (second, first)):
        if len(side.annotations) > 1:
            raise CompareError(
                f'{side.path} has {len(side.annotations)} bags, and {other.path} is a file of JSON lines: give the '
                'folder of one bag')
