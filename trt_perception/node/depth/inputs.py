# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The subscriptions of detections_3d_node."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from vision_msgs.msg import Detection2DArray

from ..image_topics.serialized_image import stamp_of
from ..process.rclpy_internals import waiting_messages
from .health import Input
from .pairing import Stamped

# At least, of each topic.
_DEPTH = 5
_NAMES = ('detections', 'depth', 'mask_instances', 'camera_info')


class Inputs:
    """Subscribes to detections, depth, camera_info and perhaps masks. Its callbacks are short, one at a time."""

    def __init__(
        self, node: Node, reliability: str, depth_queue: int, on_detections: Callable[[Stamped], None],
        on_depth: Callable[[Stamped], None], on_masks: Callable[[Stamped], None] | None,
    ) -> None:
        """Subscribe.

        reliability: best_effort or reliable; depth_queue: number of messages of a topic that may wait; the callbacks
        get serialized messages; on_masks: None without masks
        """
        self._node = node
        # After a pause of this process the middleware has as many as the node would have kept.
        self._most = max(depth_queue, _DEPTH)
        qos = QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=self._most, reliability=(
                ReliabilityPolicy.RELIABLE if reliability == 'reliable' else ReliabilityPolicy.BEST_EFFORT))
        group = MutuallyExclusiveCallbackGroup()
        self.camera_info: Any = None
        self._last: dict[str, float] = {}
        self._subscriptions: dict[str, Any] = {}
        # A destroyed subscription has no name any more.
        self._topics: dict[str, str] = {}

        self._handlers: dict[str, Callable[[Any], None]] = {}
        started = time.monotonic()

        def subscribe(kind: Any, name: str, handle: Callable[[Any], None], raw: bool) -> None:
            # The same for all, so that all are silent from the same moment on.
            self._last[name] = started

            def received(message: Any) -> None:
                self._last[name] = time.monotonic()
                handle(message)

            self._handlers[name] = received
            self._subscriptions[name] = node.create_subscription(
                kind, name, received, qos, callback_group=group, raw=raw)
            self._topics[name] = self._subscriptions[name].topic_name

        # In this order: of the subscriptions that have a message, rclpy's executor takes the first. So after a pause,
        # depth images come before the detections of their time, which do not wait for them in vain.
        # Serialized: what a newer message replaces need not be read.
        subscribe(CameraInfo, 'camera_info', self._keep, raw=False)
        subscribe(Image, 'depth', lambda data: on_depth(self._stamped(data)), raw=True)
        if on_masks is not None:
            subscribe(Image, 'mask_instances', lambda data: on_masks(self._stamped(data)), raw=True)

        def detections(data: bytes) -> None:
            # The order of the executor is no promise: what came before is taken here.
            self._take_others()
            on_detections(self._stamped(data))

        subscribe(Detection2DArray, 'detections', detections, raw=True)
        # For people, the detections come first.
        self._topics = {name: self._topics[name] for name in _NAMES if name in self._topics}

    @property
    def topics(self) -> str:
        """The resolved names, for the log."""
        names = list(self._topics.values())
        return f'{", ".join(names[:-1])} and {names[-1]}'

    @property
    def camera_info_topic(self) -> str:
        """The resolved name of camera_info."""
        return self._topics['camera_info']

    def report(self) -> tuple[Input, ...]:
        """Return the state of each topic now."""
        now = time.monotonic()
        return tuple(
            Input(topic, self._node.count_publishers(topic), now - self._last[name])
            for name, topic in self._topics.items())

    def close(self) -> None:
        """Unsubscribe."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.popitem()[1])

    def _take_others(self) -> None:
        for name, subscription in list(self._subscriptions.items()):
            if name != 'detections':
                for message in waiting_messages(subscription, self._most):
                    self._handlers[name](message)

    def _keep(self, info: Any) -> None:
        self.camera_info = info

    def _stamped(self, data: bytes) -> Stamped:
        stamp_ns = stamp_of(data)
        # The worker will fail to read it, and counts it as bad.
        return Stamped(self._node.get_clock().now().nanoseconds if stamp_ns is None else stamp_ns, data)
