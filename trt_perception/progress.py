# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Shows the progress of a long job on a console, after a delay."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TextIO, TypeVar

from .errors import printable

# (text, done, total). The text names the work; the total is None if it is unknown. Counts are whole numbers. If the
# total is a float, it is 1.0 and `done` is a fraction.
ProgressCallback = Callable[[str, float, float | None], None]
_T = TypeVar('_T')

_REDRAW_SECONDS = 0.1
_LINE_SECONDS = 5.0


def silent(text: str, done: float, total: float | None) -> None:
    """A ProgressCallback that does nothing."""


def counted(items: Iterable[_T], text: str, total: int | None, progress: ProgressCallback) -> Iterator[_T]:
    """Yield the items; reports the number done to `progress` before each item and after the last one.

    An exception of `progress`, to cancel, leaves the loop over the items.
    """
    done = 0
    for item in items:
        progress(text, done, total)
        yield item
        done += 1
    progress(text, done, total)


class ConsoleProgress:
    """A bar on a terminal, or a line every few seconds on another stream; nothing for a job shorter than `delay`.

    It is a ProgressCallback. Use it as a context manager: the end clears the bar from the terminal.

    delay: seconds before the first output
    unit: 'B' shows counts as MB; any other word is shown after the counts. Fractions are shown as a percentage
    """

    def __init__(
        self, stream: TextIO | None = None, *, delay: float = 2.0, unit: str = 'B',
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()
        self._delay = delay
        self._unit = unit
        self._clock = clock
        self._started: float | None = None
        self._shown_at = float('-inf')
        self._shown_text = ''
        self._shown_end = False
        self._width = 0

    def __call__(self, text: str, done: float, total: float | None) -> None:
        """Show that `done` of `total` (None: unknown) of the work `text` is done."""
        now = self._clock()
        if self._started is None:
            self._started = now
        if now - self._started < self._delay:
            return
        interval = _REDRAW_SECONDS if self._is_terminal else _LINE_SECONDS
        finished = total is not None and done >= total
        if now - self._shown_at < interval and text == self._shown_text and not finished:
            return
        if finished and self._shown_text != text and self._is_terminal is False:
            return  # Its start was never shown, so its end is not shown.
        if finished and self._shown_end and text == self._shown_text:
            return  # The caller reports the same end again and again while it waits.
        self._shown_at, self._shown_text, self._shown_end = now, text, finished
        line = f'{printable(text)}{self._amount(done, total)}'
        if self._is_terminal:
            columns = max(20, shutil.get_terminal_size().columns - 1)
            line = (self._bar(done, total) + line)[:columns]
            self._stream.write('\r' + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + '\n')
        self._stream.flush()

    def _amount(self, done: float, total: float | None) -> str:
        if not done and not total:
            return ''
        if isinstance(total, float):
            # The bar shows the percentage already.
            return '' if self._is_terminal else f': {done / total:.0%}'
        if self._unit == 'B':
            of = f' of {total / 1e6:.1f}' if total else ''
            return f': {done / 1e6:.1f}{of} MB'
        return f': {done}{f" of {total}" if total else ""} {self._unit}'.rstrip()

    @staticmethod
    def _bar(done: float, total: float | None) -> str:
        if not total:
            return ''
        part = min(1.0, done / total)
        return f'[{"#" * int(part * 20):.<20}] {part:4.0%} '

    def close(self) -> None:
        """Clear the bar from the terminal."""
        if self._width:
            self._stream.write('\r' + ' ' * self._width + '\r')
            self._stream.flush()
            self._width = 0

    def __enter__(self) -> ConsoleProgress:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Clear the bar."""
        self.close()
