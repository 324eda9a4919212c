# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The folder of --output: which bags are finished, and how a finished one gets its place.

Each bag has a folder with an annotation.json. It is written under another name, in a folder of unfinished.py, and
renamed when it is complete. So a folder with its own name is complete at any moment, also after kill -9 or a power
failure.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..file_lock import LockingError, try_lock
from ..unfinished import part_folder, remove_leftovers
from ..user_files import read_whole
from .errors import AnnotateError, writing
from .known_files import BagFile, KnownFiles
from .sealing import RECORD, seal, to_disk

_LOCK = '.annotate.lock'
_MOST_BYTES = 64_000_000


@dataclass(frozen=True)
class Finished:
    """A finished annotation. record: the content of its annotation.json."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def is_whole(self) -> bool:
        """Whether its files are there with the sizes that they had when it was finished."""
        try:
            return all((self.folder / name).stat().st_size == size for name, size in self.record['outputs'].items())
        except OSError:
            return False


class Store:
    """The folder of --output. One process at a time writes into it: `opened`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._finished: dict[Path, Finished] = {}
        # A fleet has thousands of bags: none is searched for in a list.
        self._by_content: dict[tuple[str, str], Finished] = {}
        # Also of bags that are not finished yet.
        self._reserved: dict[Path, str] = {}
        self.files = KnownFiles()

    @property
    def folder(self) -> Path:
        """The folder."""
        return self._folder

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path) -> Iterator[Store]:
        """Yield the store of a folder, which is created if it is missing; removes what killed processes left.

        Raises AnnotateError if it cannot be used, or if another process writes into it.
        """
        with contextlib.ExitStack() as stack:
            if folder.exists() and not folder.is_dir():
                raise AnnotateError(f'--output {folder}: it is a file; expected a folder')
            with writing(folder):
                folder.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_lock(folder))
                remove_leftovers(folder, locked=True)
                store = cls(folder)
                for found in finished_in(folder):
                    store._add(found)
            yield store

    def finished(self, content: str, run: str) -> Finished | None:
        """Return the annotation of a bag with this content and these settings, if it is complete."""
        found = self._by_content.get((content, run))
        return found if found is not None and found.is_whole else None

    def place_for(self, name: str, content: str) -> Path:
        """Return the folder for the annotation of a bag: its name, with a part of its hash if another bag has it.

        No other content gets the same folder then.
        """
        for candidate in (name, f'{name}-{content[:8]}', f'{name}-{content}'):
            path = self._folder / candidate
            reserved = self._reserved.get(path)
            if reserved == content if reserved is not None else not os.path.lexists(path):
                self._reserved[path] = content
                return path
        raise AnnotateError(
            f'{self._folder / name}: it was not written by this command: choose another --output, or move it away')

    @contextlib.contextmanager
    def new(self, place: Path) -> Iterator[Path]:
        """Yield an empty folder. At the end of the block, `complete` has put it in its place, or it is removed."""
        with contextlib.ExitStack() as stack:
            with writing(self._folder):
                folder = stack.enter_context(part_folder(self._folder, place.name)) / place.name
                folder.mkdir()
            yield folder

    def complete(self, folder: Path, place: Path, record: Mapping[str, Any]) -> None:
        """Write annotation.json into a new folder, and put it in its place instead of an older annotation.

        record: has `content`, `run` and `files`; the sizes of the outputs are added. Raises AnnotateError.
        """
        with writing(self._folder):
            whole = seal(folder, record)
            self.put(folder, place, whole)

    def put(self, folder: Path, place: Path, record: Mapping[str, Any]) -> None:
        """Put a new folder in its place instead of an older annotation. Raises AnnotateError.

        record: of `seal`
        """
        with writing(self._folder):
            if place.exists():
                # Beside the new one, in a folder that the next run removes after a kill.
                place.rename(folder.parent / f'{place.name}.old')
            folder.rename(place)
            to_disk(self._folder)
        self._add(Finished(place, record))

    def _add(self, found: Finished) -> None:
        old = self._finished.get(found.folder)
        if old is not None:
            self._by_content.pop((old.record['content'], old.record['run']), None)
        self._finished[found.folder] = found
        key = found.record['content'], found.record['run']
        if key not in self._by_content or not self._by_content[key].is_whole:
            self._by_content[key] = found
        self._reserved[found.folder] = found.record['content']
        self.files.add(found.record)


def content_of(files: Sequence[BagFile]) -> str:
    """Return one hash for the content of all storage files of a bag."""
    return hashlib.sha256(''.join(file.sha256 for file in files).encode()).hexdigest()


def run_of(settings: Mapping[str, Any]) -> str:
    """Return the name of a run: a hash of its settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            free = stack.enter_context(try_lock(folder / _LOCK)) is not None
        except LockingError:
            free = True  # A file system without locks: the user sees to it.
        if not free:
            raise AnnotateError(f'--output {folder}: another process writes into it: wait, or choose another folder')
        yield


def finished_in(folder: Path) -> list[Finished]:
    """Return the annotations in a folder of --output, sorted by name. Raises OSError."""
    return [found for path in sorted(folder.iterdir()) if (found := read_finished(path)) is not None]


def read_finished(path: Path) -> Finished | None:
    """Return the annotation in a folder, None if it has none that can be read."""
    try:
        record = json.loads(read_whole(path / RECORD, _MOST_BYTES).decode())
        for entry in record['files']:
            _ = entry['path'], entry['state'], entry['sha256']
        _ = record['content'], record['run'], record['outputs'].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Finished(path, record)
