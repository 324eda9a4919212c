# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The start of a node without a launch file: the parameter autostart, and a line that says what the node waits for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType

from ...parameters.settings import Settings

# A launch file or a lifecycle manager configures the node within this time.
_PATIENCE_S = 5.0
_SOON_S = 0.01
# Transition, the state before it and after it.
_STEPS = (('configure', 'unconfigured', 'inactive'), ('activate', 'inactive', 'active'))


class Starter:
    """Configures and activates the node at its start if the parameter autostart is true.

    Otherwise it logs, after a while, how to configure the node.
    """

    def __init__(
        self, node: Any, lock: threading.Lock, state: Callable[[], str], cancelled: Callable[[], bool],
    ) -> None:
        """Prepare; the executor does the rest.

        lock: is held during a transition; state: returns the label of the node's state
        cancelled: returns whether configure is cancelled by a shutdown or a signal
        """
        self._node = node
        self._log: Any = node.get_logger()
        self._lock = lock
        self._state = state
        self._cancelled = cancelled
        settings = Settings().changed({'autostart': node.get_parameter('autostart').value})
        self._autostart = settings.autostart
        # The steady clock: the time of /clock may not run yet.
        self._timer: Any = node.create_timer(
            _SOON_S if self._autostart else _PATIENCE_S, self._once, callback_group=MutuallyExclusiveCallbackGroup(),
            clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _once(self) -> None:
        timer, self._timer = self._timer, None
        if timer is None:
            return
        timer.cancel()
        self._node.destroy_timer(timer)
        if self._autostart:
            self._start()
        elif self._state() == 'unconfigured' and not self._lock.locked():
            name = self._node.get_fully_qualified_name()
            self._log.info(
                f'waiting for configure: run "ros2 lifecycle set {name} configure", then activate; the parameter '
                'autostart:=true and the launch files do both')

    def _start(self) -> None:
        name = self._node.get_fully_qualified_name()
        for transition, before, after in _STEPS:
            with self._lock:
                if self._state() != before:
                    self._log.info(f'{name} is {self._state()}: autostart does nothing more')
                    return
                self._node.trigger(transition)
                if self._cancelled():
                    return
                if self._state() != after:
                    # After an error in activate it must be configured again.
                    again = 'configure, then activate' if self._state() == 'unconfigured' else transition
                    self._log.error(
                        f'{name} could not {transition}: see the line above for the reason; the node is still running. '
                        f'After you fix the cause: ros2 lifecycle set {name} {again}')
                    return
