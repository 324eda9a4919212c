# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Progress, log and cancellation of work that takes minutes, such as opening a pipeline that builds an engine."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .errors import EngineError
from .progress import ProgressCallback, silent

# (severity: debug, info, warning or error; one line of text)
LogCallback = Callable[[str, str], None]
_POLL_S = 0.05


def unlogged(severity: str, text: str) -> None:
    """A LogCallback that drops the text."""


@dataclass(frozen=True)
class Monitor:
    """Callbacks for progress and log of long work, and an event that cancels it.

    progress(text, done, total), log(severity, text): called on the thread that works; progress several times a second
    cancel: ends the work if it is set
    debug_log: whether an engine build logs its debug messages too, tens of thousands
    """

    progress: ProgressCallback = silent
    log: LogCallback = unlogged
    cancel: threading.Event = field(default_factory=threading.Event)
    debug_log: bool = False

    def check(self, what: str, doing: str = '') -> None:
        """Raise EngineError, '<what> was cancelled while <doing>', if `cancel` is set."""
        if self.cancel.is_set():
            raise EngineError(f'{what} was cancelled while {doing}' if doing else f'{what} was cancelled')

    def wait_for(self, process: subprocess.Popen[Any], doing: str) -> int:
        """Wait for a child process and return its exit code. Kill it, and raise as `check`, if `cancel` is set."""
        try:
            while process.poll() is None:
                self.cancel.wait(_POLL_S)
                self.check(doing)
        finally:
            process.kill()
            code = process.wait()
        return code

    def following(self, what: str) -> ProgressCallback:
        """Return a `progress` for the steps of `what` that raises EngineError if `cancel` is set."""
        def progress(text: str, done: float, total: float | None) -> None:
            self.check(what, text)
            self.progress(text, done, total)

        return progress
