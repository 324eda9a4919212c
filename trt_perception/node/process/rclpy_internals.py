# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Uses the private names of rclpy that the node needs, one function for each purpose. No other file uses them.

The names were checked in the sources of Humble (3.3.15), Jazzy (7.1.5) and Kilted (9.1.2), and in executors.py and
_rclpy_nanobind.pyi of the development branch of 2026. Lyrical's own sources were not checked.

Without those of SubscriptionWait the node still runs: image_taker.py then takes images with public names alone.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from ...errors import MissingDependencyError

_FOR_EVER = -1
# module -> names in it. Other names exist only in objects, see _OF_A_NODE and _OF_AN_EXECUTOR.
_SINGLETON = 'rclpy.impl.implementation_singleton'
_IN_MODULES = {
    _SINGLETON: (
        'rclpy_implementation.LifecycleStateMachine.current_state',
        'rclpy_implementation.LifecycleStateMachine.destroy_when_not_in_use')}
# Those of SubscriptionWait.
_TO_WAIT = {
    _SINGLETON: (
        'rclpy_implementation.WaitSet.clear_entities', 'rclpy_implementation.WaitSet.add_subscription',
        'rclpy_implementation.WaitSet.add_guard_condition', 'rclpy_implementation.WaitSet.wait',
        'rclpy_implementation.WaitSet.get_ready_entities', 'rclpy_implementation.Subscription.take_message')}
# The services of a lifecycle node that read its state machine.
_READING_SERVICES = (
    '_service_get_state', '_service_get_available_states', '_service_get_available_transitions',
    '_service_get_transition_graph')
_OF_A_NODE = (
    '_parameter_overrides', '_state_machine', '_service_change_state.callback',
    *(f'{name}.callback' for name in _READING_SERVICES))
_OF_AN_EXECUTOR = ('_executor.shutdown',)
_WAIT_SET = 'rclpy.impl.implementation_singleton.rclpy_implementation.WaitSet'

Guard = TypeVar('Guard', bound=Callable[..., Any])


def require_internals(node: Any = None, executor: Any = None) -> None:
    """Raise MissingDependencyError if this rclpy lacks a private name that is used here.

    Without arguments only rclpy's modules are checked. The names of a lifecycle node and of a MultiThreadedExecutor
    exist only after the object is created, so give the object.
    """
    missing = _missing_in(_IN_MODULES)
    if node is not None:
        missing += [name for path in _OF_A_NODE for name in _missing_of(node, 'LifecycleNode', path)]
    if executor is not None:
        missing += [
            name for path in _OF_AN_EXECUTOR for name in _missing_of(executor, 'MultiThreadedExecutor', path)]
    if missing:
        raise MissingDependencyError(
            f'rclpy {_version()} lacks {", ".join(dict.fromkeys(missing))}, which perception_node needs: use the rclpy '
            'of a ROS 2 distribution from Humble to Lyrical, or a newer trt_perception')


def missing_to_wait(context: Any) -> str:
    """Return why SubscriptionWait cannot be used with this rclpy, '' if it can. context: rclpy's Context."""
    missing = _missing_in(_TO_WAIT)
    if not missing and not _makes_wait_sets(context):
        missing.append(f'{_WAIT_SET} with 7 arguments')
    return f'rclpy {_version()} lacks {", ".join(dict.fromkeys(missing))}' if missing else ''


def parameter_overrides(node: Any) -> Mapping[str, Any]:
    """Return the parameters given at the start, including those that the node does not declare."""
    overrides: Mapping[str, Any] = node._parameter_overrides
    return overrides


def lifecycle_state(node: Any) -> str:
    """Return the label of a lifecycle node's state; 'finalized' after destroy_state_machine."""
    with contextlib.suppress(_invalid_handle()), node._state_machine:
        return str(node._state_machine.current_state[1])
    return 'finalized'


def guard_reading_services(node: Any) -> None:
    """Keep the services of a lifecycle node from its state machine when it is destroyed. Then the answers are empty.

    rclpy reads it without looking whether it is there, which ends in a segmentation fault.
    """
    for name in _READING_SERVICES:
        service = getattr(node, name)
        service.callback = _while_there(node, service.callback)


def _while_there(node: Any, read: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def answer(request: Any, response: Any) -> Any:
        with contextlib.suppress(_invalid_handle()), node._state_machine:
            return read(request, response)
        return response

    return answer


def _invalid_handle() -> type[Exception]:
    """The error of an object of rclpy that is used after it was destroyed."""
    from rclpy.exceptions import InvalidHandle

    error: type[Exception] = InvalidHandle
    return error


def guard_change_state(node: Any, make_guard: Callable[[Callable[[Any, Any], Any]], Guard]) -> Guard:
    """Wrap the callback of a lifecycle node's change_state service, and return the wrapper.

    make_guard: called with rclpy's callback, which takes a request and a response; returns the wrapper
    """
    service = node._service_change_state
    guard = make_guard(service.callback)
    service.callback = guard
    return guard


def guard_available_transitions(node: Any, change: Callable[[Any], Any]) -> None:
    """Let `change` change each answer of a lifecycle node's service get_available_transitions.

    change: gets and returns a response of lifecycle_msgs/GetAvailableTransitions
    """
    service = node._service_get_available_transitions
    answer = service.callback
    service.callback = lambda request, response: change(answer(request, response))


def destroy_state_machine(node: Any) -> None:
    """Destroy the state machine of a lifecycle node, which destroy_node does not destroy.

    The state machine holds the node too, and rclpy leaves it to the garbage collector. A process that ends does not
    wait for the collector: the DDS participant would not be destroyed, and its shared memory would never be freed.
    """
    node._state_machine.destroy_when_not_in_use()


def wait_for_callbacks(executor: Any) -> None:
    """Wait until the running callbacks of a MultiThreadedExecutor are done. It cannot run callbacks after that."""
    executor._executor.shutdown(wait=True)


class SubscriptionWait:
    """Waits for the messages of one subscription, in the thread that enters it as a context manager.

    rclpy.wait_for_message does the same for a single message; rclpy has no public class for it.
    """

    def __init__(self, subscription: Any, end: Any, context: Any) -> None:
        """Prepare to wait.

        subscription: rclpy's Subscription; end: a GuardCondition that ends a wait when it is triggered
        context: rclpy's Context of both
        """
        self._subscription = subscription
        self._end = end
        self._context = context
        self._held = contextlib.ExitStack()
        self._wait_set: Any = None

    def __enter__(self) -> SubscriptionWait:
        # rclpy does not destroy these while they are held.
        self._held.enter_context(self._subscription.handle)
        self._held.enter_context(self._end.handle)
        self._wait_set = _wait_set(self._context)
        self._held.enter_context(self._wait_set)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        self._wait_set = None
        self._held.close()

    def wait(self) -> bool:
        """Wait for a message or for `end`. Returns whether there is a message to take."""
        self._wait_set.clear_entities()
        self._wait_set.add_subscription(self._subscription.handle)
        self._wait_set.add_guard_condition(self._end.handle)
        self._wait_set.wait(_FOR_EVER)
        return bool(self._wait_set.get_ready_entities('subscription'))

    def take(self) -> Any:
        """Return the message, or None if a newer message that is still incomplete has replaced it."""
        taken = self._subscription.handle.take_message(self._subscription.msg_type, self._subscription.raw)
        return None if taken is None else taken[0]


def waiting_messages(subscription: Any, most: int) -> list[Any]:
    """Take the messages of a subscription that the executor has not taken yet, at most so many.

    Call it in the subscription's own exclusive callback group: the executor does not take there meanwhile. Returns
    those so far if the subscription was destroyed, and none if this rclpy lacks a name: the executor takes them then.
    """
    messages: list[Any] = []
    with contextlib.suppress(Exception), subscription.handle:
        while len(messages) < most:
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
            if taken is None:
                break
            messages.append(taken[0])
    return messages


def _wait_set(context: Any) -> Any:
    from rclpy.impl.implementation_singleton import rclpy_implementation

    # One subscription and one guard condition; no timer, client, service or event.
    return rclpy_implementation.WaitSet(1, 1, 0, 0, 0, 0, context.handle)


def _makes_wait_sets(context: Any) -> bool:
    try:
        with context.handle, _wait_set(context):
            return True
    except TypeError:
        return False


def _missing_in(modules: Mapping[str, Sequence[str]]) -> list[str]:
    return [name for module, paths in modules.items() for path in paths for name in _missing(module, path)]


def _missing(module: str, path: str) -> list[str]:
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return [module]
    return _missing_of(found, module, path)


def _missing_of(found: Any, name: str, path: str) -> list[str]:
    """Return a list with the first missing name of `path`, or an empty list."""
    for part in path.split('.'):
        name = f'{name}.{part}'
        if not hasattr(found, part):
            return [name]
        found = getattr(found, part)
    return []


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version('rclpy')
    except PackageNotFoundError:
        return 'of unknown version'
