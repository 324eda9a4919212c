# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes the diagnostics of a node with a timer."""

from __future__ import annotations

from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.node import Node


class PeriodicDiagnostics:
    """Publishes on /diagnostics from the start to the end of the node, in a separate callback group.

    A subclass has `_message`.
    """

    def __init__(self, node: Node, period: float) -> None:
        """Start publishing every `period` seconds. `_message` may be called at once."""
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._group = MutuallyExclusiveCallbackGroup()
        self._timer = self._start(period)

    def set_period(self, period: float) -> None:
        """Publish every `period` seconds from now on."""
        if period * 1e9 != self._timer.timer_period_ns:
            self._node.destroy_timer(self._timer)
            self._timer = self._start(period)

    def _message(self) -> DiagnosticArray:
        raise NotImplementedError

    def _start(self, period: float) -> Any:
        # The steady clock: diagnostics must continue while a bag is paused.
        return self._node.create_timer(
            period, lambda: self._publisher.publish(self._message()), callback_group=self._group,
            clock=Clock(clock_type=ClockType.STEADY_TIME))
