# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Launch an image classifier.

  ros2 launch trt_perception classify.launch.py model:=FILE.onnx image_topic:=/camera/image_raw
"""

from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from trt_perception.launching.arguments import (
    CLASSIFICATION,
    NODE_NAMES,
    declare_lifecycle,
    declare_parameters,
    declare_process,
)
from trt_perception.launching.perception import perception_actions
from trt_perception.launching.unknown_arguments import with_known_arguments


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; see its arguments with --show-args."""
    return LaunchDescription(with_known_arguments(__file__, [
        *declare_parameters(CLASSIFICATION),
        DeclareLaunchArgument(
            'image_topic', default_value='image',
            description='Topic of the images. A name that ends with /compressed chooses image_transport:=compressed. '
                        'The results are on the topic classifications in the namespace.'),
        DeclareLaunchArgument(
            'image_topics', default_value='',
            description='Image topics of several cameras, separated by commas, in place of image_topic: one node and '
                        'one network for all. The results of /front/image_raw are on /front/classifications.'),
        *declare_process(NODE_NAMES[CLASSIFICATION]),
        *declare_lifecycle(),
        OpaqueFunction(function=_launch),
    ]))


def _launch(context: LaunchContext) -> list[Any]:
    return perception_actions(context.launch_configurations, CLASSIFICATION)
