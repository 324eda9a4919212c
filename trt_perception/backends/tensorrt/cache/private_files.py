# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Files that no other user can change: a plan is code, and loading it runs it."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from ....errors import EngineError, reason
from ....file_cache import elsewhere
from ....unfinished import part_folder, remove_leftovers

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class UntrustedFileError(EngineError):
    """The file belongs to another user, can be written by others, or is not a regular file."""


class UnreadableFileError(UntrustedFileError):
    """The file cannot be opened, so its owner and permissions are unknown."""


def has_private_folder(folder: Path) -> bool:
    """Return whether the folder exists; EngineError if it belongs to another user or is a link."""
    try:
        _require_own(folder, folder.lstat())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise EngineError(f'{folder} cannot be used for engines: {reason(error)}') from error
    return True


def make_private_folder(folder: Path) -> None:
    """Create the folder, or make an existing one private (mode 0700); EngineError if this user does not own it."""
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
            f'{folder} cannot be used for engines: {reason(error)}; set XDG_CACHE_HOME to a folder '
            'that can be written') from error


def _require_own(folder: Path, status: os.stat_result) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise UntrustedFileError(f'{folder} is not a folder, but engines are stored there: remove it')
    if status.st_uid != os.geteuid():
        raise UntrustedFileError(
            f'{folder} belongs to user {status.st_uid}, not to {os.geteuid()}: engines are code, so only '
            'your own folder is used; set XDG_CACHE_HOME to another one')


def read_private(path: Path) -> bytes:
    """Return the content of a regular file that belongs to this user and that no other user can write.

    The open file is checked and then read, so it cannot be exchanged in between. Raises FileNotFoundError, or
    UntrustedFileError with the reason.
    """
    try:
        # O_NONBLOCK: opening a named pipe would otherwise wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise UntrustedFileError(f'{path.name} is a symbolic link') from error
        raise UnreadableFileError(f'{path.name} cannot be opened: {reason(error)}') from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise UntrustedFileError(f'{path.name} is not a regular file')
    with os.fdopen(descriptor, 'rb') as file:
        if status.st_uid != os.geteuid():
            raise UntrustedFileError(f'{path.name} belongs to user {status.st_uid}, not to {os.geteuid()}')
        if status.st_mode & _WRITABLE_BY_OTHERS:
            raise UntrustedFileError(
                f'{path.name} can be written by others (mode {stat.S_IMODE(status.st_mode):04o})')
        return file.read()


def replace_private(path: Path, content: bytes) -> None:
    """Write a file (mode 0600) in one step: readers see the old content or the new, even after a crash.

    First removes the unfinished files that killed processes left for this one. Raises EngineError.
    """
    remove_leftovers(path.parent, path.name)
    try:
        with part_folder(path.parent, path.name) as folder:
            part = folder / path.name
            descriptor = os.open(
                part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, 'wb') as file:
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            part.replace(path)
    except OSError as error:
        raise EngineError(f'{path} cannot be written: {reason(error)}; {elsewhere(path)}') from error
