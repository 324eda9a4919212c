# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Places that the command line is to write to, checked before the work that takes long."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import PerceptionError

_REPORTS = ('.json', '.jsonl')

class OutputError(PerceptionError):
    """A file that was asked for cannot be written."""


def check_new_file(option: str, path: Path, model: Path) -> None:
    """Raise OutputError where `path` cannot become a file that is written beside and then moved there.

    model: what it is made from, which must not be replaced
    """
    check_report(option, path)
    if path.exists() and not path.is_file():
        raise OutputError(f'{option} {path}: it is no regular file; expected the name of a file to write')
    if path.exists() and path.samefile(model):
        raise OutputError(f'{option} {path} is the model itself: expected another file')


def check_report(option: str, path: Path | None, *others: str | Path | None) -> None:
    """Raise OutputError where `path` cannot be opened for writing, or is one of `others`; None is no file to write.

    others: files and folders that the same command reads or writes, there already or not; '' and None are none
    """
    if path is None:
        return
    for other in (Path(name) for name in others if name):
        if path.resolve() == other.resolve() or (path.exists() and other.exists() and path.samefile(other)):
            raise OutputError(f'{option} {path} is another file of this command: expected a name of its own')
        # A report of an earlier run may be replaced.
        if other.resolve() in path.resolve().parents and path.exists() and path.suffix not in _REPORTS:
            raise OutputError(f'{option} {path} is a file of {other}, which is read: expected a name of its own')
    folder = path.absolute().parent
    # '' is Path('.').
    if path.is_dir():
        raise OutputError(f'{option} {path}: it is a folder; expected the name of a file to write')
    if not folder.is_dir():
        raise OutputError(f'{option} {path}: there is no folder {folder}: make it first')
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise OutputError(f'{option} {path}: it may not be written by this user')


def write_report(option: str, path: Path, text: str) -> None:
    """Write a file; OutputError where that fails."""
    try:
        path.write_text(text, encoding='utf-8')
    except OSError as error:
        raise OutputError(f'{option} {path}: {error.strerror or error}') from error
