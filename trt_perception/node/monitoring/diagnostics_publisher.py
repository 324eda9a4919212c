# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes the node's diagnostics with a timer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.utilities import get_rmw_implementation_identifier

from ..process.throttle import at_most_every
from .diagnostics import diagnostics_message, status_of
from .frame_report import FrameReport, total_of
from .health import STANDSTILL_S, Condition, assess, assess_together
from .periodic_diagnostics import PeriodicDiagnostics
from .processor_wait import ProcessorClock, ProcessorWait
from .twins import Twins

_THROTTLE_S = 30.0


@dataclass(frozen=True)
class NodeStatus:
    """The part of the diagnostics that is not about frames.

    state: label of the lifecycle state
    activity: the step that configure is doing, or ''; unchanged_s: seconds since it changed
    error: reason why the last transition failed, or ''; provenance: model and backend of a configured node, by key
    """

    state: str
    activity: str
    unchanged_s: float
    error: str
    provenance: Mapping[str, str]


class DiagnosticsPublisher(PeriodicDiagnostics):
    """See PeriodicDiagnostics."""

    def __init__(
        self, node: Node, period: float, status: Callable[[], NodeStatus], frames: Callable[[], Sequence[FrameReport]],
    ) -> None:
        """Start publishing.

        period: seconds between two messages; status, frames: called for each message, return its content

        With several cameras, the first status of a message is about the node: the worst level, and the sums of all
        cameras. A status for each camera follows.
        """
        self._status = status
        self._frames = frames
        self._middleware = get_rmw_implementation_identifier()
        # A lambda, not the method itself: rclpy allows only one severity for each line that logs.
        self._twins = Twins(lambda text: node.get_logger().warning(text))
        self._processor = ProcessorClock()
        super().__init__(node, period)

    def _message(self) -> DiagnosticArray:
        cameras, status = self._frames(), self._status()
        name = self._node.get_fully_qualified_name()
        twin = self._twins.update(name, self._all_names())
        processor = self._processor.wait()
        assessed = [assess(self._condition(frames, status, twin, processor)) for frames in cameras]
        level, reason = (
            assessed[0] if len(cameras) == 1 or status.state != 'active' or status.error
            else assess_together([frames.name for frames in cameras], assessed, total_of(cameras)))
        if status.state == 'configuring' and status.unchanged_s >= STANDSTILL_S:
            # Loading logs nothing itself.
            self._node.get_logger().info(reason, **at_most_every(_THROTTLE_S))
        of_node = cameras[0] if len(cameras) == 1 else None
        provenance = {**status.provenance, 'processor_wait': f'{processor.waited:.3f}'}
        message = diagnostics_message(
            name, self._node.get_clock().now().to_msg(), level, reason, status.state,
            total_of(cameras) if of_node is None else of_node.snapshot, None if of_node is None else of_node.camera,
            provenance)
        if of_node is None:
            message.status += [
                status_of(name, *found, status.state, frames.snapshot, frames.camera, status.provenance, frames.name)
                for frames, found in zip(cameras, assessed)]
        return message

    def _condition(
        self, frames: FrameReport, status: NodeStatus, twin: str, processor: ProcessorWait,
    ) -> Condition:
        return Condition(
            state=status.state, activity=status.activity, unchanged_s=status.unchanged_s, error=status.error,
            camera=frames.camera, recent=frames.snapshot.rates, last_failure=frames.last_failure,
            precision_wanted=status.provenance.get('precision', ''),
            precision_effective=status.provenance.get('precision_effective', ''),
            device_fallback=status.provenance.get('device_fallback', ''),
            progress=frames.progress, stamps=frames.stamps, ros_time=frames.ros_time, image_note=frames.image_note,
            twin=twin, middleware=self._middleware, idle=frames.idle, processor=processor)

    def _all_names(self) -> list[str]:
        return [
            f'{namespace.rstrip("/")}/{name}' for name, namespace in self._node.get_node_names_and_namespaces()]
