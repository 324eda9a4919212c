# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks output paths before the long work starts: no output replaces an input, and no output becomes an input."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import PerceptionError, reason
from ..sources.bag_paths import folder_of_storage_file
from ..sources.formats import is_media_name
from ..sources.live_names import is_live
from ..unfinished import part_folder, remove_leftovers

# A report of an earlier run may be replaced, also if it lies in a folder that this command reads.
_REPORTS = ('.json', '.jsonl')


class OutputError(PerceptionError):
    """A requested output file cannot be written."""


class Outputs:
    """The files and folders that one command reads and writes.

    Every output option of every subcommand is checked here. Two paths are the same file if their names, symbolic links,
    hard links or a file system that ignores case lead to it.
    """

    def __init__(self, *read: str | os.PathLike[str] | None) -> None:
        """Store what the command reads: files and folders, '' and None are ignored; they need not exist."""
        self._read: list[Path] = []
        self._written: list[Path] = []
        self._inodes: frozenset[tuple[int, int]] | None = None
        for name in read:
            if not name or is_live(str(name)):
                continue
            path = Path(name)
            self._read.append(path)
            bag = folder_of_storage_file(path)
            if bag is not None:
                self._read.append(bag)

    def file(self, option: str, path: Path | None) -> None:
        """Raise OutputError if a file cannot be opened for writing, or should not be. A `path` of None is ignored."""
        if path is None:
            return
        _require_name(option, path)
        self._require_another(option, path)
        for folder in self._folders():
            if not _is_in(path, folder):
                continue
            # The file that is written if the path is a link.
            real = Path(os.path.realpath(path))
            if path.exists() and real.suffix.lower() not in _REPORTS:
                raise OutputError(f'{option} {path} is in {folder}, which this command reads: choose another name')
            if is_media_name(real):
                raise OutputError(
                    f'{option} {path} would become an input, because it is in {folder}, which this command reads: '
                    'choose another folder')
        if self.is_read(path):
            raise OutputError(
                f'{option} {path} is another name of a file that this command reads: choose another name')
        _require_writable(option, path)
        self._written.append(path)

    def new_file(self, option: str, path: Path) -> None:
        """As `file`, for a file that is written elsewhere and then moved to `path`."""
        self.file(option, path)
        if path.exists() and not path.is_file():
            raise OutputError(f'{option} {path}: it is not a regular file; expected the name of a file to write')

    def folder(self, option: str, path: Path | None) -> None:
        """Raise OutputError if files in this folder would become inputs. A `path` of None is ignored."""
        if path is None:
            return
        _require_name(option, path)
        for folder in self._folders():
            if _same(path, folder):
                raise OutputError(
                    f'{option} {path} is a folder that this command reads{_spelled(path, folder)}: the results would '
                    'replace its files or become inputs; choose another folder')
        self._written.append(path)

    def fixed(self, option: str, path: Path) -> None:
        """Raise OutputError if `path`, which the command always replaces, is or contains a file that it reads."""
        self._require_another(option, path)
        for other in self._read:
            if _is_in(other, path):
                raise OutputError(
                    f'{option}: this command replaces {path}, but also reads {other} in it: choose another folder')
        if self.is_read(path):
            raise OutputError(f'{option}: {path} is another name of a file that this command reads: choose another '
                              'folder')

    def is_read(self, path: Path) -> bool:
        """Return whether an existing file has the content of a file that this command reads or has opened to write."""
        try:
            status = path.stat()
        except OSError:
            return False
        if self._inodes is None:
            self._inodes = frozenset(self._files_read())
        return (status.st_dev, status.st_ino) in self._inodes or any(_same(path, other) for other in self._written)

    def _require_another(self, option: str, path: Path) -> None:
        for other in (*self._read, *self._written):
            if _same(path, other):
                raise OutputError(f'{option} {path} is also another file of this command{_spelled(path, other)}: '
                                  'choose another name')

    def _folders(self) -> list[Path]:
        return [path for path in self._read if path.is_dir()]

    def _files_read(self) -> Iterator[tuple[int, int]]:
        for path in self._read:
            try:
                entries = list(os.scandir(path)) if path.is_dir() else [path]
            except OSError:
                continue
            for entry in entries:
                if entry is not path and Path(entry.name).suffix.lower() in _REPORTS:
                    continue
                try:
                    status = entry.stat()
                except OSError:
                    # A link to a file that does not exist.
                    continue
                yield status.st_dev, status.st_ino


def write_report(option: str, path: Path, text: str) -> None:
    """Write a file as `written` does."""
    with written(option, path) as part:
        part.write_text(text, encoding='utf-8')


@contextlib.contextmanager
def written(option: str, path: Path) -> Iterator[Path]:
    """Yield the name under which to write a file. It is renamed at the end, so an older file stays until then.

    Raises OutputError if the file cannot be written, such as on a full disk; then the older file is unchanged.
    """
    with naming(option, path), place_for(path) as place:
        yield place.part
        place.replace()


@contextlib.contextmanager
def naming(option: str, path: Path) -> Iterator[None]:
    """Turn an error of the file system into an OutputError that names the option and the file."""
    try:
        yield
    except OSError as error:
        raise OutputError(f'{option} {path}: {reason(error)}') from error


class Place:
    """The name `part` under which a file is written until it replaces an older one."""

    def __init__(self, part: Path, real: Path) -> None:
        self.part = part
        self.is_replaced = part == real
        self._real = real

    def replace(self) -> None:
        """Give the file its own name, the first time that this is called. Raises OSError."""
        if not self.is_replaced:
            with contextlib.suppress(OSError):
                self.part.chmod(self._real.stat().st_mode & 0o777)
            self.part.replace(self._real)
            self.is_replaced = True


@contextlib.contextmanager
def place_for(path: Path) -> Iterator[Place]:
    """Yield where to write a file. Raises OSError."""
    real = Path(os.path.realpath(path))
    if path.exists() and not (path.is_file() and os.access(real.parent, os.W_OK)):
        # Such as /dev/stdout, or a file in a folder where no other can be created.
        yield Place(path, path)
        return
    remove_leftovers(real.parent, real.name)
    with part_folder(real.parent, real.name) as folder:
        yield Place(folder / real.name, real)


def _require_name(option: str, path: Path) -> None:
    # As predict --json -, which does not come here; others print their own text there.
    if str(path) == '-':
        raise OutputError(f'{option} -: this option does not write to standard output; expected a name')


def _require_writable(option: str, path: Path) -> None:
    folder = path.absolute().parent
    # '' is Path('.').
    if path.is_dir():
        raise OutputError(f'{option} {path}: it is a folder; expected the name of a file to write')
    if not folder.is_dir():
        raise OutputError(f'{option} {path}: there is no folder {folder}: create it first')
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise OutputError(f'{option} {path}: you have no permission to write it')


def _same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        # One of them does not exist. If both do not, the file system decides later whether case matters.
        names = os.path.realpath(path), os.path.realpath(other)
        if os.path.lexists(path) or os.path.lexists(other):
            return names[0] == names[1]
        return names[0].casefold() == names[1].casefold()


def _is_in(path: Path, folder: Path) -> bool:
    return any(_same(parent, folder) for parent in Path(os.path.realpath(path)).parents)


def _spelled(path: Path, other: Path) -> str:
    return '' if str(path) == str(other) else f' ({other})'
