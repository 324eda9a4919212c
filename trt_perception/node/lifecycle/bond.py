# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's side of a bond: heartbeats from which a lifecycle manager sees that an active node lives.

As nav2_lifecycle_manager expects it of the nodes that it manages: after activate it publishes and awaits
bond/msg/Status on the relative topic `bond`, with the node's name as id, and reports a failure if no heartbeat comes
within half its bond_timeout. Later it treats silence of bond_timeout (4 s) as the death of the node. The messages and
their order are those of bondcpp (ros/bond_core, bondcpp/src/bond.cpp): both sides send `active` true in each period;
a side that leaves sends `active` false, which the other side answers with the same.
"""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import QoSProfile

from ...dependencies import require

TOPIC = 'bond'
# The values of Nav2's own nodes (nav2_ros_common/lifecycle_node.hpp).
PERIOD_S = 0.25
TIMEOUT_S = 4.0
# The manager gets this time to receive the last message.
_LEAVE_S = 0.2


class Bond:
    """Publishes heartbeats from its creation to close(). Create it on activate."""

    def __init__(self, node: Node) -> None:
        """Begin. Raises MissingDependencyError without the package `bond`."""
        self._status: Any = require('bond.msg').Status
        self._node = node
        self._log: Any = node.get_logger()
        self._instance = str(uuid.uuid4())
        # The other side, '' before it was heard; whether it has left; and when it was last heard.
        self._sister = ''
        self._left = False
        self._heard = 0.0
        self._silent = False
        self._lock = threading.Lock()
        self._closed = False
        group = MutuallyExclusiveCallbackGroup()
        self._publisher = node.create_publisher(self._status, TOPIC, QoSProfile(depth=5))
        self._subscription = node.create_subscription(
            self._status, TOPIC, self._on_status, QoSProfile(depth=100), callback_group=group)
        # The steady clock: heartbeats must continue while a bag is paused.
        self._timer: Any = node.create_timer(
            PERIOD_S, self._beat, callback_group=group, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._publish(True)

    def close(self) -> None:
        """Tell the other side that this one leaves. Safe to call twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._publish(False)
        # A publisher that is destroyed at once may take its last message with it.
        self._publisher.wait_for_all_acked(Duration(seconds=_LEAVE_S))
        self._node.destroy_timer(self._timer)
        self._node.destroy_subscription(self._subscription)
        self._node.destroy_publisher(self._publisher)

    def _beat(self) -> None:
        with self._lock:
            if self._closed or self._left:
                return
            self._publish(True)
            if self._sister and not self._silent and time.monotonic() - self._heard > TIMEOUT_S:
                self._silent = True
                self._log.warning(
                    f'bond: the lifecycle manager has been silent for {TIMEOUT_S:.0f} s; this node continues')

    def _on_status(self, message: Any) -> None:
        # Every node of a manager uses the same topic.
        if message.id != self._node.get_name() or message.instance_id == self._instance:
            return
        with self._lock:
            if self._closed:
                return
            if message.active:
                self._hear(message.instance_id)
            elif message.instance_id == self._sister and not self._left:
                self._left = True
                self._publish(False)
                self._log.info('bond: the lifecycle manager has closed its bond')

    def _hear(self, instance: str) -> None:
        self._heard, self._silent = time.monotonic(), False
        if instance == self._sister and not self._left:
            return
        # The first manager, or one that was started again.
        self._sister, self._left = instance, False
        self._publish(True)
        self._log.info('bond: connected to the lifecycle manager')

    def _publish(self, active: bool) -> None:
        message = self._status(
            id=self._node.get_name(), instance_id=self._instance, active=active, heartbeat_timeout=TIMEOUT_S,
            heartbeat_period=PERIOD_S)
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)
