# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Adds the rate and the time that is left to the text of a progress."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..progress import ProgressCallback
from .extent import State

_UPDATE_S = 5.0
# All images are done, but not the outputs.
WRITING = 'writing the results'


class Rate:
    """A StateCallback of extent.py: `day2 (1 of 5 bags done), 31.2 images/s, 2 min left`.

    The rate is that since the first image of the run, and the time is for all bags that are left.

    progress: gets the text and the images; the text changes every five seconds, because each new text is a new line in
        a log. The total is None if the number of images of a bag is not known
    """

    def __init__(self, progress: ProgressCallback, clock: Callable[[], float] = time.monotonic) -> None:
        self._progress = progress
        self._clock = clock
        self._started: float | None = None
        self._changed = float('-inf')
        self._text = ''
        self._is_writing = False

    def __call__(self, state: State) -> None:
        """Report the state."""
        now = self._clock()
        if self._started is None:
            self._started = now
        is_writing = state.is_known and 0 < state.total <= state.images
        if now - self._changed >= _UPDATE_S or is_writing != self._is_writing:
            self._is_writing = is_writing
            self._changed, self._text = now, f'{_where(state)}{rate_and_rest(state, now - self._started)}'
        # With the total, the progress would look like one that is at its end.
        self._progress(self._text, state.images, state.total if state.is_known and not is_writing else None)


def _where(state: State) -> str:
    return f'{state.name} ({state.bags_done} of {state.bags} bags done)' if state.bags > 1 else state.name


def rate_and_rest(state: State, seconds: float) -> str:
    """Return the rate and the time that is left, with a comma before each; '' if nothing was done.

    seconds: in which the images of the state were done
    """
    if not state.images or seconds <= 0:
        return ''
    rate = state.images / seconds
    if state.is_known and state.images >= state.total:
        return f', {rate:.1f} images/s, {WRITING}'
    rest = '' if state.is_known else 'at least '
    return f', {rate:.1f} images/s, {rest}{duration(max(state.total - state.images, 0) / rate)} left'


def duration(seconds: float) -> str:
    """Return a time in words: 42 s, 5 min, 3.2 h."""
    if seconds < 100:
        return f'{seconds:.0f} s'
    return f'{seconds / 60:.0f} min' if seconds < 6000 else f'{seconds / 3600:.1f} h'
