# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo's consumer: a ROS node that receives results and diagnostics and controls the lifecycle of another node."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from vision_msgs.msg import Classification, Detection2DArray, LabelInfo

from .child import Child
from .waiting import wait_until

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_SERVICE_S = 30.0
# A request without an answer in this time is sent again.
_ANSWER_S = 1.0


@dataclass(frozen=True)
class Received:
    """A result as it arrived.

    stamp_ns: the image's stamp, copied by the node; age_ms: time from that stamp to the arrival here
    message: Detection2DArray or Classification
    """

    stamp_ns: int
    age_ms: float
    message: Any


class Consumer:
    """Subscribes to the topics of `node_name`; a context manager. A separate thread runs the callbacks.

    It reads the DDS settings from the environment, as every ROS process does.
    """

    def __init__(self, node_name: str) -> None:
        self._name = node_name
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = Node('demo_consumer', context=self._context, use_global_arguments=False)
        self.results: list[Received] = []
        self.class_names: dict[int, str] = {}
        self._diagnostics: dict[str, str] = {}
        self._diagnostics_received = 0
        for kind, topic in ((Detection2DArray, 'detections'), (Classification, 'classifications')):
            # Reliable and deep: this consumer counts results, so it must not lose any.
            self._node.create_subscription(kind, topic, self._on_result, 1000)
        self._node.create_subscription(LabelInfo, 'label_info', self._on_label_info, _LATCHED)
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._change_state = self._node.create_client(ChangeState, f'{node_name}/change_state')
        # Created after the other client: DDS discovers it later.
        self._get_state = self._node.create_client(GetState, f'{node_name}/get_state')
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._spin, name='consumer', daemon=True)
        self._thread.start()

    def change_state(
        self, transition: int, what: str, node: Child, timeout_s: float, meanwhile: Callable[[], None],
    ) -> None:
        """Ask the node for a transition (lifecycle_msgs/Transition) and wait for its success.

        Raises DemoError if it fails, takes longer than `timeout_s` seconds, or the node's process ends.
        """
        wait_until(
            self._change_state.service_is_ready, _SERVICE_S, f'the service {self._change_state.srv_name}', [node],
            meanwhile)
        # DDS drops the answer of a service that has not discovered its client yet. A transition must not be requested
        # twice, but the state may be. A service that has discovered this client has also discovered the other one.
        request_state = _StateRequest(self._get_state)
        wait_until(
            request_state.is_answered, _SERVICE_S,
            f'an answer from the service {self._get_state.srv_name}', [node], meanwhile)
        request = ChangeState.Request()
        request.transition.id = transition
        future = self._change_state.call_async(request)
        wait_until(future.done, timeout_s, f'{what} to end', [node], meanwhile)
        response = future.result()
        if response is None or not response.success:
            raise node.failure(f'{what} failed')

    def diagnostics_after(self, seen: int) -> dict[str, str] | None:
        """Return the node's newest diagnostics if more than `seen` have arrived, else None."""
        return self._diagnostics if self._diagnostics_received > seen else None

    @property
    def diagnostics_received(self) -> int:
        """The number of diagnostics received from the node."""
        return self._diagnostics_received

    def is_connected(self) -> bool:
        """Return whether results have a publisher and class names have arrived."""
        return bool(self.class_names) and any(
            self._node.count_publishers(topic) for topic in ('detections', 'classifications'))

    def close(self) -> None:
        """End the thread and leave the graph."""
        # The thread ends before the executor does: otherwise it may wait on what is destroyed already.
        self._closing.set()
        self._executor.wake()
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.shutdown(context=self._context)

    def __enter__(self) -> Consumer:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the graph."""
        self.close()

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            while not self._closing.is_set():
                self._executor.spin_once(timeout_sec=1.0)

    def _on_result(self, message: Any) -> None:
        now = time.time_ns()
        stamp = message.header.stamp
        stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
        self.results.append(Received(stamp_ns, (now - stamp_ns) / 1e6, message))

    def _on_label_info(self, message: LabelInfo) -> None:
        self.class_names = {entry.class_id: entry.class_name for entry in message.class_map}

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f'{self._name.lstrip("/")}:'):
                self._diagnostics = {item.key: item.value for item in status.values}
                self._diagnostics_received += 1


class _StateRequest:
    """Requests a node's state repeatedly until one request is answered."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._futures: list[Any] = []
        self._next = 0.0

    def is_answered(self) -> bool:
        """Return whether an answer has arrived; sends the next request when it is due."""
        if any(future.done() for future in self._futures):
            for future in self._futures:
                self._client.remove_pending_request(future)
            return True
        if time.monotonic() >= self._next and self._client.service_is_ready():
            self._futures.append(self._client.call_async(GetState.Request()))
            self._next = time.monotonic() + _ANSWER_S
        return False


def start_consumer(environment: dict[str, str], node_name: str) -> Consumer:
    """Return a consumer with the DDS settings of `environment`; this process adopts that environment."""
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)
    return Consumer(node_name)
