# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The launch files themselves: arguments and their descriptions, and no work before the launch starts."""

import subprocess
import sys

import pytest

pytest.importorskip('launch_testing', reason='needs the ROS packages launch, launch_ros and launch_testing')

from launch.launch_description_sources import get_launch_description_from_python_launch_file
from support.launch_harness import launch_file, prepare

COMMON = {
    'model', 'labels', 'backend', 'precision', 'image_transport', 'image_encoding', 'class_id_format',
    'publish_debug_image', 'use_sim_time', 'params_file', 'image_topic', 'namespace', 'name', 'large_images',
    'log_level'}
ARGUMENTS = {
    'camera.launch.py': (COMMON - {'image_topic'}) | {
        'driver', 'device', 'camera', 'camera_params', 'task', 'score_threshold', 'top_k', 'autostart', 'respawn'},
    'detect.launch.py': COMMON | {'image_topics', 'score_threshold', 'autostart', 'respawn'},
    'classify.launch.py': COMMON | {'image_topics', 'top_k', 'autostart', 'respawn'},
    'detections_3d.launch.py': {
        'detections_topic', 'depth_topic', 'camera_info_topic', 'mask_instances_topic', 'use_sim_time', 'params_file',
        'namespace', 'name', 'large_images', 'log_level', 'autostart', 'respawn'},
    'replay.launch.py': COMMON | {'bag', 'task', 'rate', 'delay', 'score_threshold', 'top_k'},
}


@pytest.mark.parametrize('name', ARGUMENTS)
def test_every_argument_is_described(name):
    prepare()
    description = get_launch_description_from_python_launch_file(launch_file(name))
    arguments = {argument.name: argument.description for argument in description.get_launch_arguments()}
    assert set(arguments) == ARGUMENTS[name]
    for argument, text in arguments.items():
        assert len(text) > 15, argument


@pytest.mark.parametrize('name', ARGUMENTS)
def test_loading_a_launch_file_starts_nothing(name):
    prepare()
    # No process, no socket, no model library.
    code = (
        'import sys, socket, subprocess\n'
        'def refuse(*args, **kwargs): raise AssertionError("work at import")\n'
        'from launch.launch_description_sources import get_launch_description_from_python_launch_file as load\n'
        'import launch_ros.actions\n'
        'socket.socket = subprocess.Popen = refuse\n'
        f'load({launch_file(name)!r})\n'
        'print(sorted({"cv2", "onnx", "onnxruntime", "rosbags"} & set(sys.modules)))\n')
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == '[]'
