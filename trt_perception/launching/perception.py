# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The perception node as launch actions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import launch.logging
from ament_index_python.packages import get_package_share_directory
from launch.actions import LogInfo, OpaqueFunction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch_ros.actions import LifecycleNode

from ..user_files import why_no_file
from .arguments import NODE_NAMES, given_parameters
from .autostart import Autostart
from .executor_end import end_executor_at_exit
from .image_topics import chosen_transport, image_remappings, several_topics
from .large_images import profile_environment
from .values import LaunchArgumentError, parse_bool, parse_log_level, parse_path

PACKAGE = 'trt_perception'
RESPAWN_DELAY_S = 2.0


@dataclass(frozen=True)
class Hooks:
    """Launch actions for the outcomes of the node. Failures are always logged, also without actions."""

    active: list[Any] = field(default_factory=list)
    start_failed: list[Any] = field(default_factory=list)
    died: list[Any] = field(default_factory=list)


def perception_actions(
    values: Mapping[str, str], task: str, hooks: Hooks | None = None,
) -> list[Any]:
    """Return the actions that start the node.

    values: launch configurations: those of arguments.py, image_topic, image_topics, autostart, respawn
    task: DETECTION or CLASSIFICATION

    Raises LaunchArgumentError for an invalid value.
    """
    own = parameter_file(values)
    transport, transport_note = chosen_transport(values['image_topic'], values.get('image_transport', ''))
    # The launch file starts the node, or a lifecycle manager does: not the node itself, whatever its file says.
    given = {**given_parameters({**values, 'image_transport': transport}, task), 'autostart': False}
    several = several_topics(values.get('image_topics', ''), values['image_topic'])
    if several:
        given['image_topics'] = several
    return [
        *([LogInfo(msg=transport_note)] if transport_note else []),
        *node_actions(
            values, 'perception_node', values['name'] or NODE_NAMES[task], own, given,
            [] if several else image_remappings(values['image_topic']), [] if own else ['-p', f'task:={task}'], hooks)]


def node_actions(
    values: Mapping[str, str], executable: str, name: str, own: str, given: Mapping[str, Any],
    remappings: list[tuple[str, str]], ros_arguments: list[str], hooks: Hooks | None = None,
) -> list[Any]:
    """Return the actions that start a node of this package.

    values: launch configurations: namespace, log_level, large_images, autostart, respawn
    own: the user's parameter file, '' for none; given: parameters that win over it; ros_arguments: more of them

    Raises LaunchArgumentError for an invalid value.
    """
    hooks = hooks or Hooks()
    respawn = parse_bool('respawn', values.get('respawn', 'false'))
    environment, note = process_environment(values)
    node = LifecycleNode(
        package=PACKAGE, executable=executable, namespace=values['namespace'], name=name,
        parameters=[*([own] if own else []), given], remappings=remappings,
        ros_arguments=['--log-level', parse_log_level('log_level', values['log_level']), *ros_arguments],
        additional_env=environment, output='screen', emulate_tty=True,
        respawn=respawn, respawn_delay=RESPAWN_DELAY_S)
    handlers = [RegisterEventHandler(OnProcessExit(
        target_action=node, on_exit=lambda event, context: _on_exit(event, context, node, respawn, hooks.died)))]
    if parse_bool('autostart', values.get('autostart', 'true')):
        handlers += Autostart(node, respawn, hooks.active, hooks.start_failed).handlers()
    notes = [LogInfo(msg=note)] if note else []
    return [*notes, OpaqueFunction(function=end_executor_at_exit), *handlers, node]


def process_environment(values: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return the variables that large_images adds for a process, and the text to log."""
    if not parse_bool('large_images', values['large_images']):
        return {}, ''
    return profile_environment(share_file('config', 'fastdds_large_images.xml'), os.environ)


def share_file(*parts: str) -> str:
    """Return the absolute path of a file that this package installs."""
    return str(Path(get_package_share_directory(PACKAGE), *parts))


def parameter_file(values: Mapping[str, str]) -> str:
    """Return the user's parameter file, '' if there is none.

    The package's own files are not loaded: they would win over SetParameter in a launch file that includes ours. Two
    files are never loaded: if a parameter has values of different types in them, rcl uses one without a warning.
    """
    if not values['params_file']:
        return ''
    own = parse_path('params_file', values['params_file'])
    # Path.is_file raises an error for a name that is too long, or in a folder that cannot be searched.
    if not os.path.isfile(own):  # noqa: PTH113
        # launch_ros would warn and start the node without it.
        raise LaunchArgumentError(f'params_file:={own}: {why_no_file(Path(own))}')
    return own


def _on_exit(event: Any, context: Any, node: Any, respawn: bool, actions: list[Any]) -> list[Any]:
    if context.is_shutdown:
        return []
    consequence = (
        f'it restarts in {RESPAWN_DELAY_S:.0f} s' if respawn
        else 'it does not restart (set respawn:=true for that)')
    launch.logging.get_logger('launch.user').error(
        f'{node.node_name} died (exit code {event.returncode}) and publishes no more results; {consequence}')
    return actions
