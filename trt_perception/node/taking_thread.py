# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A thread that waits for one subscription and takes its messages, apart from the executor.

Why not the executor: rclpy's MultiThreadedExecutor builds its wait set of all entities in Python for each message, and
hands the message from its own thread to one of a pool. Both threads then contend for Python's lock with the thread that
works on the image. That takes a millisecond or two, and with a queue of one the next image may replace the one that
waits. Here is a wait set of one subscription.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.node import Node
from rclpy.subscription import Subscription

from .rclpy_internals import SubscriptionWait


class NotOfTheExecutor(CallbackGroup):
    """The callback group of entities that the node's executor shall leave alone."""

    def can_execute(self, entity: Any) -> bool:
        """Return False: the executor does not even wait for it."""
        return False

    def beginning_execution(self, entity: Any) -> bool:
        """Return False: permission for a callback is never given."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Do nothing."""


class TakingThread:
    """Calls `on_message` with each message of `subscription`, in a thread of its own. close() ends it.

    subscription: of the callback group NotOfTheExecutor
    on_error: called with what taking or `on_message` raised; the thread goes on, unless ROS was shut down
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
        """End the thread. When this returns, `on_message` is not running and is not called any more."""
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
                    # Whatever is wrong must not keep a core busy.
                    self._ending.wait(0.1)

    def _take_one(self, waiting: SubscriptionWait) -> None:
        if not waiting.wait() or self._ending.is_set():
            return
        message = waiting.take()
        if message is not None:
            self._on_message(message)
