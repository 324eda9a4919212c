# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Configures and activates a lifecycle node at every start of its process, and reports a failure.

This does not use launch_ros's ChangeState event. DDS announces a killed process for another 20 s, so the event can go
to the dead process after a respawn and wait forever. The launch waits forever too if it dies before it answers.
launch_ros's own autostart does not exist on Humble.
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
# A process that does not answer is reported repeatedly. With respawn it is ended: first by SIGTERM, then by SIGKILL.
SILENT_S = 15.0
GIVE_UP_S = 60.0
KILL_S = 70.0


class Autostart:
    """Brings a launch_ros LifecycleNode to active whenever its process starts."""

    def __init__(self, node: Any, respawn: bool, on_active: list[Any], on_failure: list[Any]) -> None:
        """Store the arguments; on_active and on_failure are launch actions for the two outcomes.

        respawn: the process starts again when it ends, so a process that DDS does not reach is ended. With Fast DDS
        2.14, 1 of 65 respawned nodes listened on a shared-memory segment that no other process wrote to.
        """
        self._node = node
        self._respawn = respawn
        self._on_active = on_active
        self._on_failure = on_failure
        self._logger = launch.logging.get_logger('launch.user')
        self._task: asyncio.Task[None] | None = None

    def handlers(self) -> list[Any]:
        """Return the event handlers; add them to the launch before the node."""
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
            # Only a living process answers. Its change_state service was announced earlier, so it exists too.
            if await self._state(get_state, context) != State.PRIMARY_STATE_UNCONFIGURED:
                self._logger.info(f'{name} is not unconfigured: autostart does nothing')
                return
            for verb, transition in _STEPS:
                request = ChangeState.Request(transition=Transition(id=transition))
                answer = await _answer(change_state.call_async(request))
                if not answer.success:
                    self._logger.error(f'{name} could not {verb}: see its log for the reason')
                    if not self._on_failure:
                        # Also after an error in activate, which leads to unconfigured.
                        self._logger.error(
                            f'{name} is still running; after you fix the cause: ros2 lifecycle set {name} configure, '
                            'then activate')
                    await self._launch(context, self._on_failure)
                    return
            await self._launch(context, self._on_active)
        except asyncio.CancelledError:
            # The process or the launch ends. A cancelled task would end launch's main loop, so this task returns.
            pass
        finally:
            ros_node.destroy_client(get_state)
            ros_node.destroy_client(change_state)

    @staticmethod
    async def _launch(context: Any, actions: list[Any]) -> None:
        await context.emit_event(IncludeLaunchDescription(LaunchDescription(actions)))

    async def _state(self, client: Any, context: Any) -> int:
        """Return the node's state. The request is repeated, because a dead process never answers."""
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
            f'after {GIVE_UP_S:.0f} s it is restarted' if self._respawn
            else 'if this continues, restart the launch (respawn:=true does so automatically)')
        return (
            f'{self._node.node_name} has not answered since its process started {seconds:.0f} s ago: '
            f'it is still starting, or DDS cannot reach it; {remedy}')


async def _answer(future: Any) -> Any:
    """Await an rclpy future that the thread of launch_ros's executor completes."""
    while not future.done():
        await asyncio.sleep(_POLL_S)
    return future.result()
