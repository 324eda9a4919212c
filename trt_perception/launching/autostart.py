# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Configures and activates a lifecycle node on every start of its process, and says when that fails.

Not by launch_ros's ChangeState event, though the node answers those too: sent to a node that was killed and started
again it goes to the dead process, which DDS still announces for 20 s, and waits for an answer for ever; so does the
launch if the process dies in between. launch_ros's own autostart is newer than Humble.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

import launch.logging
from launch import LaunchDescription
from launch.actions import OpaqueCoroutine, RegisterEventHandler
from launch.event_handlers import OnProcessExit, OnProcessStart
from launch.events import IncludeLaunchDescription, matches_action
from launch.events.process import SignalProcess
from launch_ros.ros_adapters import get_ros_node
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState

_STEPS = (
    ('configure', Transition.TRANSITION_CONFIGURE),
    ('activate', Transition.TRANSITION_ACTIVATE),
)
_POLL_S = 0.05
_ANSWER_S = 1.0
# A process that does not answer is said to be silent again and again; one that is respawned is ended after a while,
# first as one asks for it, then for sure.
SILENT_S = 15.0
GIVE_UP_S = 60.0
KILL_S = 70.0


class Autostart:
    """Brings a launch_ros LifecycleNode to active whenever its process starts."""

    def __init__(self, node: Any, respawn: bool, on_active: list[Any], on_failure: list[Any]) -> None:
        """Prepare; on_active and on_failure are actions for when it is active and when it cannot become so.

        respawn: the process is started again when it ends; so one that DDS does not reach is ended. Of 65 nodes that
        were killed and started again Fast DDS 2.14 left one listening in shared memory that nobody else wrote to.
        """
        self._node = node
        self._respawn = respawn
        self._on_active = on_active
        self._on_failure = on_failure
        self._logger = launch.logging.get_logger('launch.user')
        self._task: asyncio.Task[None] | None = None

    def handlers(self) -> list[Any]:
        """Return the event handlers; launch them before the node."""
        return [
            RegisterEventHandler(OnProcessStart(
                target_action=self._node, on_start=lambda event, context: OpaqueCoroutine(coroutine=self._bring_up))),
            RegisterEventHandler(OnProcessExit(target_action=self._node, on_exit=self._process_exited)),
        ]

    def _process_exited(self, event: Any, context: Any) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _bring_up(self, context: Any) -> None:
        self._task = asyncio.current_task()
        name = self._node.node_name
        ros_node = get_ros_node(context)
        change_state = ros_node.create_client(ChangeState, f'{name}/change_state')
        get_state = ros_node.create_client(GetState, f'{name}/get_state')
        try:
            # Only a process that lives answers this; the other service exists then, having been announced before.
            if await self._state(get_state, context) != State.PRIMARY_STATE_UNCONFIGURED:
                self._logger.info(f'{name} is no longer unconfigured: autostart leaves it alone')
                return
            for verb, transition in _STEPS:
                request = ChangeState.Request(transition=Transition(id=transition))
                answer = await _answer(change_state.call_async(request))
                if not answer.success:
                    self._logger.error(f'{name} could not {verb}: its log says why')
                    if not self._on_failure:
                        self._logger.error(
                            f'{name} is still running; when the cause is mended: ros2 lifecycle set {name} {verb}'
                            f'{", then activate" if verb == "configure" else ""}')
                    await self._launch(context, self._on_failure)
                    return
            await self._launch(context, self._on_active)
        except asyncio.CancelledError:
            # The process or the launch ends. A cancelled task would end launch's main loop: this one just returns.
            pass
        finally:
            ros_node.destroy_client(get_state)
            ros_node.destroy_client(change_state)

    @staticmethod
    async def _launch(context: Any, actions: list[Any]) -> None:
        await context.emit_event(IncludeLaunchDescription(LaunchDescription(actions)))

    async def _state(self, client: Any, context: Any) -> int:
        """Return the node's state; asks again until there is an answer, as requests to a dead process get none."""
        started = time.monotonic()
        next_word = SILENT_S
        signals = [(GIVE_UP_S, signal.SIGTERM), (KILL_S, signal.SIGKILL)] if self._respawn else []
        while True:
            silent = time.monotonic() - started
            if silent > next_word:
                next_word += SILENT_S
                self._logger.warning(self._silence(silent))
            if signals and silent > signals[0][0]:
                await context.emit_event(SignalProcess(
                    signal_number=signals.pop(0)[1], process_matcher=matches_action(self._node)))
            if client.service_is_ready():
                future = client.call_async(GetState.Request())
                try:
                    return int((await asyncio.wait_for(_answer(future), _ANSWER_S)).current_state.id)
                except asyncio.TimeoutError:
                    client.remove_pending_request(future)
            await asyncio.sleep(_POLL_S)

    def _silence(self, seconds: float) -> str:
        remedy = (
            f'after {GIVE_UP_S:.0f} s it is ended and started again' if self._respawn
            else 'if it goes on, end the launch and start it again (respawn:=true does so by itself)')
        return (
            f'{self._node.node_name} has not answered since its process started {seconds:.0f} s ago: '
            f'it is still starting, or DDS does not reach it; {remedy}')


async def _answer(future: Any) -> Any:
    """Await an rclpy future, which the thread of launch_ros's executor completes."""
    while not future.done():
        await asyncio.sleep(_POLL_S)
    return future.result()
