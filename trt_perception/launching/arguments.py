# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch arguments of detect, classify and replay, and how they become parameters of the node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from launch.actions import DeclareLaunchArgument

from .values import parse_bool, parse_integer, parse_number, parse_path, parse_text

DETECTION = 'detection'
CLASSIFICATION = 'classification'
NODE_NAMES = {DETECTION: 'detector', CLASSIFICATION: 'classifier'}
CONFIG_FILES = {DETECTION: 'detect.yaml', CLASSIFICATION: 'classify.yaml'}


@dataclass(frozen=True)
class ParameterArgument:
    """A launch argument that sets one parameter; left empty it sets nothing."""

    name: str
    parameter: str
    description: str
    parse: Callable[[str, str], Any] = parse_text


_KEEPS = 'Empty: as in params_file.'

_COMMON = (
    ParameterArgument(
        'model', 'model_file',
        'ONNX file, or name of a catalogue model that was fetched before (trt_perception fetch NAME).', parse_path),
    ParameterArgument(
        'labels', 'labels_file',
        'Class names: a txt, json or yaml file, or coco or imagenet for the shipped lists. Not needed where the '
        'model has them.', parse_path),
    ParameterArgument('backend', 'backend', 'What runs the network: auto, onnxruntime or tensorrt.'),
    ParameterArgument('precision', 'precision', 'Arithmetic of the network: fp32, fp16 or int8.'),
    ParameterArgument(
        'image_transport', 'image_transport',
        'raw subscribes image_topic (sensor_msgs/Image), compressed image_topic/compressed '
        '(sensor_msgs/CompressedImage).'),
    ParameterArgument(
        'publish_debug_image', 'publish_debug_image',
        'true: draw the results on the image and publish it on debug_image.', parse_bool),
    ParameterArgument('use_sim_time', 'use_sim_time', 'true: take the time from /clock.', parse_bool),
)
_OF_TASK = {
    DETECTION: (ParameterArgument(
        'score_threshold', 'score_threshold', 'Detections below this score (0.0 to 1.0) are left out.',
        parse_number),),
    CLASSIFICATION: (ParameterArgument(
        'top_k', 'top_k', 'How many classes to report, the best ones.', parse_integer),),
}


def parameter_arguments(*tasks: str) -> tuple[ParameterArgument, ...]:
    """Return the launch arguments that set parameters, those of several tasks together."""
    return (*_COMMON, *(argument for task in tasks for argument in _OF_TASK[task]))


def declare_parameters(*tasks: str, use_sim_time: str = '') -> list[Any]:
    """Return the declarations of parameter_arguments and of params_file; use_sim_time: the default of that one."""
    files = ' or '.join(CONFIG_FILES[task] for task in tasks)
    return [
        *(DeclareLaunchArgument(
            argument.name, default_value=use_sim_time if argument.name == 'use_sim_time' else '',
            description=f'{argument.description} {_KEEPS}') for argument in parameter_arguments(*tasks)),
        DeclareLaunchArgument(
            'params_file', default_value='',
            description="YAML file with the node's parameters; what it leaves out has the node's default. Arguments "
                        f'that are given win over it. Empty: config/{files} of trt_perception.'),
    ]


def declare_process(*tasks: str) -> list[Any]:
    """Return the declarations of the arguments about the node's process and name."""
    names = ' or '.join(NODE_NAMES[task] for task in tasks)
    return [
        DeclareLaunchArgument(
            'namespace', default_value='',
            description='Namespace of the node and of its topics. Two nodes on one robot need different ones.'),
        DeclareLaunchArgument('name', default_value='', description=f'Name of the node. Empty: {names}.'),
        DeclareLaunchArgument(
            'large_images', default_value='true',
            description='true: give the process the Fast DDS profile config/fastdds_large_images.xml, unless one is '
                        "set already. The camera's process needs it too: the shared memory belongs to the sender."),
        DeclareLaunchArgument(
            'log_level', default_value='info',
            description='debug, info, warn, error or fatal; or LOGGER:=LEVEL for one logger.'),
    ]


def given_parameters(values: Mapping[str, str], *tasks: str) -> dict[str, Any]:
    """Return parameter -> value for the arguments that were given.

    values: launch configurations

    Raises LaunchArgumentError for a value of the wrong kind.
    """
    return {
        argument.parameter: argument.parse(argument.name, values[argument.name])
        for argument in parameter_arguments(*tasks) if values.get(argument.name, '') != ''}
