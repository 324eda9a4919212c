# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Ids for the frames of one source after the other: --tracking of predict, and its options."""

from __future__ import annotations

import argparse

from ..errors import ParameterError
from ..parameters.table import Values
from ..pipeline.interface import Pipeline
from ..results.results import Detections, Result
from ..sources.source import SourceFrame
from ..tracking.tracker import Tracker
from .together import require_beside

# Images of a folder have no time: they are taken for the frames of a video.
_IMAGE_NS = 1_000_000_000 // 30


def require_tracking(options: argparse.Namespace) -> None:
    """Raise ParameterError if an option for tracking is given without --tracking: it would do nothing."""
    if not options.tracking:
        require_beside('--tracking', {
            f'--{name.replace("_", "-")}': getattr(options, name) != getattr(Values(), name)
            for name in ('tracking_buffer', 'tracking_low_score')})


class SourceTracks:
    """Each source has its own objects, with ids from 1 on."""

    def __init__(self, pipeline: Pipeline, buffer_s: float, low_score: float) -> None:
        """Let the pipeline find the weak detections too; they are not in the results of update().

        Raises ParameterError for a classifier.
        """
        if pipeline.spec.task != 'detection':
            raise ParameterError(
                f'--tracking needs a detector, but {pipeline.spec.path.name} is a classifier: leave --tracking out')
        self._score = pipeline.settings.detection.score_threshold
        self._buffer_s = buffer_s
        self._tracker = Tracker(buffer_s)
        pipeline.settings = pipeline.settings.down_to(low_score)

    def start(self) -> None:
        """Begin with the next source."""
        self._tracker = Tracker(self._buffer_s)

    def update(self, item: SourceFrame, result: Result) -> Result:
        """Return the result of the next frame with ids."""
        assert isinstance(result, Detections)
        stamp_ns = item.index * _IMAGE_NS if item.stamp_ns is None else item.stamp_ns
        return self._tracker.update(result, stamp_ns, (item.frame.width, item.frame.height), self._score)
