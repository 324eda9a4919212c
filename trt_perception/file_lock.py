# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A lock between processes: one file, held by one of them at a time.

The lock is the kernel's (flock) and goes with its process: one that is killed leaves nothing to clean up but the file,
which does no harm. A program that the process starts does not inherit it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

_POLL_S = 0.1


class LockingError(OSError):
    """The file system of the file has no locks, or refuses this one."""


@contextlib.contextmanager
def try_lock(path: Path, mode: int = 0o666) -> Iterator[BinaryIO | None]:
    """Take the lock if it is free; gives the open file, or None if another process holds it.

    path: of the lock's file, made if it is missing; a link is not followed
    mode: permissions of a new file, less those of the umask
    Raises OSError if the file cannot be opened, LockingError if it cannot be locked.
    """
    with contextlib.ExitStack() as stack:
        while True:
            file = stack.enter_context(_opened(path, mode))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise LockingError(*error.args) from error
                yield None
                return
            if _is_at(file, path):
                yield file
                return
            # It was removed between the two calls: the next process would lock another file.
            stack.close()


@contextlib.contextmanager
def hold_lock(path: Path, waiting: Callable[[float], None] = lambda seconds: None, mode: int = 0o666) -> Iterator[None]:
    """Hold the lock, and wait as long as another process holds it.

    waiting: called with the seconds since the first attempt, before each further one, ten times a second; what it
        raises ends the waiting
    Raises as try_lock.
    """
    started = time.monotonic()
    while True:
        with try_lock(path, mode) as file:
            if file is not None:
                yield
                return
        waiting(time.monotonic() - started)
        time.sleep(_POLL_S)


def _opened(path: Path, mode: int) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode), 'r+b')


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.lstat())
    except FileNotFoundError:
        return False
