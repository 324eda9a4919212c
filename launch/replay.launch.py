# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Play a bag through the node; the launch ends when the bag ends.

  ros2 launch trt_perception replay.launch.py bag:=BAG model:=FILE.onnx
"""

from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from trt_perception.launching.arguments import (
    CLASSIFICATION,
    DETECTION,
    NODE_NAMES,
    TASKS,
    declare_parameters,
    declare_process,
)
from trt_perception.launching.replay import replay_actions
from trt_perception.launching.unknown_arguments import with_known_arguments


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; see its arguments with --show-args."""
    return LaunchDescription(with_known_arguments(__file__, [
        DeclareLaunchArgument('bag', description='The rosbag2: its folder, or an .mcap or .db3 file.'),
        DeclareLaunchArgument(
            'task', default_value='detect', choices=list(TASKS), description='What the model does.'),
        DeclareLaunchArgument(
            'image_topic', default_value='',
            description='Image topic of the bag, raw or compressed. Empty: the only one. It is played with this name.'),
        DeclareLaunchArgument('rate', default_value='1.0', description='Speed; 2.0 is twice as fast as recorded.'),
        DeclareLaunchArgument(
            'delay', default_value='5.0',
            description='Seconds from the activation of the node to the first image. In this time other nodes find the '
                        'topics of the results. At least 5 with ros2 bag play.'),
        *declare_parameters(DETECTION, CLASSIFICATION, use_sim_time='true'),
        *declare_process(NODE_NAMES[DETECTION], NODE_NAMES[CLASSIFICATION]),
        OpaqueFunction(function=_launch),
    ]))


def _launch(context: LaunchContext) -> list[Any]:
    return replay_actions(context.launch_configurations)
