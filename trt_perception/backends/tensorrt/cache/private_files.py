# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that nobody else may have touched: a plan is code, and loading it runs it."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from ....errors import EngineError
from ....file_cache import elsewhere

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class UntrustedFileError(EngineError):
    """A file that somebody else owns or may write."""


class UnreadableFileError(UntrustedFileError):
    """A file that cannot be opened, so that nothing is known of who may write it."""


def has_private_folder(folder: Path) -> bool:
    """Whether the folder is there; EngineError where it is somebody else's, or a link to elsewhere."""
    try:
        _require_own(folder, folder.lstat())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise EngineError(f'{folder} cannot be used for engines: {error.strerror or error}') from error
    return True


def make_private_folder(folder: Path) -> None:
    """Make the folder, mode 0700, or check that it is this user's alone; EngineError otherwise."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        status = folder.lstat()
        _require_own(folder, status)
        if stat.S_IMODE(status.st_mode) & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise EngineError(
            f'{folder} cannot be used for engines: {error.strerror or error}; set XDG_CACHE_HOME to a folder '
            'that can be written') from error


def _require_own(folder: Path, status: os.stat_result) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise UntrustedFileError(f'{folder} is not a folder: engines are kept there; remove it')
    if status.st_uid != os.geteuid():
        raise UntrustedFileError(
            f'{folder} belongs to user {status.st_uid}, not to {os.geteuid()}: engines are code, and only '
            "a folder of one's own is used; set XDG_CACHE_HOME")


def read_private(path: Path) -> bytes:
    """Return the content of a regular file that is this user's and that no other may write.

    The check and the reading are of the same open file, so that it cannot be exchanged in between. Raises
    FileNotFoundError, or UntrustedFileError saying what is wrong.
    """
    try:
        # O_NONBLOCK: a pipe in its place would have the opening wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise UntrustedFileError(f'{path.name} is a symbolic link') from error
        raise UnreadableFileError(f'{path.name} cannot be opened: {error.strerror}') from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise UntrustedFileError(f'{path.name} is not a regular file')
    with os.fdopen(descriptor, 'rb') as file:
        if status.st_uid != os.geteuid():
            raise UntrustedFileError(f'{path.name} belongs to user {status.st_uid}, not to {os.geteuid()}')
        if status.st_mode & _WRITABLE_BY_OTHERS:
            raise UntrustedFileError(
                f'{path.name} may be written by others (mode {stat.S_IMODE(status.st_mode):04o})')
        return file.read()


def replace_private(path: Path, content: bytes) -> None:
    """Write a file, mode 0600, in one step: whoever looks sees the old content or the new, also after a crash."""
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        descriptor = os.open(
            part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, 'wb') as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        part.replace(path)
    except OSError as error:
        raise EngineError(f'{path} cannot be written: {error.strerror or error}; {elsewhere(path)}') from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink()
