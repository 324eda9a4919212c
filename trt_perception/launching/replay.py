# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Plays a bag to the perception node: the player starts when the node is active, and the launch ends with it."""

from __future__ import annotations

import importlib.util
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import launch.logging
from launch.actions import EmitEvent, ExecuteProcess, LogInfo, OpaqueFunction, RegisterEventHandler, TimerAction
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch_ros.substitutions import ExecutableInPackage

from ..sources.bag_metadata import BagTopic
from ..sources.bag_reader import BagReader
from .arguments import TASKS
from .image_topics import image_transport, open_bag_argument, played_as
from .perception import PACKAGE, Hooks, perception_actions, process_environment
from .values import LaunchArgumentError, parse_bool, parse_number, parse_path

# When the player ends, the last image may still be on its way or being processed.
_LAST_FRAME_S = 2.0
# Our own player waits until the node has found its topic; ros2 bag play does not. Fast DDS repeats a missed
# announcement after 3 s, and discovery was seen to take up to 3.6 s after the player's start. Ctrl-C does not end this
# pause, so it is not longer than needed.
_BAG_PLAY_PAUSE_S = 5.0


class ReplayError(Exception):
    """The replay failed. This error ends the launch with exit code 1."""


def replay_actions(values: Mapping[str, str]) -> list[Any]:
    """Return the actions of replay.launch.py.

    values: launch configurations: those of arguments.py, bag, task, rate, delay, image_topic

    Raises LaunchArgumentError for a value that cannot be used.
    """
    wanted = values.get('image_transport', '')
    bag, topic = open_bag_argument(Path(parse_path('bag', values['bag'])), values['image_topic'], wanted)
    rate, delay = (parse_number(name, values[name]) for name in ('rate', 'delay'))
    if not 0 < rate < math.inf:
        raise LaunchArgumentError(f'rate:={values["rate"]}: expected a number above 0')
    if not 0 <= delay < math.inf:
        raise LaunchArgumentError(f'delay:={values["delay"]}: expected 0 or more seconds')
    clock = bool(values['use_sim_time']) and parse_bool('use_sim_time', values['use_sim_time'])
    transport = image_transport(topic)
    note = f'image_transport:={wanted} has no effect: {topic.name} of the bag is a {topic.type}'
    environment, _ = process_environment(values)
    command, pause = player_command(bag, topic, rate, clock)
    player = ExecuteProcess(cmd=command, name='player', output='screen', additional_env=environment)
    return [
        *([LogInfo(msg=note)] if wanted not in ('', transport) else []),
        RegisterEventHandler(OnProcessExit(target_action=player, on_exit=_player_ended)),
        *perception_actions(
            {**values, 'image_transport': transport, 'image_topic': played_as(topic)},
            TASKS[values['task']],
            Hooks(active=[TimerAction(period=max(delay - pause, 0.0), actions=[player])],
                  start_failed=[_fail('the node did not become active: nothing was played')],
                  died=[_fail('the node died during the replay')])),
    ]


def player_command(bag: BagReader, topic: BagTopic, rate: float, clock: bool) -> tuple[list[Any], float]:
    """Return the command that plays the bag's image topic, and its pause before the first image in seconds.

    ros2 bag play plays bags with a metadata.yaml. Our own player plays a file without one: its library has already read
    the topics, and ros2 bag play depends on the installed storage plugins.

    rate: speed, 1.0 as recorded; clock: also publish /clock
    """
    name = played_as(topic)
    if bag.folder is not None and rosbag2_installed():
        return [
            'ros2', 'bag', 'play', str(bag.folder), '--rate', str(rate), '--delay', str(_BAG_PLAY_PAUSE_S),
            *(['--clock'] if clock else []), *(['--remap', f'{topic.name}:={name}'] if name != topic.name else []),
            '--topics', topic.name], _BAG_PLAY_PAUSE_S
    return [
        ExecutableInPackage(executable='trt_perception', package=PACKAGE), 'play', str(bag.path), '--topic', topic.name,
        '--to', name, '--rate', str(rate), *(['--clock'] if clock else [])], 0.0


def rosbag2_installed() -> bool:
    """Return whether ros2 bag play is installed."""
    return shutil.which('ros2') is not None and all(
        importlib.util.find_spec(module) is not None for module in ('ros2bag', 'rosbag2_py'))


def _player_ended(event: Any, context: Any) -> list[Any]:
    if context.is_shutdown:
        return []
    if event.returncode != 0:
        return [_fail(f'the player failed (exit code {event.returncode})')]
    launch.logging.get_logger('launch.user').info('the bag is finished')
    return [TimerAction(period=_LAST_FRAME_S, actions=[EmitEvent(event=Shutdown(reason='the bag is finished'))])]


def _fail(reason: str) -> Any:
    """Return an action that ends the launch. It raises, because only an exception gives an exit code other than 0."""
    def fail(context: Any) -> None:
        raise ReplayError(reason)

    return OpaqueFunction(function=fail)
