# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Imports optional packages where they are used and says how to install a missing one."""

from __future__ import annotations

import functools
import importlib
import os
from types import ModuleType

from .errors import MissingDependencyError

# module -> environment variable that it reads when it is loaded, and what it finds there unless the user has set it.
# PyPI's ONNX Runtime, from 1.29 on, sends what it runs to Microsoft and keeps a device id in ~/.cache; its
# disable_telemetry_events() comes too late for both.
_VARIABLES = {'onnxruntime': ('ORT_DISABLE_TELEMETRY', '1')}
# Beside a ROS 2 from apt. Ubuntu 24.04's pip refuses without the variable, which rosdep's documentation recommends and
# 22.04's ignores; NumPy 2 breaks apt's OpenCV and cv_bridge, which were built for NumPy 1 (vision_opencv#535).
_PIP_ON_ROS = "PIP_BREAK_SYSTEM_PACKAGES=1 pip install {} 'numpy<2'"
# With onnx named too, pip takes an older one of what onnx needs and came for NumPy 2 (ml_dtypes).
BACK_TO_NUMPY_1 = _PIP_ON_ROS.format('onnx')
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
    # On PyPI too, but not by the names that they are imported by.
    'sensor_msgs': ('sudo apt install ros-<distro>-sensor-msgs', 'ros-jazzy-sensor-msgs'),
    'diagnostic_msgs': ('sudo apt install ros-<distro>-diagnostic-msgs', 'ros-jazzy-diagnostic-msgs'),
    'rosgraph_msgs': ('sudo apt install ros-<distro>-rosgraph-msgs', 'ros-jazzy-rosgraph-msgs'),
    'vision_msgs': ('sudo apt install ros-<distro>-vision-msgs', ''),
    'cv_bridge': ('sudo apt install ros-<distro>-cv-bridge', ''),
}
# What PyPI does not have, but `make setup` makes.
_WITH_MAKE = ('vision_msgs',)


# Kept, since it is asked for with every frame: Python 3.10's import system takes a lock each time.
@functools.cache
def require(module: str) -> ModuleType:
    """Import `module` (dotted names allowed) or say which package brings it.

    Raises MissingDependencyError naming the command for a ROS 2 install and the one for pip.
    """
    top = module.split('.', maxsplit=1)[0]
    if top in _VARIABLES:
        os.environ.setdefault(*_VARIABLES[top])
    try:
        return importlib.import_module(module)
    except ImportError as error:
        on_ros, with_pip = _INSTALL.get(top, ('', top))
        if built_for_numpy_1(error):
            raise MissingDependencyError(
                f"the Python package '{top}' was built for NumPy 1 and does not import with a newer one: "
                f'{BACK_TO_NUMPY_1}') from error
        if isinstance(error, ModuleNotFoundError) and error.name and error.name.split('.', maxsplit=1)[0] == top:
            detail = f"the Python package '{top}' is not installed"
        else:
            # It is there, but something that it needs is not.
            detail = f'{top} is installed but does not import: {error}'
        ways = [f'with ROS 2: {on_ros}'] if on_ros else []
        if with_pip:
            ways.append(f'with pip: pip install {with_pip}')
        elif top in _WITH_MAKE:
            ways.append("without ROS 2: not on PyPI, the checkout's `make setup` builds it")
        raise MissingDependencyError(f'{detail}; {"; ".join(ways)}') from error


def built_for_numpy_1(error: Exception) -> bool:
    """Whether an import failed because NumPy 2 is there and the module was built for NumPy 1."""
    return 'numpy.core.multiarray failed to import' in str(error) or '_ARRAY_API not found' in str(error)
