# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A lock between processes: one setup at a time changes an environment."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import SetupError


@contextlib.contextmanager
def held(folder: Path) -> Iterator[int]:
    """Hold the lock of a folder, which is created if it is missing; a second setup waits.

    Yields the open folder. A command that inherits it holds the lock too: if the setup is killed, the next one waits
    until that command has ended. The kernel releases the lock after a crash. A new folder that stays empty is removed.

    Raises SetupError if the folder cannot be created.
    """
    existed = folder.exists()
    handle = _locked(folder)
    try:
        yield handle
    finally:
        if not existed:
            with contextlib.suppress(OSError):
                # Only if it is empty.
                folder.rmdir()
        os.close(handle)


def _locked(folder: Path) -> int:
    said = False
    while True:
        handle = _opened(folder)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not said:
                print(f'waiting for another setup of {folder} to end', flush=True)
                said = True
            fcntl.flock(handle, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), folder.stat()):
                return handle
        # The other setup failed and removed the folder.
        os.close(handle)


def _opened(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise SetupError(
            f'the folder {folder} cannot be used: {error.strerror}. '
            'Choose another one: make setup VENV=FOLDER') from error
