# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Give detections a place in space, with a depth image that is aligned to their image.

  ros2 launch trt_perception detections_3d.launch.py depth_topic:=/camera/aligned_depth_to_color/image_raw \\
    camera_info_topic:=/camera/color/camera_info
"""

from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction

from trt_perception.launching.arguments import declare_lifecycle, declare_process
from trt_perception.launching.detections_3d import NODE_NAME, detections_3d_actions
from trt_perception.launching.unknown_arguments import with_known_arguments


def generate_launch_description() -> LaunchDescription:
    """Return the launch description; see its arguments with --show-args."""
    return LaunchDescription(with_known_arguments(__file__, [
        DeclareLaunchArgument(
            'detections_topic', default_value='detections',
            description='Topic of vision_msgs/Detection2DArray, the result of the detector.'),
        DeclareLaunchArgument(
            'depth_topic', default_value='depth',
            description='Topic of sensor_msgs/Image, 16UC1 or 32FC1, aligned to the image of the detections.'),
        DeclareLaunchArgument(
            'camera_info_topic', default_value='camera_info',
            description='Topic of sensor_msgs/CameraInfo of the image that the detections are from.'),
        DeclareLaunchArgument(
            'mask_instances_topic', default_value='mask_instances',
            description='Topic of the masks of the objects, with use_masks in params_file.'),
        DeclareLaunchArgument(
            'params_file', default_value='',
            description='YAML file with parameters of the node. A full file to copy from: config/detections_3d.yaml of '
                        'trt_perception.'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='',
            description='true: take the time from /clock. Empty: the value in params_file, or the default.'),
        *declare_process(NODE_NAME),
        *declare_lifecycle(),
        OpaqueFunction(function=_launch),
    ]))


def _launch(context: LaunchContext) -> list[Any]:
    return detections_3d_actions(context.launch_configurations)
