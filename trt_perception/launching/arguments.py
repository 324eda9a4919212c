# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch arguments of detect, classify and replay, and their conversion to parameters of the node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from launch.actions import DeclareLaunchArgument

from ..parameters.documents import CONFIG_FILES
from ..parameters.table import PARAMETERS, Kind
from .values import PARSERS, parse_bool

DETECTION = 'detection'
CLASSIFICATION = 'classification'
NODE_NAMES = {DETECTION: 'detector', CLASSIFICATION: 'classifier'}
# Values of the launch argument `task`.
TASKS = {'detect': DETECTION, 'classify': CLASSIFICATION}


@dataclass(frozen=True)
class ParameterArgument:
    """A launch argument that sets one parameter. An empty argument sets nothing."""

    name: str
    parameter: str
    description: str
    parse: Callable[[str, str], Any]


def _argument(name: str, parameter: str = '') -> ParameterArgument:
    """Return the launch argument for a parameter of the table. By default both have the same name."""
    row = PARAMETERS[parameter or name]
    constraint = 'Choices: true, false.' if row.kind is Kind.BOOL else row.constraint
    return ParameterArgument(name, row.name, f'{row.text}. {constraint}'.rstrip(), PARSERS[row.kind])


_COMMON = (
    _argument('model', 'model_file'),
    _argument('labels', 'labels_file'),
    _argument('backend'),
    _argument('precision'),
    _argument('image_transport'),
    _argument('image_encoding'),
    _argument('class_id_format'),
    _argument('publish_debug_image'),
    # A parameter of every ROS node.
    ParameterArgument('use_sim_time', 'use_sim_time', 'true: take the time from /clock.', parse_bool),
)
_OF_TASK = {DETECTION: (_argument('score_threshold'),), CLASSIFICATION: (_argument('top_k'),)}
_KEEPS = 'Empty: the value in params_file, or the default.'


def parameter_arguments(*tasks: str) -> tuple[ParameterArgument, ...]:
    """Return the launch arguments that set parameters, for all these tasks."""
    return (*_COMMON, *(argument for task in tasks for argument in _OF_TASK[task]))


def declare_parameters(*tasks: str, use_sim_time: str = '') -> list[Any]:
    """Return the declarations of parameter_arguments and of params_file.

    use_sim_time: default value of the argument use_sim_time
    """
    files = ' or '.join(f'config/{CONFIG_FILES[task]}' for task in tasks)
    return [
        *(DeclareLaunchArgument(
            argument.name, default_value=use_sim_time if argument.name == 'use_sim_time' else '',
            description=f'{argument.description} {_KEEPS}') for argument in parameter_arguments(*tasks)),
        DeclareLaunchArgument(
            'params_file', default_value='',
            description="YAML file with parameters of the node. Parameters that are not in it have the node's default. "
                        f'Launch arguments override it. A full file to copy from: {files} of trt_perception.'),
    ]


def declare_image_topics(task: str) -> list[Any]:
    """Return the declarations of the arguments about the image topics. The topic of the results is that of the task."""
    results = f'{task}s'
    return [
        DeclareLaunchArgument(
            'image_topic', default_value='image',
            description='Topic of the images. A name that ends with /compressed chooses image_transport:=compressed. '
                        f'The results are on the topic {results} in the namespace.'),
        DeclareLaunchArgument(
            'image_topics', default_value='',
            description='Image topics of several cameras, separated by commas, instead of image_topic: one node and '
                        f'one network for all. The results of /front/image_raw are on /front/{results}.'),
    ]


def declare_process(*names: str) -> list[Any]:
    """Return the declarations of the arguments about the node's process and name. names: its usual ones."""
    return [
        DeclareLaunchArgument(
            'namespace', default_value='',
            description='Namespace of the node and of its topics. Two nodes on one robot need different ones.'),
        DeclareLaunchArgument('name', default_value='', description=f'Name of the node. Empty: {" or ".join(names)}.'),
        DeclareLaunchArgument(
            'large_images', default_value='true',
            description='true: use the Fast DDS profile config/fastdds_large_images.xml, unless another one is already '
                        "set. The camera's process needs it too: the shared memory belongs to the sender."),
        DeclareLaunchArgument(
            'log_level', default_value='info',
            description='debug, info, warn, error or fatal; or LOGGER:=LEVEL for one logger.'),
    ]


def declare_lifecycle(what: str = 'the node') -> list[Any]:
    """Return the declarations of the arguments about the start of the node. what: is started again by respawn."""
    return [
        DeclareLaunchArgument(
            'autostart', default_value='true',
            description='true: configure and activate the node. false: leave this to a lifecycle manager.'),
        DeclareLaunchArgument(
            'respawn', default_value='false', description=f'true: start {what} again when it ends.'),
    ]


def given_parameters(values: Mapping[str, str], *tasks: str) -> dict[str, Any]:
    """Return parameter -> value for the arguments that are not empty.

    values: launch configurations

    Raises LaunchArgumentError for a value of the wrong type.
    """
    return {
        argument.parameter: argument.parse(argument.name, values[argument.name])
        for argument in parameter_arguments(*tasks) if values.get(argument.name, '') != ''}
