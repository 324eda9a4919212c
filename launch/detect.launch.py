# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Launch an object detector.

  ros2 launch trt_perception detect.launch.py model:=FILE.onnx image_topic:=/camera/image_raw
"""

from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from trt_perception.launching.arguments import (
    DETECTION,
    NODE_NAMES,
    declare_image_topics,
    declare_lifecycle,
    declare_parameters,
    declare_process,
)
from trt_perception.launching.perception import perception_actions
from trt_perception.launching.unknown_arguments import with_known_arguments


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; see its arguments with --show-args."""
    return LaunchDescription(with_known_arguments(__file__, [
        *declare_parameters(DETECTION),
        *declare_image_topics(DETECTION),
        *declare_process(NODE_NAMES[DETECTION]),
        *declare_lifecycle(),
        OpaqueFunction(function=_launch),
    ]))


def _launch(context: LaunchContext) -> list[Any]:
    return perception_actions(context.launch_configurations, DETECTION)
