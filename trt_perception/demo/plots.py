# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Plots as SVG text for an HTML page, without a plotting library. Colours are CSS classes of the page.

The pictures are 460 units wide with text of 14: readable at 510 pixels beside each other, and on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 460, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 22, 16, 42
_BINS = 32
_NAME_WIDTH = 130


def timeline(times_s: Sequence[float], ages_ms: Sequence[float], skipped_s: Sequence[float], seconds: float,
             interval_ms: float) -> str:
    """Return a plot of each result's age over the time in the video, with the skipped frames below it.

    times_s, ages_ms: of the results; skipped_s: times of the frames without a result; seconds: length of the video
    interval_ms: time between two frames, shown as a line
    The element `#playhead` is a vertical line at time 0; the page moves it.
    """
    top = _nice_top(max([*ages_ms, interval_ms]) * 1.05)
    x, y = _scale(0, max(seconds, 1e-9), _LEFT, _WIDTH - _RIGHT), _scale(0, top, _HEIGHT - _BOTTOM - 12, _TOP)
    dots = ''.join(f'M{x(t):.1f} {y(age):.1f}h0' for t, age in zip(times_s, ages_ms, strict=True))
    base = _HEIGHT - _BOTTOM - 9
    ticks = ''.join(f'M{x(t):.1f} {base}v8' for t in skipped_s)
    line = y(interval_ms)
    return _svg(
        'Time from stamp to detection of each frame',
        _y_axis(y, top) + _x_axis(x, max(seconds, 1e-9), 's of the video') +
        f'<path class="limit" d="M{_LEFT} {line:.1f}H{_WIDTH - _RIGHT}"/>'
        f'<path class="skips" d="{ticks}"/><path class="dots" d="{dots}"/>'
        f'<path id="playhead" d="M{_LEFT} {_TOP}V{_HEIGHT - _BOTTOM}"/>'
        f'<rect id="timeline" x="{_LEFT}" y="{_TOP}" width="{_WIDTH - _RIGHT - _LEFT}" '
        f'height="{_HEIGHT - _BOTTOM - _TOP}" data-seconds="{seconds:.3f}"/>')


def histogram(values_ms: Sequence[float], percentiles: Sequence[int]) -> str:
    """Return the distribution of the values, with a line for each percentile."""
    top_ms = _nice_top(max(values_ms) * 1.02)
    counts, edges = np.histogram(values_ms, _BINS, (0, top_ms))
    top = _nice_top(float(counts.max()) * 1.1)
    x, y = _scale(0, top_ms, _LEFT, _WIDTH - _RIGHT), _scale(0, top, _HEIGHT - _BOTTOM, _TOP + 38)
    bars = ''.join(
        f'M{x(float(left)) + 0.5:.1f} {y(0):.1f}V{y(int(count)):.1f}H{x(float(right)) - 0.5:.1f}V{y(0):.1f}z'
        for count, left, right in zip(counts, edges, edges[1:]) if count)
    lines = []
    for row, percentile in enumerate(percentiles):
        value = float(np.percentile(values_ms, percentile))
        at, height = x(value), _TOP + 15 * row
        # The text is on the side that has more space.
        side, shift = ('end', -4) if at > (_LEFT + _WIDTH) / 2 else ('start', 4)
        lines.append(
            f'<path class="mark" d="M{at:.1f} {height - 6}V{y(0):.1f}"/>'
            f'<text x="{at + shift:.1f}" y="{height + 3}" text-anchor="{side}" class="small">'
            f'p{percentile} {value:.1f}</text>')
    return _svg(
        'Distribution of the time from stamp to detection',
        _y_axis(y, top, 'frames') + _x_axis(x, top_ms, 'ms') + f'<path class="bars" d="{bars}"/>' + ''.join(lines))


def bars(rows: Sequence[tuple[str, float, float | None]], unit: str, title: str) -> str:
    """Return horizontal bars: (name, value, and a second value that is shown as a thin line, or None)."""
    top = max([value for _, *values in rows for value in values if value is not None] + [1e-9])
    step, text_right = 26, 64 if all(second is None for *_, second in rows) else 124
    x = _scale(0, top, _NAME_WIDTH, _WIDTH - text_right)
    parts = []
    for row, (name, value, second) in enumerate(rows):
        middle = 14 + row * step
        shown = name if len(name) <= 17 else name[:16] + '…'
        end = max(value, second or 0.0)
        numbers = f'{_number(value)}' + ('' if second is None else f' / {_number(second)}')
        parts.append(
            f'<text x="{_NAME_WIDTH - 8}" y="{middle + 5}" text-anchor="end">{escape(shown)}</text>'
            f'<rect class="bars" x="{_NAME_WIDTH}" y="{middle - 8}" width="{max(1.0, x(value) - _NAME_WIDTH):.1f}" '
            f'height="16" rx="2"/>')
        if second is not None:
            parts.append(f'<path class="whisker" d="M{x(value):.1f} {middle}H{x(second):.1f}m0 -5v10"/>')
        parts.append(f'<text x="{x(end) + 7:.1f}" y="{middle + 5}">{numbers}{unit}</text>')
    return _svg(title, ''.join(parts), 4 + step * len(rows))


def _svg(title: str, content: str, height: int = _HEIGHT) -> str:
    return (f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}"><title>{escape(title)}'
            f'</title>{content}</svg>')


class _Scale:
    """Maps a value linearly to a position."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self._low, self._start, self._factor = low, start, (end - start) / (high - low)

    def __call__(self, value: float) -> float:
        """Return the position of `value`."""
        return self._start + (value - self._low) * self._factor


def _scale(low: float, high: float, start: float, end: float) -> _Scale:
    return _Scale(low, high, start, end)


def _y_axis(y: _Scale, top: float, unit: str = 'ms') -> str:
    parts = []
    for value in _ticks(top, 4):
        at = y(value)
        parts.append(f'<path class="grid" d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}"/>'
                     f'<text x="{_LEFT - 6}" y="{at + 5:.1f}" text-anchor="end">{value:g}</text>')
    return ''.join(parts) + f'<text x="4" y="{_HEIGHT - 6}" class="small">{unit}</text>'


def _x_axis(x: _Scale, top: float, unit: str) -> str:
    parts = [f'<path class="axis" d="M{_LEFT} {_HEIGHT - _BOTTOM}H{_WIDTH - _RIGHT}"/>']
    for value in _ticks(top, 5):
        parts.append(
            f'<text x="{x(value):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{value:g}</text>')
    return ''.join(parts) + (
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 6}" text-anchor="middle" class="small">'
        f'{escape(unit)}</text>')


def _ticks(top: float, about: int) -> list[float]:
    step = _nice_step(top / about)
    return [round(index * step, 10) for index in range(int(top / step + 1e-9) + 1)]


def _nice_step(wanted: float) -> float:
    """Return the smallest of 1, 2, 2.5, 5 times a power of ten that is at least `wanted`."""
    power: float = 10.0 ** math.floor(math.log10(wanted))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= wanted * (1 - 1e-9))


def _nice_top(value: float) -> float:
    step = _nice_step(max(value, 1e-9) / 4)
    return math.ceil(value / step - 1e-9) * step


def _number(value: float) -> str:
    return f'{value:.0f}' if value >= 100 or value == int(value) else f'{value:.1f}' if value >= 10 else f'{value:.2f}'
