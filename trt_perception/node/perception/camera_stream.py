# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The images of one camera: the subscription, what is counted and measured, and the state for the diagnostics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from rclpy.node import Node

from ...errors import DamagedImageError, EngineError, FrameError, one_line
from ...image.frame import Frame
from ...image.watch import ImageWatch, depth_warning
from ...parameters.camera_names import CameraName
from ...parameters.settings import Settings
from ...results.regions import Region
from ..image_topics.camera import Arrival, Camera
from ..image_topics.rate_limit import RateLimit
from ..image_topics.reading import frame_of
from ..monitoring.frame_report import FrameReport
from ..monitoring.liveness import Liveness
from ..monitoring.stamps import RosTime, Stamps
from ..monitoring.statistics import Statistics
from ..outputs.outputs import Outputs
from ..process.throttle import at_most_every

_THROTTLE_S = 5.0
# A dark room stays dark for hours.
_NOTE_THROTTLE_S = 60.0
# Characters of a failure reason: an image message may contain any text, and diagnostics repeat the reason every second.
_LONGEST_REASON = 1000


class CameraStream:
    """One camera's subscription, statistics and failures.

    start() and subscribe() on activate, unsubscribe() on deactivate. The counts stay until the next start().

    outputs: the publishers of its results; None before configure
    region: what the network sees of its images
    numbers: gives each frame of the node a number
    """

    def __init__(
        self, node: Node, name: CameraName, outputs: Outputs | None = None, region: Region | None = None,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self._node = node
        self.name = name
        self.outputs = outputs
        self.region = region or Region()
        self._numbers = numbers
        self.statistics = Statistics()
        self.liveness: Liveness | None = None
        self.camera: Camera | None = None
        self._stamps = Stamps()
        self._last_failure = ''
        self._watch = ImageWatch()
        # Two images may be in work at the same time.
        self._looking = threading.Lock()
        self._image_note = ''
        self._depth_seen = False
        self._limit = RateLimit()
        self._lazy = False
        self._open_camera: Callable[[], Camera] | None = None

    def start(self, settings: Settings, first_s: float, on_image: Callable[[Arrival], None]) -> None:
        """Reset the counts and prepare subscribe().

        first_s: an upper limit of the usual time of the first frame, in seconds
        on_image: called with each image, in a separate thread
        """
        self.statistics.reset()
        self._stamps = Stamps()
        self.liveness = Liveness(first_s, numbers=self._numbers)
        self._watch = ImageWatch()
        self._image_note = ''
        self._limit = RateLimit()
        self._lazy = settings.lazy
        self._open_camera = lambda: Camera(
            self._node, self.name, settings.image_reliability, settings.image_depth, on_image,
            settings.image_taking)

    def subscribe(self) -> None:
        """Subscribe to the images."""
        assert self._open_camera is not None
        if self.liveness is not None:
            self.liveness.forgive()
        self.camera = self._open_camera()

    def unsubscribe(self) -> None:
        """End the subscription: no more images arrive."""
        camera, self.camera = self.camera, None
        if camera is not None:
            camera.close()

    def arrived(self, arrival: Arrival, max_rate_hz: float) -> bool:
        """Count an image that was received. Returns False if it comes too early for `max_rate_hz`, 0 for no limit."""
        now_ns = self._now_ns()
        self.statistics.count('received')
        self.statistics.record({'receive_age': (now_ns - arrival.stamp_ns) / 1e6})
        self._stamps.add(arrival.stamp_ns, now_ns)
        if max_rate_hz > 0 and not self._limit.accepts(arrival.received, max_rate_hz):
            self.statistics.count('skipped')
            return False
        if self.liveness is not None:
            self.liveness.arrived()
        return True

    def age_ms(self, arrival: Arrival) -> float:
        """Return the age of an image since its stamp, in milliseconds."""
        return (self._now_ns() - arrival.stamp_ns) / 1e6

    def read(self, arrival: Arrival, camera: Camera, settings: Settings) -> tuple[Any, Frame]:
        """Return the header and the pixels of an image; FrameError if it cannot be used."""
        message = camera.message_of(arrival)
        frame = frame_of(message, settings, self.name.transport, camera.topic)
        self._look_at(frame)
        return message.header, frame

    def processed(self, arrival: Arrival, timings_ms: Mapping[str, float]) -> None:
        """Count a published result. timings_ms: of its stages."""
        self.statistics.record({
            **timings_ms, 'total': (time.monotonic() - arrival.received) * 1e3,
            'stamp_to_publish': self.age_ms(arrival)})
        self.statistics.count('processed')

    def bad(self, error: FrameError) -> None:
        """Count and log an image that cannot be used."""
        # Before the counts: the diagnostics of another thread must not show the reason of an earlier image with them.
        self._last_failure = one_line(error, _LONGEST_REASON)
        if isinstance(error, DamagedImageError):
            self.statistics.count('damaged')
        self.statistics.count('bad')
        self._node.get_logger().warning(
            f'bad image dropped{self._of}: {self._last_failure}', **at_most_every(_THROTTLE_S))

    def failed(self, error: EngineError) -> str:
        """Count and log a failed inference. Returns the reason in one line."""
        self._last_failure = one_line(error, _LONGEST_REASON)
        self.statistics.count('failed')
        self._node.get_logger().error(
            f'inference failed{self._of}: {self._last_failure}', **at_most_every(_THROTTLE_S))
        return self._last_failure

    def report(self) -> FrameReport:
        """Return the state now. Logs each publisher that cannot match, once."""
        camera, liveness = self.camera, self.liveness
        return FrameReport(
            camera.report() if camera is not None else None, self.statistics.snapshot(), self._last_failure,
            None if liveness is None else liveness.report(), self._stamps.report(), self._ros_time(),
            self._image_note if camera is not None else '', self.name.namespace,
            idle=self._lazy and camera is None and liveness is not None)

    def _look_at(self, frame: Frame) -> None:
        """Count a damaged image, and warn of images that a model hardly recognises."""
        log = self._node.get_logger()
        if frame.damage:
            self._last_failure = one_line(frame.damage, _LONGEST_REASON)
            self.statistics.count('damaged')
            log.warning(f'damaged image processed{self._of}: {self._last_failure}', **at_most_every(_THROTTLE_S))
        with self._looking:
            note = self._image_note = self._watch.look(frame)
        if note:
            log.warning(note, **at_most_every(_NOTE_THROTTLE_S))
        if not self._depth_seen and depth_warning(frame):
            self._depth_seen = True
            log.warning(depth_warning(frame))

    @property
    def _of(self) -> str:
        """Words for the log that name the camera, if there are several."""
        return f' ({self.name.namespace})' if self.name.namespace else ''

    def _now_ns(self) -> int:
        now_ns: int = self._node.get_clock().now().nanoseconds
        return now_ns

    def _ros_time(self) -> RosTime:
        # Any: rclpy declares a Clock, but a node has a ROSClock.
        clock: Any = self._node.get_clock()
        return RosTime(
            simulated=clock.ros_time_is_active, running=clock.now().nanoseconds > 0,
            published=self._node.count_publishers('/clock') > 0)
