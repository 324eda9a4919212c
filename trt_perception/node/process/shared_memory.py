# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Removes the shared-memory segments that killed processes of Fast DDS left.

A participant sends from a segment of its own: /dev/shm/fastrtps_ID (Fast DDS 2) or fastdds_ID (Fast DDS 3), 0.5 MB, or
67 MB with the profile for large images. After SIGKILL the segment stays. A participant that reads from it removes it
after some seconds; without one it stays until the next boot (SharedMemManager.hpp and RobustExclusiveLock.hpp of Fast
DDS). With respawn, each crash would take as much again.

The owner holds an exclusive lock (flock) of fastrtps_ID_el from before the segment exists until after it is removed.
So a segment whose lock is free has no owner. Other processes that still read it keep their mapping.

Ports (fastrtps_portN, 52 kB) stay: the next participant with the same number uses or replaces them, and a
process that still writes to a removed port would not be heard.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

_FOLDER = Path('/dev/shm')
_LOCK_NAME = re.compile('(fast(?:rtps|dds)_[0-9a-f]{16})_el')


def remove_dead_segments(folder: Path = _FOLDER) -> tuple[int, int]:
    """Remove the segments of this user that no living process owns; return their number and bytes.

    Raises nothing: a segment that cannot be removed stays.
    """
    count = size = 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for name in [match[1] for entry in entries if (match := _LOCK_NAME.fullmatch(entry.name))]:
            with contextlib.suppress(OSError):
                removed = _remove_if_dead(folder / name, folder / f'{name}_el')
                count, size = count + bool(removed), size + removed
    return count, size


def dead_segments(folder: Path = _FOLDER) -> tuple[list[str], int]:
    """Return the names and the bytes of the segments of this user that no living process owns. Removes nothing."""
    names, size = [], 0
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for name in [match[1] for entry in entries if (match := _LOCK_NAME.fullmatch(entry.name))]:
            with contextlib.suppress(OSError), _owned(folder / name, folder / f'{name}_el') as segment:
                names.append(name)
                size += segment
    return sorted(names), size


def _remove_if_dead(segment: Path, lock: Path) -> int:
    """Return the size of the removed segment. Raises OSError if its owner lives or it is not this user's."""
    with _owned(segment, lock) as size:
        # Both while the lock is held; the segment first, because Fast DDS finds it by its lock.
        segment.unlink()
        lock.unlink()
    return size


@contextlib.contextmanager
def _owned(segment: Path, lock: Path) -> Iterator[int]:
    """Hold the lock of a segment without an owner; gives its size. Raises OSError, also if its owner lives."""
    status = segment.lstat()
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        raise OSError('not a segment of this user')
    # As Fast DDS opens it. The lock is opened after the segment was found: a new segment is created under its lock.
    descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield status.st_size
    finally:
        os.close(descriptor)
