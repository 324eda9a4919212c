# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Imports optional packages when they are used, and reports how to install a missing one."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
from collections.abc import Iterator
from types import ModuleType

from .errors import MissingDependencyError

# module -> environment variable that it reads at import, and the value to set unless the user has set one.
# PyPI's ONNX Runtime 1.29 and later reports what it runs to Microsoft and stores a device id in ~/.cache.
# disable_telemetry_events() is too late for both.
# OpenCV refuses larger images of any format before it decodes them: the largest max_image_pixels (image/size.py).
_VARIABLES = {
    'onnxruntime': ('ORT_DISABLE_TELEMETRY', '1'), 'cv2': ('OPENCV_IO_MAX_IMAGE_PIXELS', str(1 << 28))}
# module -> module that it imports to report its use. OpenVINO sends an event to Google Analytics when it is imported,
# and keeps a client id in ~/intel. If this package cannot be imported, OpenVINO uses a stub.
_REPORTING = {'openvino': 'openvino_telemetry'}
# For a ROS 2 from apt. Ubuntu 24.04's pip installs nothing without the variable, which rosdep's documentation
# recommends; 22.04's pip ignores it. NumPy 2 breaks apt's OpenCV and cv_bridge, built for NumPy 1 (vision_opencv#535).
_PIP_ON_ROS = "PIP_BREAK_SYSTEM_PACKAGES=1 pip install {} 'numpy<2'"
# onnx is named too, so that pip also replaces its dependency ml_dtypes, installed for NumPy 2, by an older version.
BACK_TO_NUMPY_1 = _PIP_ON_ROS.format('onnx')
# module -> (command for a ROS 2 install, pip requirement)
INSTALL = {
    'cv2': ('sudo apt install python3-opencv', 'opencv-python-headless'),
    'simplejpeg': (_PIP_ON_ROS.format('simplejpeg'), 'simplejpeg'),
    'onnx': (_PIP_ON_ROS.format('onnx'), 'onnx'),
    'onnxruntime': (_PIP_ON_ROS.format('onnxruntime'), 'onnxruntime'),
    'openvino': (_PIP_ON_ROS.format('openvino'), 'openvino'),
    'ai_edge_litert': (_PIP_ON_ROS.format('ai-edge-litert'), 'ai-edge-litert'),
    # One version of torchvision fits one of torch: pip chooses both together.
    'torch': (_PIP_ON_ROS.format('torch torchvision'), 'torch torchvision (the extra trt_perception[export])'),
    'torchvision': (_PIP_ON_ROS.format('torch torchvision'), 'torch torchvision (the extra trt_perception[export])'),
    'onnxscript': (_PIP_ON_ROS.format('onnxscript'), 'onnxscript'),
    'safetensors': (_PIP_ON_ROS.format('safetensors'), 'safetensors'),
    'yaml': ('sudo apt install python3-yaml', 'pyyaml'),
    'rosbags': (_PIP_ON_ROS.format('rosbags'), 'rosbags'),
    'tensorrt': ('sudo apt install python3-libnvinfer (JetPack)', 'tensorrt'),
    'pycuda': (_PIP_ON_ROS.format('pycuda'), 'pycuda'),
    'cuda': (_PIP_ON_ROS.format('cuda-bindings'), 'cuda-bindings'),
    'netron': (_PIP_ON_ROS.format('netron'), 'netron'),
    'faster_coco_eval': (_PIP_ON_ROS.format('faster-coco-eval'), 'faster-coco-eval'),
    'matplotlib': ('sudo apt install python3-matplotlib', 'matplotlib'),
    'rclpy': ('source /opt/ros/<distro>/setup.bash', 'ros-jazzy-rclpy ros-jazzy-rmw-fastrtps-cpp'),
    # PyPI has these under other names.
    'sensor_msgs': ('sudo apt install ros-<distro>-sensor-msgs', 'ros-jazzy-sensor-msgs'),
    'diagnostic_msgs': ('sudo apt install ros-<distro>-diagnostic-msgs', 'ros-jazzy-diagnostic-msgs'),
    'rosgraph_msgs': ('sudo apt install ros-<distro>-rosgraph-msgs', 'ros-jazzy-rosgraph-msgs'),
    'vision_msgs': ('sudo apt install ros-<distro>-vision-msgs', ''),
    'cv_bridge': ('sudo apt install ros-<distro>-cv-bridge', ''),
}
# Not on PyPI; `make setup` builds them.
_WITH_MAKE = ('vision_msgs',)


# Cached, because it is called for every frame and Python 3.10 takes a lock for each import.
@functools.cache
def require(module: str) -> ModuleType:
    """Import and return `module` (dotted names allowed).

    Raises MissingDependencyError with the install commands for ROS 2 and for pip.
    """
    top = module.split('.', maxsplit=1)[0]
    if top in _VARIABLES:
        os.environ.setdefault(*_VARIABLES[top])
    try:
        with _without(_REPORTING.get(top)):
            return importlib.import_module(module)
    except ImportError as error:
        on_ros, with_pip = INSTALL.get(top, ('', top))
        if built_for_numpy_1(error):
            raise MissingDependencyError(
                f"the Python package '{top}' was built for NumPy 1 and cannot be imported with NumPy 2: run "
                f'{BACK_TO_NUMPY_1}') from error
        if isinstance(error, ModuleNotFoundError) and error.name and error.name.split('.', maxsplit=1)[0] == top:
            detail = f"the Python package '{top}' is not installed"
        else:
            # It is installed, but one of its own imports fails.
            detail = f'{top} is installed but cannot be imported: {error}'
        ways = [f'with ROS 2: {on_ros}'] if on_ros else []
        if with_pip:
            ways.append(f'with pip: pip install {with_pip}')
        elif top in _WITH_MAKE:
            ways.append('without ROS 2: run `make setup` in the checkout (it is not on PyPI)')
        raise MissingDependencyError(f'{detail}; {"; ".join(ways)}') from error


@contextlib.contextmanager
def _without(module: str | None) -> Iterator[None]:
    """Let an import of this module fail in the block."""
    if module is None:
        yield
        return
    found = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
        if found is not None:
            sys.modules[module] = found


def built_for_numpy_1(error: Exception) -> bool:
    """Return whether an import failed because the module was built for NumPy 1 and NumPy 2 is installed."""
    return 'numpy.core.multiarray failed to import' in str(error) or '_ARRAY_API not found' in str(error)
