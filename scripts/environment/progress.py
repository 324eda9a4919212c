# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Shows the progress of a long step: a bar on a terminal, otherwise a line every 15 s.

The package has its own display (trt_perception/progress.py). This one runs before the package is installed. It reports
from a thread, because pip and apt do not say how far they are.
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from types import TracebackType
from typing import TextIO

_SHOW_AFTER_S = 2.0
_TERMINAL_PERIOD_S = 0.2
_LOG_PERIOD_S = 15.0
_BAR_WIDTH = 24


class Step:
    """One step of the setup; a context manager that reports progress until it ends."""

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self._title = title
        self._stream = stream or sys.stdout
        self._terminal = self._stream.isatty()
        self._fraction: float | None = None
        self._note = ''
        self._started = 0.0
        self._ended = threading.Event()
        self._reporter = threading.Thread(target=self._report, daemon=True)

    def __enter__(self) -> Step:
        """Start the clock and the reporter."""
        self._started = time.monotonic()
        if not self._terminal:
            self._write(f'{self._title} ...\n')
        self._reporter.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        """Stop the reporter and print how the step ended."""
        self._ended.set()
        self._reporter.join()
        word = 'done' if error is None else (
            'interrupted' if isinstance(error, KeyboardInterrupt) else 'failed')
        self._write(f'{self._clear()}{self._title}: {word} ({self._elapsed():.0f} s)\n')

    def update(self, note: str = '', fraction: float | None = None) -> None:
        """Set what is shown; fraction is 0..1, or None if the progress is unknown."""
        self._note = note
        self._fraction = fraction

    def _report(self) -> None:
        wait = _SHOW_AFTER_S if self._terminal else _LOG_PERIOD_S
        while not self._ended.wait(wait):
            if self._terminal:
                wait = _TERMINAL_PERIOD_S
                line = f'{self._title} {self._bar()} {self._tail()}'
                # A wrapped line could not be cleared.
                width = shutil.get_terminal_size().columns - 1
                self._write(self._clear() + line[:width])
            else:
                self._write(f'  {self._tail()}\n')

    def _bar(self) -> str:
        if self._fraction is None:
            # Progress unknown: a moving block shows activity.
            at = int(self._elapsed() * 4) % (_BAR_WIDTH - 3)
            return f'[{" " * at}###{" " * (_BAR_WIDTH - 3 - at)}]'
        full = round(_BAR_WIDTH * min(max(self._fraction, 0.0), 1.0))
        return f'[{"#" * full}{" " * (_BAR_WIDTH - full)}]'

    def _tail(self) -> str:
        percent = '' if self._fraction is None else f'{self._fraction:4.0%} '
        return f'{percent}{self._elapsed():3.0f} s {self._note[:50]}'

    def _clear(self) -> str:
        return '\r\x1b[K' if self._terminal else ''

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
