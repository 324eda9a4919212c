# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What a FrameLoop uses and what it reports."""

from __future__ import annotations

from dataclasses import dataclass

from ..pipeline.interface import Pipeline
from .camera import Arrival
from .health import CameraReport
from .liveness import Progress
from .outputs import Outputs
from .stamps import RosTime, StampReport
from .statistics import Snapshot
from .worker import LatestWorker


@dataclass(frozen=True)
class FrameParts:
    """The parts that process a frame while the node is configured. Only the outputs belong to one camera.

    worker: its thread owns the pipeline and calls FrameLoop.process
    first_s: an upper limit of the usual time of a frame, in seconds, until one is processed
    """

    worker: LatestWorker[Arrival]
    pipeline: Pipeline
    outputs: Outputs
    first_s: float


@dataclass(frozen=True)
class FrameReport:
    """The state of a camera's frames at one moment.

    camera: None if the node is not active
    last_failure: reason of the last bad or damaged frame or failed inference, or ''
    progress: None if the node was not active since configure; stamps: None without images; ros_time: the node's clock
    image_note: what is unusual about the latest images, or ''
    """

    camera: CameraReport | None
    snapshot: Snapshot
    last_failure: str
    progress: Progress | None
    stamps: StampReport | None
    ros_time: RosTime
    image_note: str = ''
