# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The SHA-256 of a bag's files, and of calibration frames. A bag's file that has not changed is not read again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SourceError, reason
from ..file_state import file_state

_BLOCK = 1 << 20


@dataclass(frozen=True)
class BagFile:
    """A storage file of a bag. state: as in file_state.py; sha256: of its content."""

    path: Path
    state: list[list[int]]
    sha256: str


class KnownFiles:
    """What is known of files that were read before."""

    def __init__(self) -> None:
        self._digests: dict[tuple[str, str], str] = {}

    def add(self, record: Mapping[str, Any]) -> None:
        """Remember the files of a record that is in the store."""
        self._digests.update({
            (entry['path'], json.dumps(entry['state'])): entry['sha256'] for entry in record['files']})

    def files_of(self, paths: Sequence[Path]) -> list[BagFile]:
        """Return the storage files with their SHA-256; a file that has not changed since it was annotated is not read.

        Raises SourceError if one cannot be read.
        """
        found = []
        for path in paths:
            try:
                state = _state(path)
                digest = self._known(path, state) or _sha256(path)
            except OSError as error:
                raise SourceError(f'{path}: cannot be read: {reason(error)}') from error
            found.append(BagFile(path, state, digest))
        return found

    def unchanged(self, paths: Sequence[Path]) -> list[BagFile] | None:
        """Return the same as files_of; None if a file must be read for that, or cannot be found."""
        try:
            states = [(path, _state(path)) for path in paths]
        except OSError:
            return None
        known = [self._known(path, state) for path, state in states]
        return [BagFile(path, state, digest) for (path, state), digest in zip(states, known) if digest] \
            if all(known) else None

    def _known(self, path: Path, state: list[list[int]]) -> str | None:
        return self._digests.get((str(path.absolute()), json.dumps(state)))


def require_unchanged(files: Sequence[BagFile]) -> None:
    """Raise SourceError if the content of a file is not that of its SHA-256 any longer, or cannot be read."""
    for file in files:
        try:
            # A file whose times only changed is read again: the results of a long recording would be lost.
            if _state(file.path) == file.state or _sha256(file.path) == file.sha256:
                continue
        except OSError as error:
            raise SourceError(f'{file.path}: cannot be read any longer: {reason(error)}') from error
        raise SourceError(
            f'{file.path}: it changed while it was annotated; expected a recording that is closed: stop the recorder, '
            'and run the command again')


def content_of_frames(source: str) -> str:
    """Return a hash of the files of a calibration source: an image, a video, a bag or a folder; their order counts.

    '' if there is no such path: the name of a catalogue video, whose content is fixed
    Raises SourceError if a file cannot be read.
    """
    if not os.path.exists(source):  # noqa: PTH110, because Path.exists raises an error for a name that is too long
        return ''
    digest = hashlib.sha256()
    path = Path(source)
    try:
        # A source is not searched below its folder, and hidden files in it are skipped.
        files = [path] if path.is_file() else sorted(
            file for file in path.iterdir() if file.is_file() and not file.name.startswith('.'))
        for path in files:
            digest.update(f'{len(path.name)} '.encode() + os.fsencode(path.name) + _sha256(path).encode())
    except OSError as error:
        raise SourceError(f'{source}: cannot be read: {reason(error)}') from error
    return digest.hexdigest()


def _state(path: Path) -> list[list[int]]:
    return [list(values) for values in file_state(path)]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
