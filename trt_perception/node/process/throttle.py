# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Limits how often a line is logged."""

from __future__ import annotations

from typing import Any

from rclpy.clock import Clock, ClockType

_STEADY = Clock(clock_type=ClockType.STEADY_TIME)


def at_most_every(seconds: float) -> dict[str, Any]:
    """Return the arguments with which rclpy's logger logs a line once in this time.

    By default rclpy measures the time with the system's clock. If that clock is set back by an hour, as on a robot
    whose clock has no battery, the line would not be logged for an hour.
    """
    return {'throttle_duration_sec': seconds, 'throttle_time_source_type': _STEADY}
