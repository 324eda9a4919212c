# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detects that a file was changed or replaced, also by a file of the same size and modification time.

The kernel sets the change time (ctime) of a file whenever its content, its name or its times change. Programs cannot
set it.
"""

from __future__ import annotations

import time
from pathlib import Path

# (size, mtime, ctime), then (mtime, ctime) of each symbolic link on the way to the file.
FileState = tuple[tuple[int, ...], ...]

# The kernel's clock for file times advances in steps of up to 10 ms.
_STEP_NS = 12_000_000
# While a file is being written, waiting does not help: the change is found afterwards.
_MOST_STEPS = 5


def file_state(path: Path) -> FileState:
    """Return values that differ from those of every later state of the file; OSError if it cannot be found.

    Waits 12 ms if the file has just changed: another change in the same step of the clock would not be seen.
    """
    for _ in range(_MOST_STEPS):
        if not 0 <= time.time_ns() - path.stat().st_ctime_ns < _STEP_NS:
            break
        time.sleep(_STEP_NS / 1e9)
    return current_state(path)


def current_state(path: Path) -> FileState:
    """Return the same values without waiting, to compare with those of `file_state`."""
    status = path.stat()
    absolute = path.absolute()
    links = [part.lstat() for part in (absolute, *absolute.parents) if part.is_symlink()]
    return (
        (status.st_size, status.st_mtime_ns, status.st_ctime_ns),
        *((link.st_mtime_ns, link.st_ctime_ns) for link in links))
