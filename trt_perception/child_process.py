# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a module of this package in a child process that never outlives its parent."""

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
# Range -1000..1000. If memory runs out, the kernel kills the process with the highest score: this one, not the node.
_OOM_SCORE = '800'


def start_module(module: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start `python -m module arguments...` with this process's package. Raises OSError if it cannot be started.

    options: passed to subprocess.Popen. The process leads its own process group, whose id is its pid until it is
    waited for. It runs in the root folder, so paths in its arguments must be absolute.
    """
    package_root = str(Path(__file__).resolve().parents[1])
    others = [part for part in os.environ.get('PYTHONPATH', '').split(os.pathsep) if part]
    path = os.pathsep.join([package_root, *map(os.path.abspath, others)])
    # In its own session: a Ctrl-C on the console reaches only the parent, and the whole group can be ended at once.
    # Not in the user's working folder: Python would search it for modules.
    return subprocess.Popen(
        [sys.executable, '-m', module, *arguments], start_new_session=True,
        env={**os.environ, 'PYTHONPATH': path}, cwd='/', **options)


def serve(parent_pid: int) -> None:
    """Tie this process to its parent: the kernel kills it when the parent ends, and first if memory runs out.

    parent_pid: the parent at the start; if it has ended already, this process ends too
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)
    with contextlib.suppress(OSError):
        Path('/proc/self/oom_score_adj').write_text(_OOM_SCORE)


def signal_name(number: int) -> str:
    """Return a signal's name, such as SIGKILL, or 'signal N' if it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f'signal {number}'
