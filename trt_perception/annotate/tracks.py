# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Ids for the objects of each image topic of a bag."""

from __future__ import annotations

from dataclasses import dataclass

from ..results.results import Detections, Result
from ..tracking.tracker import Tracker
from .item import BagImage


@dataclass(frozen=True)
class Tracking:
    """How objects are tracked; see Tracker.

    buffer_s: seconds for which an object that is not found keeps its id
    score: detections below it continue known objects only, and are not in the results
    low_score: down to which the pipeline finds such detections
    """

    buffer_s: float
    score: float
    low_score: float


class BagTracks:
    """The trackers of a bag: each image topic has its own ids, from 1 on."""

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking
        self._trackers: dict[str, Tracker] = {}

    def update(self, image: BagImage, result: Result) -> Result:
        """Return the result of the next image of its topic with ids."""
        assert isinstance(result, Detections)
        tracker = self._trackers.setdefault(image.topic, Tracker(self._tracking.buffer_s))
        return tracker.update(
            result, image.stamp_ns, (image.frame.width, image.frame.height), self._tracking.score, image.frame_id)
