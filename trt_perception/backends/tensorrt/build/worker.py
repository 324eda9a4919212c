# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The process that builds one engine: `python -m trt_perception.backends.tensorrt.build.worker PLAN_FD PARENT_PID`.

Reads a BuildRequest, one line of JSON, from stdin; writes the plan to the inherited file descriptor; tells the parent
on stdout what happens, one JSON object a line: {"progress": [text, done, total or null]}, {"log": [severity, text]} and
last {"built": report} or {"error": [class of the error, text]}.
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
from ....errors import PerceptionError
from ....monitor import Monitor
from ..library.engine_log import DEBUG
from .builder import build_plan, plan_sha256
from .request import BuildRequest

# A build reports thousands of steps.
_PROGRESS_INTERVAL_S = 0.1


class _Parent:
    """Tells the parent process; safe from TensorRT's threads."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._progress_at = float('-inf')
        self.debug_log = False

    def progress(self, text: str, done: float, total: float | None) -> None:
        now = time.monotonic()
        if total is None or now - self._progress_at >= _PROGRESS_INTERVAL_S:
            # What comes after a time without numbers is always told.
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
    """Build what stdin asks for; 0 if it was built, 1 if the parent was told of an error."""
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
        parent.tell('error', ['EngineError', f'the engine cannot be written: {error}; free space in the temporary '
                              'folder (TMPDIR)'])
        return 1
    except Exception as error:  # a mistake of this package or of TensorRT's bindings: told as one line, with its place
        place = traceback.extract_tb(error.__traceback__)[-1]
        parent.tell('error', ['EngineError', (
            f'the engine build failed unexpectedly: {type(error).__name__}: {" ".join(str(error).split())[:300]} '
            f'({Path(place.filename).name}, line {place.lineno})')])
        return 1
    parent.tell('built', {'sha256': plan_sha256(built.plan), 'report': built.report})
    return 0


def _take_stdout() -> TextIO:
    """Return the pipe to the parent; what libraries print to stdout goes to stderr from now on."""
    stream = os.fdopen(os.dup(1), 'w', encoding='utf-8')
    os.dup2(2, 1)
    return stream


if __name__ == '__main__':
    code = main(int(sys.argv[1]), int(sys.argv[2]))
    sys.stderr.flush()
    # The result is told: nothing that TensorRT or CUDA do at exit may turn it into a crash.
    os._exit(code)
