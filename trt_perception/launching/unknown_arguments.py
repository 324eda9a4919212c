# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Refuses a mistyped launch argument: launch itself ignores an argument that no launch file declares."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import launch.logging
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from .values import LaunchArgumentError

_PACKAGE = 'trt_perception'
# launch and launch_ros read these without a declaration.
_OF_LAUNCH = frozenset({
    'emulate_tty', 'global_params', 'launch-prefix', 'launch-prefix-filter', 'ros_namespace', 'ros_params',
    'ros_remaps', 'sigkill_timeout', 'sigterm_timeout'})
# Words of other packages, and names of our parameters that are not similar to the argument.
_MEANT: Mapping[str, str] = {
    'bag_file': 'bag', 'bag_path': 'bag', 'camera': 'image_topic', 'camera_topic': 'image_topic',
    'config': 'params_file',
    'conf': 'score_threshold', 'confidence': 'score_threshold', 'image': 'image_topic', 'input_topic': 'image_topic',
    'labels_file': 'labels', 'log': 'log_level', 'model_file': 'model', 'model_path': 'model', 'names': 'labels',
    'node_name': 'name', 'ns': 'namespace', 'params': 'params_file', 'score': 'score_threshold',
    'threshold': 'score_threshold', 'topic': 'image_topic', 'transport': 'image_transport', 'weights': 'model'}


def with_known_arguments(launch_file: str, entities: list[Any]) -> list[Any]:
    """Return the entities of a launch description, with a check of the command line before them.

    launch_file: __file__ of the launch file. Only if `ros2 launch` was called with this file, all arguments on the
    command line belong to it. A launch file that includes it has arguments of its own.
    """
    names = [entity.name for entity in entities if isinstance(entity, DeclareLaunchArgument)]

    def check(context: Any) -> None:
        if is_launched(launch_file, sys.argv):
            for warning in unknown_arguments(context.argv, names):
                launch.logging.get_logger('launch.user').warning(warning)

    return [OpaqueFunction(function=check), *entities]


def is_launched(launch_file: str, command: Sequence[str]) -> bool:
    """Return whether `command` (sys.argv) is `ros2 launch` with this launch file, by path or by name."""
    if 'launch' not in command[1:]:
        return False
    words = [word for word in command[command.index('launch', 1) + 1:] if ':=' not in word]
    name = Path(launch_file).name
    for before, word in zip(('', *words), words):
        if before == _PACKAGE and word == name:
            return True
        try:
            if Path(word).name == name and Path(word).samefile(launch_file):
                return True
        except OSError:
            # A name, not a path.
            continue
    return False


def unknown_arguments(arguments: Sequence[str], declared: Collection[str]) -> list[str]:
    """Return a warning for each argument that is not declared.

    arguments: NAME:=VALUE. Raises LaunchArgumentError for one that is probably a mistyped name.
    """
    warnings = []
    for argument in arguments:
        name, assigned, value = argument.partition(':=')
        if not assigned or name in declared or name in _OF_LAUNCH:
            continue
        close = _MEANT.get(name, '')
        if close not in declared:
            close = next(iter(difflib.get_close_matches(name.lower(), list(declared), 1, 0.7)), '')
        if close:
            raise LaunchArgumentError(
                f'{argument}: there is no argument {name}; did you mean {close}:={value}? (--show-args lists all)')
        warnings.append(f'{argument} is ignored: there is no argument {name} (--show-args lists all)')
    return warnings
