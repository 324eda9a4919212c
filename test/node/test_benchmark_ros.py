# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`trt_perception benchmark --ros` as a user runs it: the node, a camera and a consumer in their own processes."""

import json
import subprocess

import pytest

for package in ('rclpy', 'vision_msgs.msg', 'cv2', 'onnx', 'onnxruntime'):
    pytest.importorskip(package, reason=f'needs {package.split(".")[0]}: make setup')

from support.tiny_models import color_detector


def test_the_node_is_measured_at_each_rate(command, tmp_path):
    model = color_detector(tmp_path / 'colors.onnx')
    done = subprocess.run(
        [command, 'benchmark', str(model), '--ros', '--ros-seconds', '0.5', '--size', '64x64', '--json',
         str(tmp_path / 'r.json')], capture_output=True, text=True, timeout=600, check=False)
    report = json.loads((tmp_path / 'r.json').read_text())['ros']
    assert [one['rate_hz'] for one in report['fixed']] == [10.0, 30.0, 60.0]
    for one in report['fixed']:
        assert one['sent'] == max(10, one['rate_hz'] // 2)
        assert one['results'] == round((1 - one['lost']) * one['sent'])
        assert one['memory_mb'] > 40 and one['cpu_percent'] > 0
    assert any(one['results'] for one in report['fixed'])
    assert done.returncode == (0 if report['highest'] else 1), done.stderr
    rows = [line for line in done.stdout.splitlines() if ' Hz ' in line]
    assert [row.split()[0] for row in rows[1:4]] == ['10', '30', '60']


def test_a_node_that_cannot_configure_is_one_line(command, tmp_path):
    model = color_detector(tmp_path / 'colors.onnx')
    done = subprocess.run(
        [command, 'benchmark', str(model), '--ros', '--precision', 'int8'], capture_output=True, text=True, timeout=600,
        check=False)
    assert done.returncode == 1
    assert 'configure failed' in done.stderr and len(done.stderr.splitlines()) == 1
