# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ManagedNode: what every lifecycle node of this package does with its transitions and at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from ...dependencies import require
from ...errors import PerceptionError, one_line
from ...parameters.table import Row
from ..process.rclpy_internals import (
    destroy_state_machine,
    guard_available_transitions,
    guard_change_state,
    guard_reading_services,
    lifecycle_state,
    parameter_overrides,
    require_internals,
)
from . import parameters
from .bond import Bond
from .given_values import changes
from .rcl_gate import RclGate, callback
from .starting import Starter
from .topic_types import PUBLISHES, SUBSCRIBES, require_one_type
from .transition_guard import TransitionGuard, offer_shutdown


class ManagedNode(LifecycleNodeMixin, Node):
    """A lifecycle node that answers while it configures, runs one transition at a time, and can end in every state.

    A subclass has `_free`, on_configure, on_activate and on_deactivate; the last three with the decorator `callback`.
    """

    def __init__(self, name: str, on_fatal: Callable[[], None], table: Mapping[str, Row], **kwargs: Any) -> None:
        """Declare the parameters of the table.

        on_fatal: called if only a new process can continue

        Raises ParameterError for a given value of the wrong type or range, MissingDependencyError if this rclpy lacks
        a name that the node needs.
        """
        self._complete = False
        Node.__init__(self, name, **kwargs)
        self._complete = True
        # Reentrant: get_state must answer while configure runs.
        LifecycleNodeMixin.__init__(self, callback_group=ReentrantCallbackGroup())
        require_internals(self)
        # Any: its methods have no types before Kilted.
        self._log: Any = self.get_logger()
        self._on_fatal = on_fatal
        self._table = table
        # Each configure keeps its event: one that does not return must never go on after a later one was allowed.
        self._cancel = threading.Event()
        self._ending = False
        self._error = ''
        self._bond: Bond | None = None
        self.rcl_gate = RclGate()
        self._destroying = threading.Lock()
        self._destroyed = False
        self._transitions = guard_change_state(self, self._transition_guard)
        guard_reading_services(self)
        guard_available_transitions(self, lambda answer: offer_shutdown(answer, lifecycle_state(self)))
        parameters.declare(self, table)
        for warning in parameters.unknown_overrides(self, parameter_overrides(self), table):
            self._log.warning(warning)

    def set_parameters_atomically(self, parameter_list: Sequence[Parameter]) -> SetParametersResult:
        """Set parameters for a client of the parameter services. Setting one to the value it has always succeeds."""
        # rclpy's reason does not contain the name.
        undeclared = parameters.undeclared(self, [parameter.name for parameter in parameter_list], self._table)
        if undeclared:
            return SetParametersResult(successful=False, reason=undeclared)
        changed = changes(self, parameter_list)
        if not changed:
            return SetParametersResult(successful=True)
        # Nor does it say how the value is written.
        wrong = parameters.wrong_type(self, changed, self._table)
        if wrong:
            return SetParametersResult(successful=False, reason=wrong)
        return super().set_parameters_atomically(changed)

    def create_publisher(self, msg_type: Any, topic: str, *args: Any, **kwargs: Any) -> Any:
        """Raises ParameterError if the node uses the topic with another type."""
        self._require_one_type(PUBLISHES, msg_type, topic)
        return super().create_publisher(msg_type, topic, *args, **kwargs)

    def create_lifecycle_publisher(self, msg_type: Any, topic: str, *args: Any, **kwargs: Any) -> Any:
        """Raises ParameterError if the node uses the topic with another type."""
        self._require_one_type(PUBLISHES, msg_type, topic)
        return super().create_lifecycle_publisher(msg_type, topic, *args, **kwargs)

    def create_subscription(self, msg_type: Any, topic: str, *args: Any, **kwargs: Any) -> Any:
        """Raises ParameterError if the node uses the topic with another type."""
        self._require_one_type(SUBSCRIBES, msg_type, topic)
        return super().create_subscription(msg_type, topic, *args, **kwargs)

    def _require_one_type(self, does: str, msg_type: Any, topic: str) -> None:
        # rclpy's constructor creates its own first, when the node does not exist completely.
        if self._complete:
            require_one_type(self, does, msg_type, topic)

    def trigger(self, transition: str) -> None:
        """Run a transition: configure, activate, deactivate, cleanup or shutdown. Hold the lock of the transitions."""
        with self.rcl_gate.held():
            getattr(self, f'trigger_{transition}')()

    # The end of the process

    def cancel(self) -> None:
        """End what configure waits for: the process is about to end."""
        self._ending = True
        self._cancel.set()

    def end(self) -> None:
        """Go through the shutdown transition from any state. Call it when no executor spins."""
        with self._transitions.lock:
            if lifecycle_state(self) in ('unconfigured', 'inactive', 'active'):
                self.trigger('shutdown')

    def destroy_node(self) -> None:
        """Destroy the node with all its ROS entities. No transition can end after that: the process is about to end."""
        with self._destroying:
            if self._destroyed:
                return
            self.rcl_gate.keep()
            self._unsubscribe()
            super().destroy_node()
            destroy_state_machine(self)
            self._destroyed = True

    def _unsubscribe(self) -> None:
        """End subscriptions that another thread of the node holds; without a shutdown transition, they are active."""

    def _end_process(self, what: str, why: str) -> None:
        if self._ending:
            return
        self._log.fatal(f'{what}; start the node again (respawn:=true does): {why}')
        self._on_fatal()

    # Transitions

    @callback
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    @callback
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free everything, from any state."""
        self._free()
        return TransitionCallbackReturn.SUCCESS

    @callback
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free everything and go back to unconfigured."""
        self._free()
        self._log.error(
            f'back to unconfigured after an error: {self._error or "see above"}; the node can be configured again')
        return TransitionCallbackReturn.SUCCESS

    def _free(self) -> None:
        """Free all parts that exist. A subclass has it; it must be safe in every state."""
        raise NotImplementedError

    def _require_bond(self, wanted: bool) -> None:
        """Raise MissingDependencyError if a bond is wanted and its messages are not installed: on configure."""
        if wanted:
            require('bond.msg')

    def _form_bond(self, wanted: bool) -> None:
        """Begin to send heartbeats to the lifecycle manager: on activate."""
        if wanted:
            self._bond = Bond(self)

    def _break_bond(self) -> None:
        """Tell the lifecycle manager that the node leaves. Safe in every state."""
        bond, self._bond = self._bond, None
        if bond is not None:
            bond.close()

    def _new_starter(self) -> Starter:
        """Return what configures and activates the node at its start, if it should. Call it when all else is ready."""
        return Starter(
            self, self._transitions.lock, lambda: lifecycle_state(self), lambda: self._cancel.is_set())

    def _transition_failed(self, transition: str, error: Exception) -> TransitionCallbackReturn:
        # rclpy hides an exception of a transition; on_error runs next and logs this text.
        kind = '' if isinstance(error, PerceptionError) else f'{type(error).__name__}: '
        self._error = one_line(f'{transition} failed: {kind}{error}')
        return TransitionCallbackReturn.ERROR

    def _why_configure_failed(self, error: Exception) -> str:
        """Keep and log the reason. Returns it as one line."""
        if isinstance(error, PerceptionError):
            message = one_line(f'configure failed: {error}')
        else:
            message = one_line(f'configure failed unexpectedly: {type(error).__name__}: {error}')
        self._error = message
        self._log.error(message)
        return message

    def _transition_guard(self, change_state: Callable[[Any, Any], Any]) -> TransitionGuard:
        def change(request: Any, response: Any) -> Any:
            with self.rcl_gate.held():
                return change_state(request, response)

        return TransitionGuard(
            change, lambda: lifecycle_state(self),
            # A lambda, not the method itself: rclpy allows only one severity for each line that logs.
            lambda text: self._log.warning(text), self._cancel_configure, self._allow_configure)

    def _cancel_configure(self) -> None:
        self._log.info('shutdown requested: cancelling configure')
        self._cancel.set()

    def _allow_configure(self) -> None:
        if not self._ending:
            self._cancel = threading.Event()
