# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes the frames of the cameras through the pipeline, from the arrival of an image to the published result."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass

from rclpy.node import Node

from ...advice.packages import install_line
from ...advice.platform import this_platform
from ...errors import EngineError
from ...image.jpeg import jpeg_decoder
from ...parameters.camera_names import CameraName
from ...parameters.settings import Settings
from ...pipeline.interface import Pipeline
from ...results.regions import Region
from ..image_topics.camera import Arrival
from ..monitoring.frame_report import FrameReport
from ..monitoring.liveness import Progress
from ..outputs.outputs import Outputs
from ..process.worker import FairWorker
from .camera_stream import CameraStream
from .inference_failures import InferenceFailures
from .lazy_subscriptions import LazySubscriptions
from .network_run import FrameWork, NetworkRun

# If the process is about to end, a frame gets this time to finish.
_ENDING_S = 0.4

# An image of a camera on its way to the worker.
Queued = tuple[CameraStream, Arrival]


@dataclass(frozen=True)
class FrameParts:
    """The parts that process frames while the node is configured.

    worker: its threads own the pipeline and call FrameLoop.process
    cameras: with the outputs of each, and what the network sees of its images
    first_s: an upper limit of the usual time of a frame, in seconds, until one is processed
    """

    worker: FairWorker[Queued]
    pipeline: Pipeline
    cameras: Sequence[tuple[CameraName, Outputs, Region]]
    first_s: float


class FrameLoop:
    """The images of a node on their way through the pipeline. It lives as long as the node.

    connect() on configure, start() on activate, stop() on deactivate, disconnect() on cleanup.
    """

    def __init__(
        self, node: Node, settings: Callable[[], Settings | None], on_give_up: Callable[[], None],
        on_device_lost: Callable[[EngineError], None],
    ) -> None:
        """Prepare.

        settings: returns the current values; called once for each run of the network
        on_give_up: called in a worker's thread when so many inferences in a row have failed that the node should give
            up
        on_device_lost: called in a worker's thread if this process can no longer use its device
        """
        self._node = node
        self._settings = settings
        self.failures = InferenceFailures(on_give_up, on_device_lost)
        self._streams: Sequence[CameraStream] = (CameraStream(node, CameraName('image', 'raw', 'image', '')),)
        # The frame that stop() did not wait for any longer.
        self._given_up_frame = 0
        self._parts: FrameParts | None = None
        self._lazy: LazySubscriptions | None = None

    def connect(self, parts: FrameParts) -> None:
        """Use these parts from now on. Call it only while no image can arrive."""
        numbers = itertools.count(1)
        self._streams = [
            CameraStream(self._node, name, outputs, region, numbers) for name, outputs, region in parts.cameras]
        self._parts = parts

    @property
    def progress(self) -> Progress:
        """The progress of the frames now: of the one that is longest in work, if there is one."""
        reports = [stream.liveness.report() for stream in self._streams if stream.liveness is not None]
        return max(reports, key=lambda report: (report.frame > 0, report.in_work_s), default=Progress())

    def start(self, settings: Settings) -> str:
        """Reset the counts and subscribe, with lazy only as soon as there is a subscriber. Returns the topics."""
        assert self._parts is not None
        self._given_up_frame = 0
        self.failures.reset()
        compressed = any(stream.name.transport == 'compressed' for stream in self._streams)
        if compressed and jpeg_decoder() == 'opencv':
            self._node.get_logger().warning(
                'damaged JPEG images are not noticed, because the Python package simplejpeg is not installed: '
                f'{install_line("simplejpeg", this_platform())}')
        for stream in self._streams:
            stream.start(settings, self._parts.first_s, functools.partial(self._arrived, stream))
        if settings.lazy:
            self._lazy = LazySubscriptions(self._node, self._streams, self._is_wanted)
        else:
            for stream in self._streams:
                stream.subscribe()
        return ', '.join(stream.name.topic for stream in self._streams)

    def stop(self) -> None:
        """End the subscriptions and wait until the frames in work are processed. May be called in any state.

        Raises EngineError if a frame takes so long that it may never end. The worker is still busy then.
        """
        self.unsubscribe()
        if self._parts is None:
            return
        for stream, _ in self._parts.worker.drop():
            stream.statistics.count('replaced')
        progress = self.progress
        if progress.frame and progress.frame == self._given_up_frame:
            raise EngineError(progress.reason)
        try:
            self._parts.worker.finish(_ENDING_S if self.failures.expected else progress.patience_s)
        except FutureTimeoutError:
            progress = self.progress
            self._given_up_frame = progress.frame
            raise EngineError(progress.reason) from None

    def unsubscribe(self) -> None:
        """End the subscriptions: no more frames arrive."""
        lazy, self._lazy = self._lazy, None
        if lazy is not None:
            lazy.close()
        for stream in self._streams:
            stream.unsubscribe()

    def disconnect(self) -> None:
        """Forget the parts. Call it after stop(). A frame that is still in work is not published or counted."""
        self._parts = None
        for stream in self._streams:
            stream.liveness = None

    def reports(self) -> list[FrameReport]:
        """Return the state of each camera now. Logs each publisher that cannot match, once."""
        return [stream.report() for stream in self._streams]

    def process(self, items: Sequence[Queued]) -> None:
        """Turn an image of each of these cameras into a published result. Runs in a thread of the worker."""
        settings, parts = self._settings(), self._parts
        works = []
        for stream, arrival in items:
            camera, liveness, outputs = stream.camera, stream.liveness, stream.outputs
            if camera is None or liveness is None or outputs is None or settings is None or parts is None:
                # The node is being deactivated: the frame counts as replaced by a newer one.
                stream.statistics.count('replaced')
            else:
                works.append(FrameWork(stream, arrival, camera, liveness, outputs))
        if works and settings is not None and parts is not None:
            NetworkRun(
                parts.pipeline, settings, self.failures, lambda: self._parts is parts, parts.worker.wait_for_turn,
            ).process(works)

    def _arrived(self, stream: CameraStream, arrival: Arrival) -> None:
        """Hand an image to the worker. Runs in the camera's thread."""
        parts, settings = self._parts, self._settings()
        if parts is None or settings is None or stream.liveness is None:
            return
        if stream.arrived(arrival, settings.max_rate_hz) and parts.worker.offer((stream, arrival), stream):
            stream.statistics.count('replaced')

    def _is_wanted(self, stream: CameraStream) -> bool:
        """Whether an output of the camera has a subscriber."""
        settings, outputs = self._settings(), stream.outputs
        return settings is not None and outputs is not None and outputs.has_subscriber(settings)
