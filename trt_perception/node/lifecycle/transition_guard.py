# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Allows one transition at a time, and refuses requests that rclpy does not handle.

The lifecycle services are in a reentrant group, so that get_state answers during configure. Without this guard, rclpy
would start a second transition inside the first one. For a transition that the state does not have, rclpy raises, which
ends the executor. The guard refuses both. Only a shutdown waits, and it cancels configure: a lifecycle manager must be
able to shut the node down during an engine build of minutes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.msg import State, Transition, TransitionDescription

_SHUTDOWN = 'shutdown'
# Each state has a different id for shutdown.
_SHUTDOWNS = (
    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, Transition.TRANSITION_INACTIVE_SHUTDOWN,
    Transition.TRANSITION_ACTIVE_SHUTDOWN)


class TransitionGuard:
    """Replaces the callback of a change_state service. `lock` is held while a transition runs."""

    def __init__(
        self, change_state: Callable[[Any, Any], Any], state: Callable[[], str], warn: Callable[[str], None],
        cancel_configure: Callable[[], None], allow_configure: Callable[[], None],
    ) -> None:
        """Guard `change_state`, which takes a request and a response of lifecycle_msgs/ChangeState.

        state: returns the label of the node's state; warn: called with the reason if a transition is refused
        cancel_configure: ends a configure that runs or is about to start; allow_configure: undoes that
        """
        self.lock = threading.Lock()
        self._change_state = change_state
        self._state = state
        self._warn = warn
        self._cancel_configure = cancel_configure
        self._allow_configure = allow_configure
        self._shutdown_waits = threading.Lock()

    def __call__(self, request: Any, response: Any) -> Any:
        """Answer a request. success is False if the transition is not possible or another transition is running."""
        wanted = request.transition.label or str(request.transition.id)
        if self.lock.acquire(blocking=False):
            try:
                return self._answer(wanted, request, response)
            finally:
                self.lock.release()
        if _is_shutdown(request.transition) and self._shutdown_waits.acquire(blocking=False):
            try:
                return self._shut_down(wanted, request, response)
            finally:
                self._shutdown_waits.release()
        # Only one shutdown may wait: each waiting one occupies a thread of the executor.
        self._warn(f'transition {wanted} refused: another transition is running; try again after it')
        response.success = False
        return response

    def _shut_down(self, wanted: str, request: Any, response: Any) -> Any:
        """Shut down after the running transition has ended."""
        # In 'unconfigured', a configure may hold the lock but not have started.
        cancelling = self._state() in ('unconfigured', 'configuring')
        if cancelling:
            self._cancel_configure()
        with self.lock:
            # By label: the id depends on the state after the other transition.
            request.transition.label = _SHUTDOWN
            try:
                return self._answer(wanted, request, response)
            finally:
                if cancelling:
                    self._allow_configure()

    def _answer(self, wanted: str, request: Any, response: Any) -> Any:
        state = self._state()
        try:
            return self._change_state(request, response)
        except Exception as error:
            self._warn(f'transition {wanted} is not possible in state {state} ({error})')
            response.success = False
            return response


def offer_shutdown(answer: Any, state: str) -> Any:
    """Add shutdown to the available transitions while configure runs: the guard accepts it, rclpy does not list it.

    `ros2 lifecycle set` sends only listed transitions.

    answer: a response of lifecycle_msgs/GetAvailableTransitions; state: the label of the node's state
    """
    if state == 'configuring':
        answer.available_transitions.append(TransitionDescription(
            transition=Transition(id=Transition.TRANSITION_UNCONFIGURED_SHUTDOWN, label=_SHUTDOWN),
            start_state=State(id=State.TRANSITION_STATE_CONFIGURING, label=state),
            goal_state=State(id=State.TRANSITION_STATE_SHUTTINGDOWN, label='shuttingdown')))
    return answer


def _is_shutdown(transition: Transition) -> bool:
    return bool(transition.label == _SHUTDOWN if transition.label else transition.id in _SHUTDOWNS)
