# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a module of this package in a process of its own, which never outlives the one that started it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
# Of -1000..1000: when memory runs out, the kernel is to take this process and not the node.
_OOM_SCORE = '800'


def start_module(module: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start `python -m module arguments...` with this process's package; OSError if there can be no process.

    options: of subprocess.Popen. The process leads a group of its own, which its id names until it is waited for, and
    runs in the root folder: paths among its arguments must be absolute.
    """
    package_root = str(Path(__file__).resolve().parents[1])
    others = [part for part in os.environ.get('PYTHONPATH', '').split(os.pathsep) if part]
    path = os.pathsep.join([package_root, *map(os.path.abspath, others)])
    # A session of its own: a Ctrl-C on the console reaches the parent alone, and the group ends as one. The working
    # folder would be searched for modules.
    return subprocess.Popen(
        [sys.executable, '-m', module, *arguments], start_new_session=True,
        env={**os.environ, 'PYTHONPATH': path}, cwd='/', **options)


def serve(parent_pid: int) -> None:
    """Make this process one that serves its parent: the kernel kills it with that, and before that for memory.

    parent_pid: the parent when it started this process, which may be gone by now: then this process ends.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)
    with contextlib.suppress(OSError), open('/proc/self/oom_score_adj', 'w') as file:
        file.write(_OOM_SCORE)


def signal_name(number: int) -> str:
    """Return a signal's name, as SIGKILL, or its number where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'signal {number}'
