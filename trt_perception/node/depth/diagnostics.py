# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes the diagnostics of detections_3d_node with a timer."""

from __future__ import annotations

import platform
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from ...errors import printable
from ..monitoring.diagnostics import LEVELS, status_name
from ..monitoring.periodic_diagnostics import PeriodicDiagnostics
from ..monitoring.statistics import PERCENTILES, Snapshot
from .health import Condition, assess

COUNTS = ('received', 'processed', 'replaced', 'unmatched', 'bad', 'depth_images', 'placed', 'without_depth')
_STAGES = ('total', 'stamp_to_publish')


class DepthDiagnostics(PeriodicDiagnostics):
    """See PeriodicDiagnostics."""

    def __init__(
        self, node: Node, period: float, condition: Callable[[], Condition], snapshot: Callable[[], Snapshot | None],
    ) -> None:
        """Start publishing.

        period: seconds between two messages; condition, snapshot: called for each message; snapshot returns None if
            the node is not configured
        """
        self._condition = condition
        self._snapshot = snapshot
        super().__init__(node, period)

    def _message(self) -> DiagnosticArray:
        condition, snapshot = self._condition(), self._snapshot()
        level, reason = assess(condition)
        values = {'state': condition.state}
        for source in condition.inputs:
            values[source.topic] = f'{source.publishers} publishers, last message {source.silent_s:.1f} s ago'
        if snapshot is not None:
            values |= {count: str(snapshot.counts.get(count, 0)) for count in COUNTS}
            for stage in _STAGES:
                for percentile, value in zip(PERCENTILES, snapshot.stages.get(stage, ())):
                    values[f'{stage}_ms_p{percentile}'] = f'{value:.3f}'
        message = DiagnosticArray(status=[DiagnosticStatus(
            level=LEVELS[level], name=status_name(self._node.get_fully_qualified_name(), 'detections_3d'),
            message=printable(reason), hardware_id=printable(platform.node() or 'unknown'),
            values=[KeyValue(key=key, value=printable(value)) for key, value in values.items()])])
        message.header.stamp = self._node.get_clock().now().to_msg()
        return message
