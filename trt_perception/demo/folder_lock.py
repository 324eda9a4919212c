# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Allows one demo at a time in an output folder: two demos would remove and overwrite each other's files."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ..file_lock import LockingError, try_lock
from .errors import DemoError

_NAME = '.lock'


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock the folder for this process. The folder must exist.

    Raises DemoError if another process has locked it, and OSError if the lock file cannot be written.
    """
    path = folder / _NAME
    with contextlib.ExitStack() as stack:
        # On a file system without locks the demo runs unlocked.
        with contextlib.suppress(LockingError):
            file = stack.enter_context(try_lock(path))
            if file is None:
                holder = path.read_text(encoding='utf-8').strip() or 'unknown'
                raise DemoError(
                    f'--output {folder}: another demo (process {holder}) uses this folder: wait until it ends, or '
                    'choose another folder')
            file.truncate(0)
            file.write(f'{os.getpid()}\n'.encode())
            file.flush()
        yield
