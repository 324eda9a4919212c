# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A thread that waits for one subscription and takes its messages, without the executor.

For each message, rclpy's MultiThreadedExecutor builds a wait set of all entities in Python, and passes the message from
its own thread to a pool thread. Both threads compete for Python's lock with the thread that processes the image. That
takes a millisecond or two, and with a queue depth of one the next image may replace the waiting one. This thread has a
wait set with one subscription.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.node import Node
from rclpy.subscription import Subscription

from ..process.rclpy_internals import SubscriptionWait


class NotOfTheExecutor(CallbackGroup):
    """The callback group of entities that the node's executor must ignore."""

    def can_execute(self, entity: Any) -> bool:
        """Return False: the executor does not wait for the entity."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Return False: a callback is never permitted."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Do nothing."""


class TakingThread:
    """Calls `on_message` with each message of `subscription`, in a separate thread. close() ends it.

    subscription: must be in the callback group NotOfTheExecutor
    on_error: called with each error of taking or of `on_message`; the thread continues, unless ROS was shut down
    """

    def __init__(
        self, node: Node, subscription: Subscription, on_message: Callable[[Any], None],
        on_error: Callable[[Exception], None],
    ) -> None:
        self._context = node.context
        self._subscription = subscription
        self._on_message = on_message
        self._on_error = on_error
        self._ending = threading.Event()
        self._end = GuardCondition(None, None, context=node.context)
        self._thread = threading.Thread(target=self._run, name='images', daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread. After this returns, `on_message` is not running and is never called again."""
        self._ending.set()
        self._end.trigger()
        self._thread.join()
        self._end.destroy()

    def _run(self) -> None:
        with SubscriptionWait(self._subscription, self._end, self._context) as waiting:
            while not self._ending.is_set():
                try:
                    self._take_one(waiting)
                except Exception as error:
                    if not self._context.ok():
                        return
                    self._on_error(error)
                    # A permanent error must not keep a core busy.
                    self._ending.wait(0.1)

    def _take_one(self, waiting: SubscriptionWait) -> None:
        if not waiting.wait() or self._ending.is_set():
            return
        message = waiting.take()
        if message is not None:
            self._on_message(message)
