# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes sure that long work reads the same model from its files as at the start.

A model file is read several times: for its hash, its inputs, its conversion, its engine. A deployment may replace it in
between. Then the work would store results of the new model under the hash of the old one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError, PerceptionError
from ..file_state import FileState, current_state, file_state
from .file_kinds import is_tflite
from .onnx_file import load_proto, sha256_of
from .onnx_tensors import all_tensors

_READ = 'it was read'


@dataclass(frozen=True)
class ModelFiles:
    """The files of a model, with external data, and their states at one moment; None for a missing file."""

    paths: tuple[Path, ...]
    states: tuple[FileState | None, ...]

    @staticmethod
    def of(path: Path) -> ModelFiles:
        """Return the files of a model as they are now; ModelError if it is not a model file."""
        first = _state(path, file_state)
        if is_tflite(path):
            return ModelFiles((path,), (first,))
        try:
            proto = load_proto(path, weights=False)
        except ModelError:
            ModelFiles((path,), (first,)).require_same(_READ)
            raise
        locations = sorted({
            entry.value for tensor in all_tensors(proto) for entry in tensor.external_data if entry.key == 'location'})
        others = [path.parent / location for location in locations]
        return ModelFiles((path, *others), (first, *(_state(other, file_state) for other in others)))

    def changed_file(self) -> Path | None:
        """Return a file that was changed, replaced or removed, None if all are the same."""
        for path, state in zip(self.paths, self.states):
            if _state(path, current_state) != state:
                return path
        return None

    def require_same(self, doing: str) -> None:
        """Raise ModelError, '<file> changed while <doing>', if a file was changed, replaced or removed."""
        path = self.changed_file()
        if path is not None:
            raise changed(path, f'while {doing}')


@contextlib.contextmanager
def read_at_once(path: Path) -> Iterator[ModelFiles]:
    """Yield the files of a model that the block reads in several steps.

    Raises ModelError at the end if a file has changed in that time, also instead of another error, which may come from
    half a file.
    """
    files = ModelFiles.of(path)
    try:
        yield files
    except (PerceptionError, OSError):
        files.require_same(_READ)
        raise
    files.require_same(_READ)


@contextlib.contextmanager
def unchanged(
    path: Path, sha256: str, doing: str, known: ModelFiles | None = None, storing: bool = True,
) -> Iterator[Callable[[], None]]:
    """Make sure that the block reads the model with this hash, from its start to its end.

    sha256: of the model, see onnx_file.sha256_of
    doing: what the block does, for the message: '<file> changed while <doing>'
    known: the files when this hash was computed; the hash is not computed again if they have not changed
    storing: the result of the block is stored under this hash, so the hash is compared again at the end: a file system
        may have no useful change times

    Yields a function that raises the error as soon as a file has changed, for use during long work. Raises ModelError
    at the start or at the end, also instead of another error.
    """
    files = _files_with(path, sha256, known)

    def check() -> None:
        files.require_same(doing)

    try:
        yield check
    except (PerceptionError, OSError):
        check()
        raise
    check()
    if storing and sha256_of(path) != sha256:
        raise changed(path, f'while {doing}')


def _files_with(path: Path, sha256: str, known: ModelFiles | None) -> ModelFiles:
    """Return the files of the model with this hash, ModelError if they are those of another one."""
    if known is not None and known.changed_file() is None:
        return known
    try:
        files = ModelFiles.of(path)
        if sha256_of(path) == sha256:
            return files
    except ModelError as error:
        if known is None or not path.exists():
            raise
        # It could be read before: this is half a file.
        raise changed(path, 'after it was read') from error
    raise changed(path, 'after it was read')


def changed(path: Path, when: str) -> ModelError:
    """Return the error for a file that was changed or replaced while it was needed."""
    return ModelError(
        f'{path} changed {when}, so the result is not used or stored: start again when the file is complete '
        'and nothing writes to it')


def _state(path: Path, state_of: Callable[[Path], FileState]) -> FileState | None:
    try:
        return state_of(path)
    except (OSError, ValueError):  # ValueError: a location with a null character
        return None
