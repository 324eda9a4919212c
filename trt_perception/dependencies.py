# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Imports optional packages where they are used and says how to install a missing one."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingDependencyError

# module -> (how a ROS 2 install brings it, pip requirement)
_INSTALL = {
    'cv2': ('sudo apt install python3-opencv', 'opencv-python-headless'),
    'onnx': ('pip install onnx', 'onnx'),
    'onnxruntime': ('pip install onnxruntime', 'onnxruntime'),
    'yaml': ('sudo apt install python3-yaml', 'pyyaml'),
    'rosbags': ('pip install rosbags', 'rosbags'),
    'tensorrt': ('sudo apt install python3-libnvinfer (JetPack)', 'tensorrt'),
    'pycuda': ('pip install pycuda', 'pycuda'),
    'rclpy': ('source /opt/ros/<distro>/setup.bash', 'ros-jazzy-rclpy ros-jazzy-rmw-fastrtps-cpp'),
    'vision_msgs': ('sudo apt install ros-<distro>-vision-msgs', ''),
    'cv_bridge': ('sudo apt install ros-<distro>-cv-bridge', ''),
}


def require(module: str) -> ModuleType:
    """Import `module` (dotted names allowed) or say which package brings it.

    Raises MissingDependencyError naming the command for a ROS 2 install and the one for pip.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top = module.split('.', maxsplit=1)[0]
        on_ros, with_pip = _INSTALL.get(top, ('', top))
        if error.name is not None and error.name.split('.', maxsplit=1)[0] != top:
            # The package is there, but something that it needs is not.
            detail = f'{top} is installed but does not import: {error}'
        else:
            detail = f"the Python package '{top}' is not installed"
        ways = [f'with ROS 2: {on_ros}'] if on_ros else []
        if with_pip:
            ways.append(f'with pip: pip install {with_pip}')
        raise MissingDependencyError(f'{detail}; {"; ".join(ways)}') from error
