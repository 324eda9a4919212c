# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The detections_3d_node executable."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from ..process.command_line import parameter_list
from ..process.executable import Program, run

_HELP = """\
usage: detections_3d_node [-h] [--version] [--ros-args [-p NAME:=VALUE] [-r FROM:=TO] [--params-file FILE] ...]

A ROS 2 lifecycle node: it gives detections a place in space, with a depth image that is aligned to their image.

  With the launch file (it configures and activates the node):
    ros2 launch trt_perception detections_3d.launch.py depth_topic:=/camera/aligned_depth_to_color/image_raw \\
      camera_info_topic:=/camera/color/camera_info
  Without:
    ros2 run trt_perception detections_3d_node --ros-args -p autostart:=true \\
      -r depth:=/camera/aligned_depth_to_color/image_raw -r camera_info:=/camera/color/camera_info

Subscribes to detections (vision_msgs/Detection2DArray), depth (sensor_msgs/Image, 16UC1 or 32FC1) and camera_info, and
to mask_instances with use_masks.
Publishes detections_3d (vision_msgs/Detection3DArray) and /diagnostics.

Exit code: 0 after SIGINT or SIGTERM; 1 if the node cannot start.

options:
  -h, --help     show this text
  --version      show the version

parameters, with their defaults:
{parameters}
"""


def main(args: list[str] | None = None) -> int:
    """Run detections_3d_node until SIGINT or SIGTERM, then end the process; see run."""
    return run(Program('detections_3d_node', _help, 'depth:=/your/topic', _create), args)


def _help() -> str:
    from ...parameters.depth_table import DEPTH_PARAMETERS

    return _HELP.format(parameters=parameter_list(DEPTH_PARAMETERS)).rstrip()


def _create(on_fatal: Callable[[], None]) -> Any:
    from .node import Detections3DNode

    return Detections3DNode(on_fatal)


if __name__ == '__main__':
    sys.exit(main())
