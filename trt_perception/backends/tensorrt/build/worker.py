# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The process that builds one engine: `python -m trt_perception.backends.tensorrt.build.worker PLAN_FD PARENT_PID`.

Reads a BuildRequest (one line of JSON) from stdin and writes the plan to the inherited file descriptor. Reports to the
parent on stdout, one JSON object per line: {"progress": [text, done, total or null]}, {"log": [severity, text]} and
finally {"built": report} or {"error": [class of the error, text]}.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from ....child_process import serve
from ....errors import PerceptionError, reason
from ....monitor import Monitor
from ..library.engine_log import DEBUG
from .builder import build_plan, plan_sha256
from .request import BuildRequest

# A build reports thousands of steps; most need not be sent.
_PROGRESS_INTERVAL_S = 0.1


class _Parent:
    """Sends messages to the parent process; TensorRT's threads may call it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._progress_at = float('-inf')
        self.debug_log = False

    def progress(self, text: str, done: float, total: float | None) -> None:
        now = time.monotonic()
        if total is None or now - self._progress_at >= _PROGRESS_INTERVAL_S:
            # Reports without a total are always sent, and so is the next one with a total.
            self._progress_at = now if total is not None else float('-inf')
            self.tell('progress', [text, done, total])

    def log(self, severity: str, text: str) -> None:
        if severity != DEBUG or self.debug_log:
            self.tell('log', [severity, text])

    def tell(self, what: str, value: Any) -> None:
        with self._lock:
            self._stream.write(json.dumps({what: value}) + '\n')
            self._stream.flush()


def main(plan_fd: int, parent_pid: int) -> int:
    """Build the engine that stdin requests; return 0, or 1 if an error was sent to the parent."""
    serve(parent_pid)
    parent = _Parent(_take_stdout())
    try:
        request = BuildRequest.from_json(sys.stdin.readline())
        parent.debug_log = request.debug_log
        built = build_plan(request, Monitor(parent.progress, parent.log))
        with os.fdopen(plan_fd, 'wb', closefd=False) as file:
            file.write(built.plan)
    except PerceptionError as error:
        parent.tell('error', [type(error).__name__, str(error)])
        return 1
    except MemoryError:
        parent.tell('error', ['EngineError', 'the engine build ran out of memory: close other programs'])
        return 1
    except OSError as error:
        parent.tell('error', [
            'EngineError',
            f'the engine cannot be written: {reason(error)}; free space in the temporary folder (TMPDIR)'])
        return 1
    except Exception as error:  # a bug in this package or in TensorRT's bindings: sent as one line with its place
        place = traceback.extract_tb(error.__traceback__)[-1]
        parent.tell('error', ['EngineError', (
            f'the engine build failed unexpectedly: {type(error).__name__}: {" ".join(str(error).split())[:300]} '
            f'({Path(place.filename).name}, line {place.lineno})')])
        return 1
    parent.tell('built', {'sha256': plan_sha256(built.plan), 'report': built.report})
    return 0


def _take_stdout() -> TextIO:
    """Return the pipe to the parent, and redirect stdout, to which libraries may print, to stderr."""
    stream = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)
    return stream


if __name__ == '__main__':
    code = main(int(sys.argv[1]), int(sys.argv[2]))
    sys.stderr.flush()
    # The result has been sent. Skip the exit handlers, because TensorRT or CUDA might crash in them.
    os._exit(code)
