# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One image topic: the subscription, its QoS, and the state of the topic for the diagnostics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ...errors import FrameError
from ...image.transports import COMPRESSED_IMAGE, IMAGE
from ...parameters.camera_names import CameraName
from ..monitoring.health import SILENCE_S, CameraReport
from ..process.throttle import at_most_every
from .gaps import GapEstimator
from .image_taker import AUTO, ImageTaker, take_images, taking
from .publishers import MismatchLog, publishers_of
from .serialized_image import CutOff, MakeHeader, NotPlainCdr, read_compressed_image, read_image, stamp_of
from .siblings import ChangeLog, Wanted, offers_in, suggestion

_TYPES = {'raw': Image, 'compressed': CompressedImage}
_READERS: dict[str, Callable[[bytes, MakeHeader], Any]] = {
    'raw': read_image, 'compressed': read_compressed_image}
_TYPE_NAMES = {'raw': IMAGE, 'compressed': COMPRESSED_IMAGE}
_THROTTLE_S = 5.0


@dataclass(frozen=True)
class Arrival:
    """A message as it arrived.

    data: the serialized message; stamp_ns: the stamp of its header, in nanoseconds
    received: time of arrival in seconds of the monotonic clock
    """

    data: bytes
    stamp_ns: int
    received: float


class Camera:
    """Subscribes to an image topic. `on_image` is called for each message, see image_taker.py; way: image_taking."""

    def __init__(
        self, node: Node, name: CameraName, reliability: str, depth: int,
        on_image: Callable[[Arrival], None], way: str = AUTO,
    ) -> None:
        self._node = node
        self._transport = transport = name.transport
        self._is_one_of_several = bool(name.namespace)
        self._reliability = (
            ReliabilityPolicy.RELIABLE if reliability == 'reliable'
            else ReliabilityPolicy.BEST_EFFORT)
        self._on_image = on_image
        self._lock = threading.Lock()
        self._gaps = GapEstimator()
        self._last = time.monotonic()
        # A lambda, not the method itself: rclpy allows only one severity for each line that logs.
        self._mismatches = MismatchLog(lambda text: self._node.get_logger().error(text))
        self._suggestions = ChangeLog(lambda text: self._node.get_logger().warning(text))
        self._rclpy_failed = -_THROTTLE_S
        self._taker: ImageTaker | None = take_images(
            node, _TYPES[transport], name.subscribed,
            QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=self._reliability),
            self._received, self._not_taken, taking(way, node)[0])
        self.topic: str = self._taker.topic

    def message_of(self, arrival: Arrival) -> Any:
        """Return an object with the fields of the message, a sensor_msgs/Image or CompressedImage.

        Raises FrameError if the bytes are not such a message.
        """
        try:
            return _READERS[self._transport](arrival.data, _header)
        except CutOff as error:
            raise FrameError(f'the message cannot be deserialized: {error}') from error
        except NotPlainCdr as error:
            return self._read_by_rclpy(arrival.data, error)

    def close(self) -> None:
        """End the subscription. After this returns, `on_image` is not running and is never called again."""
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.close()

    def report(self) -> CameraReport:
        """Return the state of the topic now.

        Logs each publisher that cannot match once, and what is there instead of a topic that no node publishes.
        """
        publishers = publishers_of(
            self._node.get_publishers_info_by_topic(self.topic), self.topic, _TYPE_NAMES[self._transport],
            self._reliability == ReliabilityPolicy.RELIABLE)
        self._mismatches.update(publishers)
        with self._lock:
            silent_s, missing = time.monotonic() - self._last, self._gaps.missing_fraction()
        elsewhere = ''
        if not publishers.names and silent_s >= SILENCE_S:
            wanted = Wanted(
                self.topic, self._transport, self._reliability == ReliabilityPolicy.RELIABLE, self._is_one_of_several)
            elsewhere = suggestion(wanted, offers_in(self._node))
            self._suggestions.update(f'no node publishes {self.topic}; {elsewhere}')
        return CameraReport(self.topic, publishers.names, publishers.incompatible, silent_s, missing, elsewhere)

    def _read_by_rclpy(self, data: bytes, reason: NotPlainCdr) -> Any:
        # For each failure rclpy's libraries may print a line, so a sender of such messages must not make it try often.
        if time.monotonic() - self._rclpy_failed < _THROTTLE_S:
            raise FrameError(f'the message cannot be deserialized: {reason}')
        try:
            return deserialize_message(data, _TYPES[self._transport])
        except Exception as error:  # RMWError or UnicodeDecodeError, depending on the middleware
            self._rclpy_failed = time.monotonic()
            raise FrameError(f'the message cannot be deserialized: {reason} (rclpy: {error})') from error

    def _received(self, data: bytes) -> None:
        now = time.monotonic()
        stamp_ns = stamp_of(data)
        with self._lock:
            self._last = now
            if stamp_ns is None:
                # The worker will fail to deserialize it, and counts it as bad.
                stamp_ns = self._node.get_clock().now().nanoseconds
            else:
                self._gaps.add(stamp_ns)
        self._on_image(Arrival(data, stamp_ns, now))

    def _not_taken(self, error: Exception) -> None:
        self._node.get_logger().error(
            f'an image on {self.topic} could not be received: {type(error).__name__}: {error}',
            **at_most_every(_THROTTLE_S))


def _header(sec: int, nanosec: int, frame_id: str) -> Header:
    return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id)
