# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Optimises a model in a child process, for versions of ONNX Runtime that hold the GIL while they load a model."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..child_process import signal_name, start_module
from ..dependencies import require
from ..errors import ModelError
from ..monitor import Monitor

_WORKER = 'trt_perception.ort.optimize_worker'
# From this version on InferenceSession's constructor releases the GIL (seen with 1.31.0, not with 1.23.2).
_RELEASES_LOCK = (1, 31)


def holds_lock_while_loading(version: str) -> bool:
    """Whether this version of ONNX Runtime, such as '1.23.2', stops all Python threads while it loads a model."""
    try:
        return tuple(int(part) for part in version.split('.')[:2]) < _RELEASES_LOCK
    except ValueError:
        # A custom build. A child process that is not needed does no harm.
        return True


@contextlib.contextmanager
def optimized_model(
    path: Path, num_threads: int, monitor: Monitor, exact_sums: bool = False,
) -> Iterator[str | None]:
    """Yield the path of the optimised model, or None if the child process did not write it.

    Load it with ORT_DISABLE_ALL, which takes a small part of the time (600 MB: 0.2 s instead of 1.2 s; constants to
    fold: 0.0 s instead of 16 s). It is a file in memory, so nothing is left on the disk after any end of this process.
    If it is None, load the original model: that raises the error.
    Raises EngineError if the monitor's cancel is set, after the child process has ended; ModelError if the child
    process crashed or was killed.
    """
    with file_in_memory() as file:
        yield file.path if file is not None and _optimize(
            path, file.descriptor, num_threads, monitor, exact_sums) else None


class FileInMemory(NamedTuple):
    """A file that is gone when its descriptor is closed; `path` is valid in this process."""

    descriptor: int

    @property
    def path(self) -> str:
        """The path to open it by."""
        return f'/proc/self/fd/{self.descriptor}'


@contextlib.contextmanager
def file_in_memory() -> Iterator[FileInMemory | None]:
    """Yield an empty file for an optimised model, or None if the system gives none."""
    try:
        target = os.memfd_create('trt_perception_optimized')
    except OSError:  # no file descriptor left, or no memory
        yield None
        return
    try:
        yield FileInMemory(target)
    finally:
        os.close(target)


def operators_of(path: str) -> dict[str, str]:
    """Return the operator of each named node of an optimised model, {} if the file is not one."""
    onnx = require('onnx')
    try:
        graph = onnx.load(path, load_external_data=False).graph
    except Exception:  # protobuf's and onnx's exceptions
        return {}
    return {node.name: node.op_type for node in graph.node if node.name}


def _optimize(path: Path, target: int, num_threads: int, monitor: Monitor, exact_sums: bool) -> bool:
    try:
        process = start_module(
            _WORKER, str(path.absolute()), str(target), str(num_threads), str(int(exact_sums)), str(os.getpid()),
            pass_fds=(target,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    code = monitor.wait_for(process, f'loading {path.name}')
    if code < 0:
        # Without the child process this process would have ended in the same way.
        raise ModelError(
            f'ONNX Runtime was ended by {signal_name(-code)} while it loaded {path}'
            + (': memory ran out; close other programs or use a smaller model' if code == -signal.SIGKILL else
               ': it crashed; export the model again, or use another version of ONNX Runtime'))
    return code == 0
