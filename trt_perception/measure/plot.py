# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The picture of a comparison: the distribution of the time of a frame, and the stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from .compare import Comparison

# Okabe and Ito's colours, which people with a colour vision deficiency can tell apart.
_STAGE_COLOURS = {'preprocess': '#56b4e9', 'infer': '#0072b2', 'postprocess': '#e69f00'}
_OTHER_COLOUR = '#999999'
_INK, _GREY = '#222222', '#777777'
_BINS = 120


def is_drawable(path: Path) -> bool:
    """Return whether the end of a name is a format that `draw` writes. Raises MissingDependencyError."""
    formats = require('matplotlib.backend_bases').FigureCanvasBase.get_supported_filetypes()
    return path.suffix[1:].lower() in formats


def draw(comparison: Comparison, title: str, note: str, path: Path) -> None:
    """Write the picture of at least one measured variant; the name of `path` decides the format, such as .png or .svg.

    Raises MissingDependencyError without matplotlib.
    """
    measured = comparison.measured
    figure = require('matplotlib.figure').Figure(
        figsize=(11, 2.6 + 0.8 * len(measured)), dpi=150, layout='constrained', facecolor='white')
    figure.suptitle(title, x=0.01, ha='left', fontsize=13, fontweight='bold', color=_INK)
    figure.supxlabel(note, x=0.01, ha='left', fontsize=7.5, color=_GREY, wrap=True)
    spread, bars = figure.subplots(1, 2, sharey=True)
    names = [one.variant.name for one in measured]
    for row, one in enumerate(measured):
        _draw_distribution(spread, row, np.array([times['wall'] for times in one.times_ms]))
        _draw_stages(bars, row, one.percentiles())
    spread.set_yticks(range(len(names)), names, fontsize=10, color=_INK)
    spread.set_ylim(len(names) - 0.45, -0.75)
    _finish(spread, 'Time of each frame: distribution, with p50, p95 and p99')
    _finish(bars, 'Where the time goes: median of each stage')
    spread.set_xscale('log' if _needs_log(comparison) else 'linear')
    if spread.get_xscale() == 'linear':
        spread.set_xlim(left=0)
    else:
        ticker = require('matplotlib.ticker')
        spread.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        spread.xaxis.set_major_formatter(ticker.ScalarFormatter())
        spread.xaxis.set_minor_formatter(ticker.NullFormatter())
    stages = dict.fromkeys(stage for one in measured for stage in one.percentiles() if stage != 'total')
    patch = require('matplotlib.patches').Patch
    bars.legend(
        handles=[patch(color=_STAGE_COLOURS.get(stage, _OTHER_COLOUR), label=stage) for stage in stages],
        loc='upper center', bbox_to_anchor=(0.5, -0.16 * 4 / (2 + len(measured))), ncols=max(1, len(stages)),
        frameon=False, fontsize=9)
    figure.savefig(path)


def _draw_distribution(axes: Any, row: int, times: np.ndarray) -> None:
    """Draw a hill above the row's line, and the percentiles as marks below it."""
    # The slowest 0.5 % would flatten the hill; the mark of p99 is in the picture.
    shown = times[times <= np.percentile(times, 99.5)] if len(times) > 1 else times
    low, high = float(shown.min()), float(shown.max())
    width = max(high - low, 0.02 * high)
    positions = np.linspace(max(low - 0.25 * width, 1e-3), high + 0.25 * width, _BINS)
    bandwidth = width / 18
    density = np.exp(-0.5 * ((positions[:, np.newaxis] - shown) / bandwidth) ** 2).sum(axis=1)
    hill = 0.55 * density / density.max()
    axes.fill_between(positions, row, row - hill, color=_STAGE_COLOURS['infer'], alpha=0.55, linewidth=0)
    axes.plot(positions, row - hill, color=_STAGE_COLOURS['infer'], linewidth=1)
    middle, *rest = np.percentile(times, (50, 95, 99))
    axes.plot([middle, rest[-1]], [row + 0.1] * 2, color=_GREY, linewidth=1)
    axes.plot(middle, row + 0.1, 'o', color=_INK, markersize=5)
    axes.plot(rest, [row + 0.1] * 2, '|', color=_INK, markersize=9)
    axes.annotate(
        f'p50 {middle:.3g}, p95 {rest[0]:.3g}, p99 {rest[1]:.3g} ms', (middle, row + 0.1), (0, -7),
        textcoords='offset points', va='top', ha='center', fontsize=8, color=_INK)


def _draw_stages(axes: Any, row: int, percentiles: dict[str, list[float]]) -> None:
    left = 0.0
    for stage, (median, *_) in percentiles.items():
        if stage != 'total':
            axes.barh(
                row - 0.2, median, left=left, height=0.42, color=_STAGE_COLOURS.get(stage, _OTHER_COLOUR),
                edgecolor='white', linewidth=0.8)
            left += median
    axes.annotate(
        f'{left:.3g} ms', (left, row - 0.2), (5, 0), textcoords='offset points', va='center', fontsize=9, color=_INK)


def _needs_log(comparison: Comparison) -> bool:
    medians = [one.percentiles()['total'][0] for one in comparison.measured]
    return max(medians) > 6 * min(medians)


def _finish(axes: Any, title: str) -> None:
    axes.set_title(title, loc='left', fontsize=10, color=_INK)
    axes.set_xlabel('ms', color=_GREY, fontsize=9)
    axes.tick_params(axis='x', colors=_GREY, labelsize=8)
    axes.tick_params(axis='y', length=0)
    axes.grid(axis='x', color='#e5e5e5', linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.14)
    for side in ('top', 'right', 'left'):
        axes.spines[side].set_visible(False)
    axes.spines['bottom'].set_color('#cccccc')
