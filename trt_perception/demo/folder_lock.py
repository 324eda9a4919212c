# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One demo at a time in an output folder: two would remove and overwrite each other's files."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import DemoError

_NAME = '.lock'


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold the folder, which must exist, for this process alone.

    The lock is the kernel's and goes with its process: a file that a killed one leaves does not matter. Raises
    DemoError where another process holds it, and OSError where the file cannot be written.
    """
    with (folder / _NAME).open('a+', encoding='utf-8') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                file.seek(0)
                raise DemoError(
                    f'--output {folder}: another demo writes there, process {file.read().strip() or "unknown"}: wait '
                    'for its end, or give another folder') from None
            # A file system without locks: better unlocked than not at all.
        file.truncate(0)
        file.write(f'{os.getpid()}\n')
        file.flush()
        yield
