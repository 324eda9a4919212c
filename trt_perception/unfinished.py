# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Unfinished files: the process that writes them holds a lock, so the files of killed processes can be removed.

An unfinished file is in a folder `.NAME.XXXXXXXX.part` beside its target, so a rename completes it. The folder has a
lock file. The kernel releases the lock of a killed process: a folder whose lock is free is left over, whatever its age.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from .file_lock import LockingError, try_lock

_LOCK = '.part.lock'
_SUFFIX = '.part'
# For files without a lock: those of older versions of this package, and all on a file system without locks.
_STALE_SECONDS = 86400.0
# A file name has at most 255 bytes; the folder's name is longer than the file's.
_MOST_BYTES = 200
_TEMPORARY = 'trt_perception'
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def part_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yield a new folder (mode 0700) in `parent` for an unfinished file; it is removed at the end.

    name: of the finished file
    Raises OSError if the folder cannot be created.
    """
    with contextlib.ExitStack() as lock:
        folder = _locked_folder(parent, name, lock)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield a new folder in the system's folder for temporary files (TMPDIR); it is removed at the end.

    First removes those that killed processes of this user left. Raises OSError if the folder cannot be created.
    """
    parent = Path(tempfile.gettempdir())
    remove_leftovers(parent, _TEMPORARY)
    with part_folder(parent, _TEMPORARY) as folder:
        yield folder


@contextlib.contextmanager
def temporary_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file in a temporary_folder(). The error of a full disk names it, and says what to do."""
    try:
        with path.open('xb') as file:
            yield file
    except OSError as error:
        if error.errno not in _FULL:
            raise
        advice = 'free space, or set TMPDIR to a folder with more space'
        raise OSError(error.errno, f'{error.strerror}: {advice}', str(path)) from error


def remove_leftovers(parent: Path, name: str = '', locked: bool = False) -> None:
    """Remove the unfinished files that killed processes left in `parent`. Never raises OSError.

    name: of the finished file, or the start of its name before a dot; '' for all files, in a folder of this package
    locked: the caller holds the lock without which nobody writes `name`: files without a lock are left over too
    """
    prefix = f'.{_shortened(name)}.' if name else '.'
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(prefix) and entry.name.endswith(_SUFFIX, len(prefix) + 1):
                with contextlib.suppress(OSError):
                    _remove_leftover(parent / entry.name, locked)


def _locked_folder(parent: Path, name: str, stack: contextlib.ExitStack) -> Path:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f'.{_shortened(name)}.', suffix=_SUFFIX, dir=parent))
        try:
            if stack.enter_context(try_lock(folder / _LOCK, 0o600)) is not None:
                return folder
        except LockingError:
            return folder
        except FileNotFoundError:
            # Another process found it without its lock, and removed it as left over.
            continue
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _remove_leftover(path: Path, locked: bool) -> None:
    status = path.lstat()
    if status.st_uid != os.geteuid():
        return
    lock = path / _LOCK
    if lock.is_file():
        try:
            with try_lock(lock, 0o600) as free:
                if free is not None:
                    shutil.rmtree(path)
            return
        except LockingError:
            locked = False
    if locked or time.time() - status.st_mtime > _STALE_SECONDS:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _shortened(name: str) -> str:
    return os.fsdecode(os.fsencode(name)[:_MOST_BYTES])
