# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a camera's frames look like at one moment, for the diagnostics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .health import CameraReport
from .liveness import Progress
from .stamps import RosTime, StampReport
from .statistics import Snapshot


@dataclass(frozen=True)
class FrameReport:
    """The state of a camera's frames at one moment.

    camera: None if the node is not active
    last_failure: reason of the last bad or damaged frame or failed inference, or ''
    progress: None if the node was not active since configure; stamps: None without images; ros_time: the node's clock
    image_note: what is unusual about the latest images, or ''
    name: of the camera, the namespace of its outputs; '' if it is the only one
    idle: whether it is not subscribed because no output has a subscriber
    """

    camera: CameraReport | None
    snapshot: Snapshot
    last_failure: str
    progress: Progress | None
    stamps: StampReport | None
    ros_time: RosTime
    image_note: str = ''
    name: str = ''
    idle: bool = False


def total_of(cameras: Sequence[FrameReport]) -> Snapshot:
    """Return the sums of the rates and counts of all cameras. It has no times of stages."""
    rates: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for frames in cameras:
        rates.update(frames.snapshot.rates)
        counts.update(frames.snapshot.counts)
    return Snapshot({}, dict(rates), dict(counts))
