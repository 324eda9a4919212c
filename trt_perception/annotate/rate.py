# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Adds the rate and the time that is left to the text of a progress."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..progress import ProgressCallback

_UPDATE_S = 5.0


class Rate:
    """A ProgressCallback for one bag after the other: `name, 31.2 images/s, 2 min left`.

    progress: gets the longer text; it changes every five seconds, because each new text is a new line in a log
    """

    def __init__(self, progress: ProgressCallback, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress
        self._clock = clock
        self._name = ''
        self._started = self._changed = 0.0
        self._text = ''

    def __call__(self, text: str, done: float, total: float | None) -> None:
        """Report that `done` of `total` images of the bag `text` are done."""
        now = self._clock()
        if text != self._name or done == 0:
            self._name, self._started, self._changed, self._text = text, now, now, text
        elif now - self._changed >= _UPDATE_S:
            rate = done / (now - self._started)
            left = f', {duration(max(total - done, 0) / rate)} left' if total and rate > 0 else ''
            self._changed, self._text = now, f'{text}, {rate:.1f} images/s{left}'
        self._progress(self._text, done, total)


def duration(seconds: float) -> str:
    """Return a time in words: 42 s, 5 min, 3.2 h."""
    if seconds < 100:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 6000 else f'{seconds / 3600:.1f} h'
