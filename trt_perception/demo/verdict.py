# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Says in one sentence whether the machine was fast enough for the video."""

from __future__ import annotations

from .report import Figures

# A few frames are skipped at the start on any machine: the first inferences are slow.
_FEW = 0.02


def verdict(figures: Figures, interval_ms: float) -> str:
    """Return one sentence with the numbers of the run, and one more if frames were lost or failed.

    interval_ms: time between two frames as they were played
    """
    skipped = figures.count('replaced') + figures.count('stale')
    network, whole = _stage(figures, 'infer', 50), _stage(figures, 'total', 50)
    period = f'the video has a frame every {_ms(interval_ms)}'
    of = f'{skipped} of {figures.sent} frames were skipped'
    if skipped <= _FEW * figures.sent:
        took = '' if whole is None else f'a frame takes {_ms(whole)} in the node, '
        text = f'This machine is fast enough: {took}{period}{f" ({of})" if skipped else ""}.'
    elif network is not None and network > interval_ms:
        text = f'This machine is too slow for this video: the network needs {_ms(network)}, {period}; {of}.'
    elif whole is not None and whole > interval_ms:
        text = f'This machine is too slow for this video: the node needs {_ms(whole)} for a frame, {period}; {of}.'
    else:
        slow = _stage(figures, 'total', 95)
        took = '' if whole is None or slow is None else (
            f'half of the frames take up to {_ms(whole)} in the node, but one in twenty {_ms(slow)} or more, ')
        text = f'This machine is sometimes too slow for this video: {took}{period}; {of}.'
    others = [
        f'{count} frame{"s" * (count != 1)} {what}' for count, what in (
            (figures.lost, 'lost between the processes'), (figures.count('bad'), 'malformed'),
            (figures.count('failed'), 'without a result, because the inference failed')) if count]
    if not others:
        return text
    # With the profile for large images, frames are lost if its shared memory cannot be made.
    where = ' Why frames are lost: see the line "shared memory" of trt_perception doctor.' if figures.lost else ''
    return f'{text} In addition: {", ".join(others)}.{where}'


def is_too_slow(figures: Figures) -> bool:
    """Return whether more than a few frames were skipped."""
    return figures.count('replaced') + figures.count('stale') > _FEW * figures.sent


def _stage(figures: Figures, stage: str, percentile: int) -> float | None:
    value = figures.diagnostics.get(f'{stage}_ms_p{percentile}')
    return None if value is None else float(value)


def _ms(value: float) -> str:
    return f'{value:.0f} ms' if value >= 10 else f'{value:.1f} ms'
