# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Wrong ROS arguments: one line that names them, exit code 1, no traceback."""

import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')


@pytest.mark.parametrize('arguments, said', [
    (('--log-level', 'banana'), 'banana'),
    (('-r', 'image:=bad topic'), 'image:=bad topic'),
    (('--params-file', '/no/such.yaml'), '/no/such.yaml'),
    (('-p', 'model_file'), 'model_file'),
    (('-r', '__node:=1 bad'), '1 bad'),
])
def test_ros_arguments_that_cannot_be_used(arguments, said):
    process = subprocess.run(
        [sys.executable, '-m', 'trt_perception.node.main', '--ros-args', *arguments],
        capture_output=True, text=True, timeout=120)
    assert process.returncode == 1
    own = [line for line in process.stderr.splitlines() if line.startswith('perception_node: ')]
    assert len(own) == 1, process.stderr
    assert said in own[0]
    assert 'Traceback' not in process.stderr
    # The location in rcl's source does not help a user.
    assert '.c:' not in own[0]
