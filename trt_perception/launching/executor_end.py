# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Ends the executor of launch_ros when the process of ros2 launch ends.

launch_ros destroys its node, but does not shut down its executor. The garbage collector does it then. If it destroys
the executor's guard condition first, rclpy prints a traceback (seen with launch_ros 0.26 and rclpy 7.1).
"""

from __future__ import annotations

import atexit
import contextlib
from typing import Any

from launch_ros.ros_adapters import get_ros_adapter

_ended: list[Any] = []


def end_executor_at_exit(context: Any) -> None:
    """Shut down the executor of launch_ros at the end of this process. For an OpaqueFunction; may run repeatedly."""
    executor = getattr(get_ros_adapter(context), 'ros_executor', None)
    if executor is not None and not any(known is executor for known in _ended):
        _ended.append(executor)
        # By then, launch_ros has ended the thread that spins it.
        atexit.register(_end, executor)


def _end(executor: Any) -> None:
    with contextlib.suppress(Exception):
        executor.shutdown()
