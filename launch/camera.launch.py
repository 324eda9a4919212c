# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Start a camera driver and the node on its images.

  ros2 launch trt_perception camera.launch.py driver:=usb_cam model:=FILE.onnx
"""

from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from trt_perception.launching.arguments import (
    CLASSIFICATION,
    DETECTION,
    NODE_NAMES,
    TASKS,
    declare_lifecycle,
    declare_parameters,
    declare_process,
)
from trt_perception.launching.cameras import DRIVERS, camera_actions, camera_topic
from trt_perception.launching.perception import perception_actions
from trt_perception.launching.unknown_arguments import with_known_arguments


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; see its arguments with --show-args."""
    return LaunchDescription(with_known_arguments(__file__, [
        DeclareLaunchArgument(
            'driver', choices=list(DRIVERS), description='The camera driver; its package must be installed.'),
        DeclareLaunchArgument(
            'device', default_value='',
            description='usb_cam, v4l2_camera: video device, such as /dev/video0. realsense: serial number. '
                        "oakd: device id. Empty: the driver's default."),
        DeclareLaunchArgument(
            'camera', default_value='',
            description='Name of the camera in its topics, such as front. Two cameras need different ones. '
                        'Empty: oak for oakd, camera for the others.'),
        DeclareLaunchArgument(
            'camera_params', default_value='',
            description='YAML file with parameters of the driver, such as the image size. device:= overrides it.'),
        DeclareLaunchArgument(
            'task', default_value='detect', choices=list(TASKS), description='What the model does.'),
        *declare_parameters(DETECTION, CLASSIFICATION),
        *declare_process(NODE_NAMES[DETECTION], NODE_NAMES[CLASSIFICATION]),
        *declare_lifecycle('the driver or the node'),
        OpaqueFunction(function=_launch),
    ]))


def _launch(context: LaunchContext) -> list[Any]:
    values = context.launch_configurations
    return [
        *camera_actions(values),
        *perception_actions({**values, 'image_topic': camera_topic(values)}, TASKS[values['task']])]
