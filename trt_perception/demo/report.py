# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes the demo's table: sent frames, received results, times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..node.monitoring.statistics import PERCENTILES

# The node's stages in the order of processing, with a short description.
STAGES = {
    'receive_age': 'stamp to arrival in node',
    'convert': 'message to image',
    'preprocess': 'resize, normalise',
    'infer': 'network',
    'postprocess': 'boxes, NMS or top-k',
    'publish': 'result to message, sent',
    'total': 'arrival to result sent',
    'stamp_to_publish': 'stamp to result sent',
}
# The node's counters of frames that it received but did not process.
DROPS = {
    'replaced': 'replaced by a newer one', 'stale': 'too old', 'bad': 'malformed', 'failed': 'inference failed',
}
_CLASSES_SHOWN = 12


@dataclass(frozen=True)
class Figures:
    """The measured values of a run.

    sent: number of frames that the player sent; diagnostics: the node's last values by key
    ages_ms: time from each result's stamp to its arrival at the consumer
    classes: (name, count); counted: title of these counts
    """

    sent: int
    diagnostics: Mapping[str, str]
    ages_ms: Sequence[float]
    classes: Sequence[tuple[str, int]]
    counted: str

    def count(self, name: str) -> int:
        """Return one of the node's counters."""
        return int(self.diagnostics.get(name, '0'))

    @property
    def lost(self) -> int:
        """Frames that the player sent and the node did not receive."""
        return self.sent - self.count('received')


def table(figures: Figures, window_s: float) -> str:
    """Return the table as text. The node's percentiles cover the last `window_s` seconds."""
    dropped = figures.lost + sum(figures.count(name) for name in DROPS)
    lines = [
        f'frames sent            {figures.sent:7d}',
        f'frames processed       {figures.count("processed"):7d}',
        f'frames dropped         {dropped:7d}',
        f'  {figures.lost:7d}  lost between processes',
        *(f'  {figures.count(name):7d}  {what}' for name, what in DROPS.items()),
        f'results received       {len(figures.ages_ms):7d}',
        '',
        f'{figures.counted}',
        *(f'  {count:7d}  {name}' for name, count in figures.classes[:_CLASSES_SHOWN])]
    rest = figures.classes[_CLASSES_SHOWN:]
    if rest:
        lines.append(f'  {sum(count for _, count in rest):7d}  of {len(rest)} other classes')
    if not figures.classes:
        lines.append('        0')
    lines += [
        '', f'{"milliseconds":44s}' + ''.join(f'{f"p{p}":>9s}' for p in PERCENTILES),
        f'in the node, last {window_s:g} s, from its diagnostics']
    for stage, what in STAGES.items():
        values = [figures.diagnostics.get(f'{stage}_ms_p{p}') for p in PERCENTILES]
        if all(value is not None for value in values):
            lines.append(f'  {stage:17s}{what:25s}' + ''.join(f'{float(value or 0):9.2f}' for value in values))
    lines.append('at the consumer, all results')
    ages = np.percentile(figures.ages_ms, PERCENTILES)
    lines.append(f'  {"stamp to detection":42s}' + ''.join(f'{age:9.2f}' for age in ages))
    return '\n'.join(lines)
