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

from ..errors import SourceError
from ..file_lock import LockingError, try_lock
from ..file_state import file_state
from ..unfinished import part_folder, remove_leftovers
from ..user_files import read_whole
from .errors import AnnotateError, writing

RECORD = 'annotation.json'
_LOCK = '.annotate.lock'
_MOST_BYTES = 64_000_000
_BLOCK = 1 << 20


@dataclass(frozen=True)
class BagFile:
    """A storage file of a bag. state: as in file_state.py; sha256: of its content."""

    path: Path
    state: list[list[int]]
    sha256: str


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
        self._finished: list[Finished] = []

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
                store._finished = finished_in(folder)
            yield store

    def files_of(self, paths: Sequence[Path]) -> list[BagFile]:
        """Return the storage files with their SHA-256; a file that has not changed since it was annotated is not read.

        Raises SourceError if one cannot be read.
        """
        known = {
            (entry['path'], json.dumps(entry['state'])): entry['sha256']
            for found in self._finished for entry in found.record['files']}
        found = []
        for path in paths:
            try:
                state = [list(values) for values in file_state(path)]
                digest = known.get((str(path.absolute()), json.dumps(state))) or _sha256(path)
            except OSError as error:
                raise SourceError(f'{path}: cannot be read: {error.strerror}') from error
            found.append(BagFile(path, state, digest))
        return found

    def finished(self, content: str, run: str) -> Finished | None:
        """Return the annotation of a bag with this content and these settings, if it is complete."""
        return next((
            found for found in self._finished
            if found.record['content'] == content and found.record['run'] == run and found.is_whole), None)

    def place_for(self, name: str, content: str) -> Path:
        """Return the folder for the annotation of a bag: its name, with a part of its hash if another bag has it."""
        for candidate in (name, f'{name}-{content[:8]}', f'{name}-{content}'):
            path = self._folder / candidate
            found = next((found for found in self._finished if found.folder == path), None)
            if found.record['content'] == content if found is not None else not os.path.lexists(path):
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
            files = [path for path in sorted(folder.rglob('*')) if path.is_file()]
            outputs = {str(path.relative_to(folder)): path.stat().st_size for path in files}
            whole = {**record, 'outputs': outputs}
            (folder / RECORD).write_text(json.dumps(whole, indent=1) + '\n', encoding='utf-8')
            for path in (*folder.rglob('*'), folder):
                _to_disk(path)
            if place.exists():
                # Beside the new one, in a folder that the next run removes after a kill.
                place.rename(folder.parent / f'{place.name}.old')
            folder.rename(place)
            _to_disk(self._folder)
        self._finished = [found for found in self._finished if found.folder != place] + [Finished(place, whole)]


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


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _to_disk(path: Path) -> None:
    """Wait until a file or a folder is on the disk: else a power failure could keep a rename and lose the data."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
