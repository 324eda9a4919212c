# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds an engine in a child process, which may crash or be cancelled and then leaves no GPU memory allocated."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections import deque
from typing import IO, Any

from .... import errors
from ....child_process import signal_name, start_module
from ....errors import EngineError, PerceptionError, reason
from ....monitor import Monitor
from ..cache.engine_cache import BuiltEngine
from ..library.engine_log import DEBUG
from .builder import plan_sha256
from .request import BuildRequest

_POLL_S = 0.1
# Time from SIGTERM to SIGKILL. A cancelled build must end within 2 s.
_PATIENCE_S = 0.5
_KEPT_LINES = 8
_ELAPSED_INTERVAL_S = 1.0
WORKER = 'trt_perception.backends.tensorrt.build.worker'


def build_in_process(request: BuildRequest, monitor: Monitor | None = None) -> BuiltEngine:
    """Build one engine; its process has ended when this returns or raises.

    monitor: progress is called at least once a second, with the fraction done and a total of 1.0, or with a total of
        None if TensorRT does not report it (below 10). log gets TensorRT's messages: info, warning, error, and debug if
        the request has debug_log. Both are called on the calling thread. Setting cancel ends the build within 2 s
    Raises the error of the build, or EngineError if it was cancelled or if its process crashed or was killed.
    """
    with tempfile.TemporaryFile(prefix='trt_perception_') as plan_file:
        build = _Build(request, plan_file.fileno())
        try:
            record = build.wait(monitor or Monitor())
        finally:
            build.end()
        plan_file.seek(0)
        plan = plan_file.read()
    if plan_sha256(plan) != record.get('sha256'):
        raise EngineError(
            'the plan from the build process is damaged: free space in the temporary folder (TMPDIR)')
    return BuiltEngine(plan, record['report'])


class _Build:
    """The worker process and its messages."""

    def __init__(self, request: BuildRequest, plan_fd: int) -> None:
        self._model = request.onnx_path.name
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        try:
            self._process = start_module(
                WORKER, str(plan_fd), str(os.getpid()), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, pass_fds=(plan_fd,))
        except OSError as error:
            raise EngineError(f'the engine build process cannot be started: {reason(error)}') from error
        self._readers = [
            threading.Thread(target=target, args=(stream,), daemon=True) for target, stream in (
                (self._read_messages, self._process.stdout), (self._read_errors, self._process.stderr))]
        for reader in self._readers:
            reader.start()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # the process has already ended; wait() reports its exit code
            self._process.stdin.write(request.to_json().encode() + b'\n')
            self._process.stdin.close()

    def wait(self, monitor: Monitor) -> dict[str, Any]:
        """Forward the worker's messages until it ends; return its result or raise its error."""
        started = told = time.monotonic()
        doing, done, total = 'starting', 0.0, None
        result: dict[str, Any] | None = None
        error: PerceptionError | None = None
        while True:
            monitor.check(f'the engine build for {self._model}')
            try:
                message = self._messages.get(timeout=_POLL_S)
            except queue.Empty:
                message = {}
            if message is None:
                break
            if 'progress' in message:
                doing, done, total = message['progress']
            elif 'log' in message:
                severity, text = message['log']
                if severity != DEBUG:
                    self._lines.append(text)
                monitor.log(severity, text)
            elif 'built' in message:
                result = message['built']
            elif 'error' in message:
                error = _error(*message['error'])
            now = time.monotonic()
            if 'progress' in message or now - told >= _ELAPSED_INTERVAL_S:
                told = now
                monitor.progress(f'{doing} ({now - started:.0f} s)', done, total)
        code = self._process.wait()
        if error is not None:
            raise error
        if code != 0 or result is None:
            raise EngineError(self._crash(code))
        return result

    def end(self) -> None:
        """End the worker and its child processes, if necessary with SIGKILL."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_S)
        # Child processes of the worker may still run.
        self._signal(signal.SIGKILL)
        self._process.wait()
        for reader in self._readers:
            reader.join(_PATIENCE_S)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _signal(self, which: signal.Signals) -> None:
        # The worker leads its process group. Its pid is the group's id and stays valid until the worker is reaped.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, which)

    def _read_messages(self, stream: IO[bytes]) -> None:
        for line in stream:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if isinstance(message, dict):
                self._messages.put(message)
        self._messages.put(None)

    def _read_errors(self, stream: IO[bytes]) -> None:
        for line in stream:
            text = line.decode(errors='replace').strip()
            if text:
                self._lines.append(text)

    def _crash(self, code: int) -> str:
        # The last messages come from stderr, which another thread reads.
        self._readers[1].join(_PATIENCE_S)
        if code < 0:
            name = signal_name(-code)
            what = f'was ended by {name}'
            if -code == signal.SIGKILL:
                what += (
                    ', probably because memory ran out: close other programs, or lower workspace_mib and '
                    'builder_optimization_level')
            else:
                what += ': TensorRT or the driver crashed; try a lower builder_optimization_level'
        else:
            what = f'ended with exit code {code} and without a result'
        last = ' | '.join(self._lines)
        return f'the engine build process for {self._model} {what}. Its last messages: {last or "none"}'


def _error(kind: str, text: str) -> PerceptionError:
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, PerceptionError):
        return found(text)
    return EngineError(text)
