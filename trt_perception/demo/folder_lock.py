# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One demo at a time in an output folder: two would remove and overwrite each other's files."""

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
    """Hold the folder, which must exist, for this process alone.

    Raises DemoError if another process holds it, and OSError if the lock's file cannot be written.
    """
    path = folder / _NAME
    with contextlib.ExitStack() as stack:
        # A file system without locks: better unlocked than not at all.
        with contextlib.suppress(LockingError):
            file = stack.enter_context(try_lock(path))
            if file is None:
                holder = path.read_text(encoding='utf-8').strip() or 'unknown'
                raise DemoError(
                    f'--output {folder}: another demo writes there, process {holder}: wait for its end, or give '
                    'another folder')
            file.truncate(0)
            file.write(f'{os.getpid()}\n'.encode())
            file.flush()
        yield
