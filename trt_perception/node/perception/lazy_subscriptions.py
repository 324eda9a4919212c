# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameter lazy: a camera is subscribed only while one of its outputs has a subscriber."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType

from .camera_stream import CameraStream

# ROS tells of new subscribers by events only from Jazzy on, so the outputs are asked.
_PERIOD_S = 0.2


class LazySubscriptions:
    """Subscribes to cameras and unsubscribes from them as their outputs gain and lose subscribers. close() ends it."""

    def __init__(self, node: Any, streams: Sequence[CameraStream], wanted: Callable[[CameraStream], bool]) -> None:
        """Start. wanted: returns whether an output of a camera has a subscriber."""
        self._node = node
        self._streams = streams
        self._wanted = wanted
        self._lock = threading.Lock()
        self._closed = False
        # The steady clock: the time of /clock may stand still.
        self._timer: Any = node.create_timer(
            _PERIOD_S, self._update, callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """End it. After this returns, it changes no subscription."""
        with self._lock:
            self._closed = True
        self._timer.cancel()
        self._node.destroy_timer(self._timer)

    def _update(self) -> None:
        with self._lock:
            if self._closed:
                return
            for stream in self._streams:
                wanted = self._wanted(stream)
                if wanted and stream.camera is None:
                    stream.subscribe()
                elif not wanted and stream.camera is not None:
                    stream.unsubscribe()
