# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Times the networks of two pipelines in turns, so that other programs slow down both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..image.frame import Frame
from .interface import Pipeline


def times_in_turns(
    first: Pipeline, second: Pipeline, frames: Sequence[Frame], turns: Iterable[int], seconds: float,
    statistic: Callable[[list[float]], Any] = np.median,
) -> tuple[float, float]:
    """Return the inference time of each open pipeline in milliseconds, without preprocessing: by default the median.

    frames: at least one; each turn runs both pipelines on the next one
    turns: the numbers of the turns; seconds: no turn begins after this time
    statistic: of the times of a pipeline, for example min, which other programs disturb least
    """
    samples: tuple[list[float], list[float]] = ([], [])
    until = time.monotonic() + seconds
    for turn in turns:
        for pipeline, values in zip((first, second), samples):
            values.append(pipeline.run(frames[turn % len(frames)]).timings_ms['infer'])
        if time.monotonic() > until:
            break
    return float(statistic(samples[0])), float(statistic(samples[1]))
