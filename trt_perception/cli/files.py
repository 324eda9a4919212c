# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks output paths before the long work starts."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import PerceptionError

_REPORTS = ('.json', '.jsonl')


class OutputError(PerceptionError):
    """A requested output file cannot be written."""


def check_new_file(option: str, path: Path, model: Path) -> None:
    """Raise OutputError if a new file cannot be moved to `path`.

    model: the model that the new file is made from; it must not be replaced
    """
    check_report(option, path)
    if path.exists() and not path.is_file():
        raise OutputError(f'{option} {path}: it is not a regular file; expected the name of a file to write')
    if path.exists() and path.samefile(model):
        raise OutputError(f'{option} {path} is the model itself: choose another file')


def check_report(option: str, path: Path | None, *others: str | Path | None) -> None:
    """Raise OutputError if `path` cannot be opened for writing, or is one of `others`. A `path` of None is ignored.

    others: files and folders that the same command reads or writes; they need not exist, and '' and None are ignored
    """
    if path is None:
        return
    for other in (Path(name) for name in others if name):
        if path.resolve() == other.resolve() or (path.exists() and other.exists() and path.samefile(other)):
            raise OutputError(f'{option} {path} is also another file of this command: choose another name')
        # A report of an earlier run may be replaced.
        if other.resolve() in path.resolve().parents and path.exists() and path.suffix not in _REPORTS:
            raise OutputError(f'{option} {path} is in {other}, which this command reads: choose another name')
    folder = path.absolute().parent
    # '' is Path('.').
    if path.is_dir():
        raise OutputError(f'{option} {path}: it is a folder; expected the name of a file to write')
    if not folder.is_dir():
        raise OutputError(f'{option} {path}: there is no folder {folder}: create it first')
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise OutputError(f'{option} {path}: you have no permission to write it')


def write_report(option: str, path: Path, text: str) -> None:
    """Write a file; OutputError if that fails."""
    try:
        path.write_text(text, encoding='utf-8')
    except OSError as error:
        raise OutputError(f'{option} {path}: {error.strerror or error}') from error
