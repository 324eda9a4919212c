# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Has ONNX Runtime optimise a model in a process of its own, for versions that hold Python's lock meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ..child_process import signal_name, start_module
from ..errors import ModelError
from ..monitor import Monitor

_WORKER = 'trt_perception.ort.optimize_worker'
_POLL_S = 0.05
# InferenceSession's constructor releases the lock from this version on (seen with 1.31.0, not with 1.23.2).
_RELEASES_LOCK = (1, 31)


def holds_lock_while_loading(version: str) -> bool:
    """Whether this version of ONNX Runtime, as '1.23.2', stops all Python threads while it loads a model."""
    try:
        return tuple(int(part) for part in version.split('.')[:2]) < _RELEASES_LOCK
    except ValueError:
        # A build of somebody's own; a needless process does no harm.
        return True


@contextlib.contextmanager
def optimized_model(path: Path, num_threads: int, monitor: Monitor) -> Iterator[str | None]:
    """Yield the path of the model as ONNX Runtime optimised it, None if that process could not make one.

    To be loaded with ORT_DISABLE_ALL, which takes a small part of the time (600 MB: 0.2 s in place of 1.2 s; constants
    to fold: 0.0 s in place of 16 s). It is no file: nothing is left behind however this process ends. With None, load
    the model itself, which will tell why.
    Raises EngineError if the monitor's cancel is set, with no process left; ModelError if the process crashed or was
    killed.
    """
    try:
        target = os.memfd_create('trt_perception_optimized')
    except OSError:  # no descriptor left, or no memory
        yield None
        return
    try:
        yield f'/proc/self/fd/{target}' if _optimize(path, target, num_threads, monitor) else None
    finally:
        os.close(target)


def _optimize(path: Path, target: int, num_threads: int, monitor: Monitor) -> bool:
    try:
        process = start_module(
            _WORKER, str(path.absolute()), str(target), str(num_threads), str(os.getpid()), pass_fds=(target,),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    try:
        while process.poll() is None:
            monitor.cancel.wait(_POLL_S)
            monitor.check(f'loading {path.name}')
    finally:
        process.kill()
        code = process.wait()
    if code < 0:
        # In this process it would have been the same.
        raise ModelError(
            f'ONNX Runtime was ended by {signal_name(-code)} while it loaded {path}'
            + (': memory ran out; close other programs or take a smaller model' if code == -signal.SIGKILL else
               ': it crashed; export the model anew, or take another version of ONNX Runtime'))
    return code == 0
