# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""config/trt_perception@.service: systemd accepts it, and its command starts the launch file with these arguments.

No test boots with it: systemd is not the first process where the tests run.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / 'config' / 'trt_perception@.service'
if not UNIT.is_file():
    pytest.skip('needs the whole checkout', allow_module_level=True)


def verify(unit, tmp_path):
    """Return the exit code and the output of systemd-analyze for the instance `front` of a unit."""
    if shutil.which('systemd-analyze') is None:
        pytest.skip('needs systemd: sudo apt install systemd')
    path = tmp_path / 'trt_perception@front.service'
    path.write_text(unit)
    done = subprocess.run(
        ['systemd-analyze', 'verify', '--man=no', str(path)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_systemd_accepts_the_unit(tmp_path):
    code, output = verify(UNIT.read_text(), tmp_path)
    assert (code, output) == (0, '')


def test_a_mistake_would_be_found(tmp_path):
    _, output = verify(UNIT.read_text().replace('RestartSec=', 'RestrtSec='), tmp_path)
    assert 'RestrtSec' in output


def settings():
    """Return key -> values of the unit, with continued lines joined."""
    found = {}
    for line in UNIT.read_text().replace('\\\n', ' ').splitlines():
        if '=' in line and not line.startswith('#'):
            key, _, value = line.partition('=')
            found.setdefault(key, []).append(value.replace('%i', 'front'))
    return found


def run_command(tmp_path, **variables):
    """Run ExecStart as systemd does, with a `ros2` that prints its arguments, one a line."""
    for name in ('ros.bash', 'workspace.bash'):
        (tmp_path / name).write_text(f'export SOURCED="$SOURCED {name}"\n')
    ros2 = tmp_path / 'ros2'
    ros2.write_text('#!/bin/sh\necho "$SOURCED"\nprintf "%s\\n" "$@"\n')
    ros2.chmod(0o755)
    defaults = dict(value.partition('=')[::2] for value in settings()['Environment'])
    environment = {
        **defaults, 'ROS_SETUP': str(tmp_path / 'ros.bash'), 'WORKSPACE_SETUP': str(tmp_path / 'workspace.bash'),
        'PATH': f'{tmp_path}{os.pathsep}{os.environ["PATH"]}', **variables}
    start, = settings()['ExecStart']
    script = re.fullmatch(r"/bin/bash -c '(.*)'", start).group(1)
    # systemd would replace a lone $NAME or ${NAME} itself.
    assert not re.search(r'(?<!\$)\$(?!\$)', script)
    return subprocess.run(
        ['/bin/bash', '-c', script.replace('$$', '$')], env=environment, capture_output=True, text=True, check=False)


def test_the_command_launches_the_detector(tmp_path):
    done = run_command(
        tmp_path, MODEL='/models/my model.onnx', IMAGE_TOPIC='/front/image_raw', PRECISION='fp16',
        EXTRA_ARGUMENTS='score_threshold:=0.4 class_id_format:=index')
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        ' ros.bash workspace.bash', 'launch', 'trt_perception', 'detect.launch.py', 'namespace:=front', 'respawn:=true',
        'model:=/models/my model.onnx', 'image_topic:=/front/image_raw', 'precision:=fp16', 'score_threshold:=0.4',
        'class_id_format:=index']


def test_a_missing_model_is_one_line(tmp_path):
    done = run_command(tmp_path, IMAGE_TOPIC='/front/image_raw')
    assert done.returncode != 0 and done.stdout == ''
    assert 'MODEL: is not set in /etc/trt_perception/front.env' in done.stderr


def test_it_starts_again_only_after_a_failure_and_stops_as_ctrl_c_does():
    found = settings()
    assert found['Restart'] == ['on-failure']
    assert (found['KillSignal'], found['KillMode']) == (['SIGINT'], ['mixed'])
    # ROS_LOG_DIR is the folder that systemd makes for the user.
    assert f'ROS_LOG_DIR=/run/{found["RuntimeDirectory"][0]}' in found['Environment']
