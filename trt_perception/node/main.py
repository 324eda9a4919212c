# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The perception_node executable."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from .process.command_line import parameter_list
from .process.executable import Program, run

_HELP = """\
usage: perception_node [-h] [--version] [--ros-args [-p NAME:=VALUE] [-r FROM:=TO] [--params-file FILE] ...]

A ROS 2 lifecycle node: it detects or classifies objects in images with an ONNX model, and publishes vision_msgs.

  With a launch file (it configures and activates the node):
    ros2 launch trt_perception detect.launch.py model:=FILE.onnx image_topic:=/camera/image_raw
  Without:
    ros2 run trt_perception perception_node --ros-args \\
      -p model_file:=FILE.onnx -p autostart:=true -r image:=/camera/image_raw
  Without autostart the node waits:
    ros2 lifecycle set /perception_node configure
    ros2 lifecycle set /perception_node activate

Subscribes to image (sensor_msgs/Image) or image/compressed (sensor_msgs/CompressedImage), or to all of image_topics.
Publishes detections or classifications, label_info, vision_info, debug_image and /diagnostics.

Exit code: 0 after SIGINT or SIGTERM; 1 if the node cannot start, has lost its device, or has a frame that never ends.

options:
  -h, --help     show this text
  --version      show the version

parameters, with their defaults (live: may change while the node is active):
{parameters}
"""


def main(args: list[str] | None = None) -> int:
    """Run perception_node until SIGINT or SIGTERM, then end the process; see run."""
    return run(Program('perception_node', _help, 'image:=/your/topic', _create), args)


def _help() -> str:
    from ..parameters.table import PARAMETERS

    return _HELP.format(parameters=parameter_list(PARAMETERS)).rstrip()


def _create(on_fatal: Callable[[], None]) -> Any:
    from .perception.node import PerceptionNode

    return PerceptionNode(on_fatal)


if __name__ == '__main__':
    sys.exit(main())
