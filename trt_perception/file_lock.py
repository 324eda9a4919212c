# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A lock between processes: one process at a time holds the lock of a file.

It is a kernel lock (flock), which is released when its process ends. A killed process leaves only the file, which does
no harm. A program that the process starts does not inherit the lock.
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
    """The file system has no locks, or refuses this lock."""


@contextlib.contextmanager
def try_lock(path: Path, mode: int = 0o666) -> Iterator[BinaryIO | None]:
    """Take the lock if it is free; yields the open file, or None if another process holds the lock.

    path: of the lock file, which is created if it is missing; a link is not followed
    mode: permissions of a new file, before the umask
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
            # The file was removed between the two calls: the next process would lock another file.
            stack.close()


@contextlib.contextmanager
def hold_lock(path: Path, waiting: Callable[[float], None] = lambda seconds: None, mode: int = 0o666) -> Iterator[None]:
    """Hold the lock; waits while another process holds it.

    waiting: called ten times a second with the seconds since the first attempt; an exception of it ends the wait
    Raises as try_lock, and what `waiting` raises.
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
