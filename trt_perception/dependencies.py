# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Imports optional packages where they are used and says how to install a missing one."""

from __future__ import annotations

import importlib
from types import ModuleType

from .errors import MissingDependencyError

# Beside a ROS 2 from apt. Ubuntu 24.04's pip refuses without the variable, which rosdep's documentation recommends and
# 22.04's ignores; NumPy 2 breaks apt's OpenCV and cv_bridge, which were built for NumPy 1 (vision_opencv#535).
_PIP_ON_ROS = "PIP_BREAK_SYSTEM_PACKAGES=1 pip install {} 'numpy<2'"
# module -> (how a ROS 2 install brings it, pip requirement)
_INSTALL = {
    'cv2': ('sudo apt install python3-opencv', 'opencv-python-headless'),
    'onnx': (_PIP_ON_ROS.format('onnx'), 'onnx'),
    'onnxruntime': (_PIP_ON_ROS.format('onnxruntime'), 'onnxruntime'),
    'yaml': ('sudo apt install python3-yaml', 'pyyaml'),
    'rosbags': (_PIP_ON_ROS.format('rosbags'), 'rosbags'),
    'tensorrt': ('sudo apt install python3-libnvinfer (JetPack)', 'tensorrt'),
    'pycuda': (_PIP_ON_ROS.format('pycuda'), 'pycuda'),
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
        if built_for_numpy_1(error):
            raise MissingDependencyError(
                f"the Python package '{top}' was built for NumPy 1 and does not import with a newer one: "
                "PIP_BREAK_SYSTEM_PACKAGES=1 pip install 'numpy<2'") from error
        if isinstance(error, ModuleNotFoundError) and error.name and error.name.split('.', maxsplit=1)[0] == top:
            detail = f"the Python package '{top}' is not installed"
        else:
            # It is there, but something that it needs is not.
            detail = f'{top} is installed but does not import: {error}'
        ways = [f'with ROS 2: {on_ros}'] if on_ros else []
        if with_pip:
            ways.append(f'with pip: pip install {with_pip}')
        raise MissingDependencyError(f'{detail}; {"; ".join(ways)}') from error


def built_for_numpy_1(error: Exception) -> bool:
    """Whether an import failed because NumPy 2 is there and the module was built for NumPy 1."""
    return 'numpy.core.multiarray failed to import' in str(error) or '_ARRAY_API not found' in str(error)
