# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A ROS node for a command: it only listens, and ends with the command."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from typing import Any

from ..dependencies import require
from ..errors import ParameterError
from ..node.process.command_line import check_environment, explained

_POLL_S = 0.1


class Listener:
    """A node, and the executor that calls its callbacks in this thread."""

    def __init__(self, node: Any, executor: Any) -> None:
        self.node = node
        self._executor = executor

    def subscribe(self, kind: Any, topic: str, call: Any, latched: bool = False) -> Any:
        """Subscribe with settings that match every publisher: best effort, and volatile unless `latched`.

        latched: get the last message of a publisher that keeps it (transient local), such as label_info
        """
        from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

        return self.node.create_subscription(kind, topic, call, QoSProfile(
            depth=100, reliability=ReliabilityPolicy.RELIABLE if latched else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE))

    def spin(self, seconds: float) -> None:
        """Call callbacks for this time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            # Python handles Ctrl-C only between two calls.
            self._executor.spin_once(timeout_sec=min(left, _POLL_S))


@contextlib.contextmanager
def checked_topic(what: str, topic: str) -> Iterator[None]:
    """Raise ParameterError, in one line, if rclpy or rcl rejects the name of a topic. what: the argument with it."""
    from rclpy.exceptions import InvalidTopicNameException

    try:
        yield
    except (InvalidTopicNameException, ValueError) as error:
        # rclpy adds an arrow under the wrong character, rcl the place in its source code.
        reason = re.sub(r',? at /[^ ,]+:\d+', '', str(error).splitlines()[0]).rstrip(': ')
        raise ParameterError(f"{what} '{topic}': {reason}; expected a name such as /camera/image_raw") from error


@contextlib.contextmanager
def listening(name: str) -> Iterator[Listener]:
    """Give a listener whose node has this name. Raises PerceptionError if ROS is missing or cannot start."""
    rclpy: Any = require('rclpy')
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    check_environment()
    try:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # RCLError is in a private module.
        raise ParameterError(f'ROS cannot start: {explained(error)}') from error
    try:
        node = rclpy.create_node(name, enable_rosout=False, start_parameter_services=False)
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        try:
            yield Listener(node, executor)
        finally:
            executor.shutdown()
            node.destroy_node()
    finally:
        rclpy.try_shutdown()
