# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The compiled model: from the cache, or compiled in a child process.

OpenVINO releases Python's lock while it compiles a model and while it imports a compiled one, but a compilation cannot
be interrupted, and `export_model` holds the lock (400 MB: 1.2 s). A child process does both and ends at once if `open`
is cancelled.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..child_process import signal_name, start_module
from ..errors import FetchError, ModelError
from ..file_cache import cache_root, is_intact, locked, store
from ..monitor import Monitor
from .compilation import Compilation

_WORKER = 'trt_perception.openvino_runtime.compile_worker'
# Increase it if this package compiles the same model with the same settings in another way than before.
_FORMAT = 1
_CPU_INFO = Path('/proc/cpuinfo')
# Lines of /proc/cpuinfo on x86-64 and on ARM that say which instructions there are.
_CPU_LINES = ('model name', 'flags', 'features', 'cpu part', 'cpu implementer')


def recipe(work: Compilation, sha256: str, version: str, cpu_info: Path = _CPU_INFO) -> str:
    """Return what identifies a compiled model: content of the model, settings, versions and CPU.

    sha256: of the model with its external data
    version: OpenVINO's full version
    """
    return json.dumps({
        'format': _FORMAT, 'model': sha256, 'openvino': version, 'cpu': cpu_features(cpu_info),
        'work': {**json.loads(work.to_json()), 'path': ''}}, sort_keys=True)


def cpu_features(cpu_info: Path = _CPU_INFO) -> str:
    """Return a digest of the processors' names and instructions."""
    try:
        lines = cpu_info.read_text(errors='replace').splitlines()
    except OSError:
        lines = []
    found = {line for line in lines if line.partition(':')[0].strip().lower() in _CPU_LINES}
    return hashlib.sha256('\n'.join(sorted(found)).encode()).hexdigest()[:16]


class CompiledModel:
    """The compiled model of one Compilation as bytes: of the cache, or made by a child process.

    check: raises ModelError if the model's files have changed; called before what was made of them is stored
    """

    def __init__(
        self, work: Compilation, identity: str, monitor: Monitor, check: Callable[[], None] = lambda: None,
    ) -> None:
        self._work = work
        self._identity = identity
        self._monitor = monitor
        self._check = check

    def content(self, use_cache: bool = True) -> tuple[np.ndarray | None, bool]:
        """Return the compiled model, (size,) uint8, and whether it comes from the cache; None if it was not written.

        use_cache: False compiles it again and replaces the stored one
        Raises EngineError if the monitor's cancel is set, after the child process has ended; ModelError if that process
        crashed or was killed, or if the model's files have changed.
        """
        with contextlib.ExitStack() as stack:
            target = None
            with contextlib.suppress(FetchError):  # no home folder: nothing is stored
                target = self._target()
            if target is not None and use_cache and is_intact(target, self._identity):
                return _read(target), True
            if target is not None:
                try:
                    stack.enter_context(locked(
                        target.with_name(f'.{target.name}.lock'),
                        self._monitor.following(f'compiling {Path(self._work.path).name}')))
                    if use_cache and is_intact(target, self._identity):
                        return _read(target), True
                except FetchError as error:
                    self._monitor.log('warning', f'the compiled model is not stored: {error}')
                    target = None
            made = self._compiled()
            if made is not None and target is not None:
                self._check()
                try:
                    store(target, made.tobytes(), self._identity)
                except FetchError as error:
                    self._monitor.log('warning', f'the compiled model is not stored: {error}')
            return made, False

    def _target(self) -> Path:
        digest = hashlib.sha256(self._identity.encode()).hexdigest()
        return cache_root() / 'openvino' / f'{Path(self._work.path).stem}-{digest[:16]}.blob'

    def _compiled(self) -> np.ndarray | None:
        """Return what the child process writes, None if it does not start or if OpenVINO rejects the model."""
        name = Path(self._work.path).name
        self._monitor.progress(f'compiling {name} with OpenVINO', 0, None)
        try:
            target = os.memfd_create('trt_perception_openvino')
        except OSError:  # no file descriptor left, or no memory
            return None
        try:
            process = start_module(
                _WORKER, self._work.to_json(), str(target), str(os.getpid()), pass_fds=(target,),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            code = self._monitor.wait_for(process, f'compiling {name}')
            if code < 0:
                # Without the child process this process would have ended in the same way.
                raise ModelError(
                    f'OpenVINO was ended by {signal_name(-code)} while it compiled {self._work.path}'
                    + (': memory ran out; close other programs or use a smaller model' if code == -signal.SIGKILL else
                       ': it crashed; set backend to onnxruntime, or use another version of OpenVINO'))
            return _read(Path(f'/proc/self/fd/{target}')) if code == 0 else None
        except OSError:
            return None
        finally:
            os.close(target)


def _read(path: Path) -> np.ndarray:
    # OpenVINO shares this memory, so the array must be writable and must not be a map of the file.
    content: np.ndarray = np.frombuffer(bytearray(path.read_bytes()), np.uint8)
    return content
