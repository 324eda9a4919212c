# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Memory and CPU time of a process, as Linux reports them in /proc (proc(5))."""

from __future__ import annotations

import os
import re
from pathlib import Path


def peak_memory_mb(pid: int) -> float | None:
    """Return the largest resident memory of a process since its start in MB (10^6 bytes), None if it is unknown.

    VmHWM starts again with each program, unlike ru_maxrss, which a child takes over from its parent.
    """
    return _status_mb(pid, 'VmHWM')


def memory_mb(pid: int) -> float | None:
    """Return the resident memory of a process in MB, None if it is unknown."""
    return _status_mb(pid, 'VmRSS')


def proportional_memory_mb(pid: int) -> float | None:
    """Return the proportional set size of a process in MB, None if it is unknown.

    Memory that several processes share, such as libraries and images in shared memory, is divided among them, so the
    sum over processes counts it once.
    """
    try:
        text = Path(f'/proc/{pid}/smaps_rollup').read_text('utf-8', 'replace')
    except OSError:
        return None
    found = re.search(r'^Pss:\s+(\d+) kB', text, re.M)
    return round(int(found.group(1)) * 1024 / 1e6, 1) if found else None


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU time that a process has used, of all its threads, None if it is unknown."""
    try:
        text = Path(f'/proc/{pid}/stat').read_text('utf-8', 'replace')
    except OSError:
        return None
    # The name in parentheses may contain blanks and parentheses. utime and stime are fields 14 and 15.
    fields = text.rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def _status_mb(pid: int, field: str) -> float | None:
    try:
        text = Path(f'/proc/{pid}/status').read_text('utf-8', 'replace')
    except OSError:
        return None
    found = re.search(rf'^{field}:\s+(\d+) kB', text, re.M)
    return round(int(found.group(1)) * 1024 / 1e6, 1) if found else None
