# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds an engine in a process of its own: it may crash, be killed or cancelled, and leaves no GPU memory behind."""

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
from ....errors import EngineError, PerceptionError
from ....monitor import Monitor
from ..cache.engine_cache import BuiltEngine
from ..library.engine_log import DEBUG
from .builder import plan_sha256
from .request import BuildRequest

_POLL_S = 0.1
# Between a request to end and the end by force: together well below 2 s.
_PATIENCE_S = 0.5
_KEPT_LINES = 8
_ELAPSED_INTERVAL_S = 1.0
_WORKER = 'trt_perception.backends.tensorrt.build.worker'


def build_in_process(request: BuildRequest, monitor: Monitor | None = None) -> BuiltEngine:
    """Build one engine; returns when it is built, failed or cancelled, with no process left.

    monitor: its progress is called at least once a second, with the fraction of 1.0 that is done, or with a total of
        None if TensorRT does not say (below 10). Its log gets TensorRT's messages: info, warning, error, and debug if
        the request asks for it. Both are called on the calling thread. Setting its cancel ends the build within 2 s
    Raises the error of the build, or EngineError if it was cancelled, or if its process crashed or was killed.
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
            'the engine was damaged on its way from the build: free space in the temporary folder (TMPDIR)')
    return BuiltEngine(plan, record['report'])


class _Build:
    """The worker process and what it says."""

    def __init__(self, request: BuildRequest, plan_fd: int) -> None:
        self._model = request.onnx_path.name
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._messages: queue.Queue[dict[str, Any] | None] = queue.Queue()
        try:
            self._process = start_module(
                _WORKER, str(plan_fd), str(os.getpid()), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, pass_fds=(plan_fd,))
        except OSError as error:
            raise EngineError(f'the process that builds the engine cannot be started: {error}') from error
        self._readers = [
            threading.Thread(target=target, args=(stream,), daemon=True) for target, stream in (
                (self._read_messages, self._process.stdout), (self._read_errors, self._process.stderr))]
        for reader in self._readers:
            reader.start()
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it died at once: the exit code tells more
            self._process.stdin.write(request.to_json().encode() + b'\n')
            self._process.stdin.close()

    def wait(self, monitor: Monitor) -> dict[str, Any]:
        """Pass on what the worker says until it ends; returns its result or raises its error."""
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
        """End the worker and all that it started, by force if need be."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_PATIENCE_S)
        # Also what the worker may have left behind.
        self._signal(signal.SIGKILL)
        self._process.wait()
        for reader in self._readers:
            reader.join(_PATIENCE_S)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _signal(self, which: signal.Signals) -> None:
        # The worker leads its group, which its id names for as long as it is not reaped.
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
        # What the process said last comes on another pipe.
        self._readers[1].join(_PATIENCE_S)
        if code < 0:
            name = signal_name(-code)
            what = f'was ended by {name}'
            if -code == signal.SIGKILL:
                what += (
                    ', as the kernel does when memory runs out: close other programs, or set workspace_mib and '
                    'builder_optimization_level lower')
            else:
                what += ': TensorRT or the driver crashed; try a lower builder_optimization_level'
        else:
            what = f'ended with code {code} and no result'
        last = ' | '.join(self._lines)
        return f'the process that built the engine for {self._model} {what}. Its last messages: {last or "none"}'


def _error(kind: str, text: str) -> PerceptionError:
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, PerceptionError):
        return found(text)
    return EngineError(text)
