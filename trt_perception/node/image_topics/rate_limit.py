# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses which images of a camera are processed, so that they are at most so many a second. Does not import ROS."""

from __future__ import annotations


class RateLimit:
    """Accepts images at a steady rate.

    Times that are due follow each other by a period, whenever the images come. So a limit of 10 Hz lets 10 of 30 images
    a second through, although an image that comes a little too early is not accepted.
    """

    def __init__(self) -> None:
        self._due = float('-inf')

    def accepts(self, now: float, rate_hz: float) -> bool:
        """Return whether an image that came at `now`, in seconds, is processed. rate_hz: above 0, may change."""
        period = 1.0 / rate_hz
        # A limit that was lower before may have put the time far away.
        due = self._due = min(self._due, now + period)
        if now < due:
            return False
        # After a pause there is no rush of images to catch up.
        self._due = due + period if due + period > now else now + period
        return True
