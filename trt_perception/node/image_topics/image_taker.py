# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Two ways to take the serialized messages of one topic: a thread with a wait set of its own, or the node's executor.

The thread costs less processor time (docs/benchmarks.md), and uses private names of rclpy. The executor uses public
names alone: it is for a ROS 2 whose rclpy or middleware does not go well with the thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile

from ...errors import ParameterError
from ..process.rclpy_internals import missing_to_wait
from .taking_thread import NotOfTheExecutor, TakingThread

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

AUTO, THREAD, EXECUTOR = 'auto', 'thread', 'executor'


class ImageTaker(Protocol):
    """Calls a function with each serialized message of a topic, never in two threads at once.

    topic: the resolved name; way: THREAD or EXECUTOR
    """

    topic: str
    way: str

    def close(self) -> None:
        """End the subscription. After this returns, the function is not running and is never called again."""


def taking(wanted: str, node: Node) -> tuple[str, str]:
    """Return THREAD or EXECUTOR for the parameter image_taking, and why it is not the thread: '' if nothing is odd.

    Raises ParameterError if the thread is wanted and this rclpy lacks a name that it needs.
    """
    if wanted == EXECUTOR:
        return EXECUTOR, ''
    missing = missing_to_wait(node.context)
    if not missing:
        return THREAD, ''
    if wanted == THREAD:
        raise ParameterError(
            f'image_taking is thread, but {missing}: set image_taking to auto or executor, or use the rclpy of a ROS 2 '
            'distribution from Humble to Lyrical')
    return EXECUTOR, missing


def take_images(
    node: Node, kind: Any, topic: str, qos: QoSProfile, on_message: Callable[[Any], None],
    on_error: Callable[[Exception], None], way: str,
) -> ImageTaker:
    """Subscribe and begin.

    kind: the message class; way: THREAD or EXECUTOR
    on_message: called with the bytes of each message; on_error: called with each exception of taking or of on_message
    """
    return (_ThreadTaker if way == THREAD else _ExecutorTaker)(node, kind, topic, qos, on_message, on_error)


class _Taker:
    """What both ways have in common: the subscription."""

    way = ''

    def __init__(
        self, node: Node, kind: Any, topic: str, qos: QoSProfile, call: Callable[[Any], None], group: CallbackGroup,
    ) -> None:
        self._node = node
        self._subscription: Any = node.create_subscription(
            kind, topic, call, qos, callback_group=group,
            # No QoS events: Camera.report finds mismatches itself.
            event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
            # Serialized: deserializing a large image here would delay the next one, and would be wasted if a newer
            # frame replaces this one.
            raw=True)
        self.topic: str = self._subscription.topic_name


class _ThreadTaker(_Taker):
    way = THREAD

    def __init__(
        self, node: Node, kind: Any, topic: str, qos: QoSProfile, on_message: Callable[[Any], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        super().__init__(node, kind, topic, qos, _never_called, NotOfTheExecutor())
        self._taking = TakingThread(node, self._subscription, on_message, on_error)

    def close(self) -> None:
        """End the subscription."""
        self._taking.close()
        self._node.destroy_subscription(self._subscription)


class _ExecutorTaker(_Taker):
    way = EXECUTOR

    def __init__(
        self, node: Node, kind: Any, topic: str, qos: QoSProfile, on_message: Callable[[Any], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._on_message = on_message
        self._on_error = on_error
        self._lock = threading.Lock()
        self._closed = False
        super().__init__(node, kind, topic, qos, self._take, MutuallyExclusiveCallbackGroup())

    def close(self) -> None:
        """End the subscription. on_message only hands the message over, so the lock is free soon."""
        with self._lock:
            self._closed = True
        self._node.destroy_subscription(self._subscription)

    def _take(self, message: Any) -> None:
        with self._lock:
            if self._closed:
                return
            try:
                self._on_message(message)
            except Exception as error:
                self._on_error(error)


def _never_called(_: Any) -> None:
    """Satisfy rclpy, which requires a callback. A TakingThread takes the messages instead."""
