# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One image topic: the subscription, its QoS, its publishers, and whether frames come."""

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

from ..errors import FrameError
from .gaps import GapEstimator
from .health import CameraReport
from .serialized_image import MakeHeader, NotPlainCdr, read_compressed_image, read_image, stamp_of
from .taking_thread import NotOfTheExecutor, TakingThread

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

_TYPES = {'raw': Image, 'compressed': CompressedImage}
_READERS: dict[str, Callable[[bytes, MakeHeader], Any]] = {
    'raw': read_image, 'compressed': read_compressed_image}
_TYPE_NAMES = {'raw': 'sensor_msgs/msg/Image', 'compressed': 'sensor_msgs/msg/CompressedImage'}
_THROTTLE_S = 5.0
_TOPICS = {'raw': 'image', 'compressed': 'image/compressed'}


@dataclass(frozen=True)
class Arrival:
    """A message as it arrived.

    data: the serialized message; stamp_ns: its header's stamp
    received: when it came, on the monotonic clock in seconds
    """

    data: bytes
    stamp_ns: int
    received: float


class Camera:
    """Subscribes an image topic and calls `on_image` in a thread of its own for each message."""

    def __init__(
        self, node: Node, transport: str, reliability: str, depth: int,
        on_image: Callable[[Arrival], None],
    ) -> None:
        self._node = node
        self._transport = transport
        self._reliability = (
            ReliabilityPolicy.RELIABLE if reliability == 'reliable'
            else ReliabilityPolicy.BEST_EFFORT)
        self._on_image = on_image
        self._lock = threading.Lock()
        self._gaps = GapEstimator()
        self._last = time.monotonic()
        self._logged: set[str] = set()
        self._subscription: Any | None = node.create_subscription(
            _TYPES[transport], _TOPICS[transport], _never_called,
            QoSProfile(
                history=HistoryPolicy.KEEP_LAST, depth=depth, reliability=self._reliability),
            callback_group=NotOfTheExecutor(),
            # No QoS events: nobody waits for them. What they tell is found out by `report`.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            # Serialized: making Python objects of a large image would hold up the next one, and be in vain for a
            # frame that a newer one replaces.
            raw=True)
        self.topic: str = self._subscription.topic_name
        self._taking = TakingThread(node, self._subscription, self._received, self._not_taken)

    def message_of(self, arrival: Arrival) -> Any:
        """Return what has the fields of a sensor_msgs/Image or CompressedImage; FrameError if the bytes are none."""
        try:
            return _READERS[self._transport](arrival.data, _header)
        except NotPlainCdr as error:
            reason = error
        # Another format, or broken: what rclpy reads counts.
        try:
            return deserialize_message(arrival.data, _TYPES[self._transport])
        except Exception as error:  # RMWError and UnicodeDecodeError, by middleware
            raise FrameError(f'the message cannot be deserialized: {reason} (rclpy: {error})') from error

    def close(self) -> None:
        """End the subscription; when this returns, `on_image` is not running and is not called any more."""
        if self._subscription is not None:
            self._taking.close()
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def report(self) -> CameraReport:
        """Return the state of the topic now; logs each publisher that cannot match, once."""
        publishers, incompatible = self._publishers()
        for reason in incompatible:
            if reason not in self._logged:
                self._logged.add(reason)
                self._node.get_logger().error(reason)
        with self._lock:
            return CameraReport(
                self.topic, tuple(publishers), tuple(incompatible),
                time.monotonic() - self._last,
                self._gaps.missing_fraction())

    def _received(self, data: bytes) -> None:
        now = time.monotonic()
        stamp_ns = stamp_of(data)
        with self._lock:
            self._last = now
            if stamp_ns is None:
                # Deserializing it will fail, in the worker, where bad frames are counted.
                stamp_ns = self._node.get_clock().now().nanoseconds
            else:
                self._gaps.add(stamp_ns)
        self._on_image(Arrival(data, stamp_ns, now))

    def _not_taken(self, error: Exception) -> None:
        self._node.get_logger().error(
            f'an image on {self.topic} could not be taken: {type(error).__name__}: {error}',
            throttle_duration_sec=_THROTTLE_S)

    def _publishers(self) -> tuple[list[str], list[str]]:
        """Return names of all publishers, and why those that cannot match do not."""
        names, incompatible = [], []
        wanted_type = _TYPE_NAMES[self._transport]
        for endpoint in self._node.get_publishers_info_by_topic(self.topic):
            name = f'{endpoint.node_namespace.rstrip("/")}/{endpoint.node_name}'
            names.append(name)
            offered = endpoint.qos_profile.reliability
            if endpoint.topic_type != wanted_type:
                incompatible.append(
                    f'{name} publishes {self.topic} as {endpoint.topic_type}, this node subscribes '
                    f'{wanted_type}: set image_transport or remap the topic')
            elif (offered == ReliabilityPolicy.BEST_EFFORT
                    and self._reliability == ReliabilityPolicy.RELIABLE):
                incompatible.append(
                    f'{name} offers reliability best_effort on {self.topic}, this node asks for '
                    'reliable: set image_reliability to best_effort')
        return names, incompatible


def _header(sec: int, nanosec: int, frame_id: str) -> Header:
    return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id)


def _never_called(_: Any) -> None:
    """What rclpy wants to have for a subscription; the messages are taken by a TakingThread."""
