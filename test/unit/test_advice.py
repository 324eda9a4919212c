# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The commands for missing packages fit the platform, which is found from files and variables."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trt_perception.advice.packages import INSTALL, install_line, numpy_1_line, tensorrt_line, too_old
from trt_perception.advice.platform import Platform, find_platform

JETSON = Platform(version=(3, 10), machine='aarch64', ros='humble', sourced=True, l4t='36.4.3', jetpack='6.2')
ROBOT = Platform(version=(3, 12), ros='jazzy', sourced=True)
VENV = Platform(python='.venv/bin/python', sees_apt=False, version=(3, 12))


def release(root, line='# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64'):
    (root / 'etc').mkdir(parents=True, exist_ok=True)
    (root / 'etc' / 'nv_tegra_release').write_text(f'{line}\n')


@pytest.mark.parametrize('line, l4t, jetpack', [
    ('# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic', '36.4.3', '6.2'),
    ('# R36 (release), REVISION: 4.0, GCID: 1', '36.4.0', '6.1'),
    ('# R36 (release), REVISION: 5.0, GCID: 1', '36.5.0', '6.2'),
    ('# R36 (release), REVISION: 3.0, GCID: 1', '36.3.0', '6.0'),
    ('# R38 (release), REVISION: 4.0, GCID: 1', '38.4.0', '7.1'),
    ('# R35 (release), REVISION: 6.1, GCID: 1', '35.6.1', '5'),
    ('# R41 (release), REVISION: 1.0, GCID: 1', '41.1.0', ''),
    ('something else', 'unknown', '')])
def test_the_jetpack_of_a_jetson(tmp_path, line, l4t, jetpack):
    release(tmp_path, line)
    platform = find_platform(tmp_path, {})
    assert (platform.l4t, platform.jetpack, platform.is_jetson) == (l4t, jetpack, True)


def test_the_installed_meta_package_knows_the_jetpack_better(tmp_path):
    release(tmp_path, '# R41 (release), REVISION: 1.0')
    status = tmp_path / 'var' / 'lib' / 'dpkg' / 'status'
    status.parent.mkdir(parents=True)
    status.write_text(
        'Package: nvidia-jetpack-dev\nVersion: 5.0\n\n'
        'Package: nvidia-jetpack\nStatus: install ok installed\nArchitecture: arm64\nVersion: 7.2.2+b12\n\n')
    assert find_platform(tmp_path, {}).jetpack == '7.2.2'


def test_a_machine_without_any_of_the_files(tmp_path):
    platform = find_platform(tmp_path / 'nothing', {})
    assert (platform.l4t, platform.jetpack, platform.ros, platform.is_jetson) == ('', '', '', False)
    assert platform.version == sys.version_info[:2]
    # The tests run in a venv.
    assert platform.python == ('' if sys.prefix == sys.base_prefix else sys.executable)


def test_a_ros_that_is_installed_is_not_sourced(tmp_path):
    for distro in ('humble', 'jazzy'):
        (tmp_path / 'opt' / 'ros' / distro).mkdir(parents=True)
        (tmp_path / 'opt' / 'ros' / distro / 'setup.bash').touch()
    found = find_platform(tmp_path, {})
    assert (found.ros, found.sourced) == ('jazzy', False)
    assert install_line('rclpy', found) == 'run source /opt/ros/jazzy/setup.bash'
    sourced = find_platform(tmp_path, {'ROS_DISTRO': 'humble'})
    assert (sourced.ros, sourced.sourced) == ('humble', True)
    assert install_line('vision_msgs', sourced) == 'run sudo apt install ros-humble-vision-msgs'


def test_tensorrt_of_a_jetson_never_comes_from_pip():
    in_venv = Platform('/v/bin/python', False, l4t='36.4.3')
    for jetson in (JETSON, in_venv, Platform('/v/bin/python', True, l4t='38.2.0')):
        line = tensorrt_line(jetson)
        assert line.startswith('run sudo apt install python3-libnvinfer') and 'pip' not in line
    assert '--system-site-packages' in install_line('tensorrt', in_venv)
    assert install_line('tensorrt', VENV) == 'run .venv/bin/python -m pip install tensorrt'


@pytest.mark.parametrize('platform, line', [
    (JETSON, "run PIP_BREAK_SYSTEM_PACKAGES=1 pip install onnx 'numpy<2'"),
    (ROBOT, "run PIP_BREAK_SYSTEM_PACKAGES=1 pip install onnx 'numpy<2'"),
    # Lyrical: Python 3.14 has no wheel of NumPy 1.
    (Platform(version=(3, 14), ros='lyrical', sourced=True), 'run PIP_BREAK_SYSTEM_PACKAGES=1 pip install onnx'),
    (VENV, 'run .venv/bin/python -m pip install onnx'),
    (Platform('/ws/venv/bin/python', True, (3, 12)), "run /ws/venv/bin/python -m pip install onnx 'numpy<2'")])
def test_pip_keeps_numpy_1_beside_the_opencv_of_apt(platform, line):
    assert install_line('onnx', platform) == line


def test_the_line_can_be_pasted_although_the_path_has_a_space(tmp_path):
    folder = tmp_path / 'my robots'
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', folder], check=True)
    program = ('from trt_perception.advice.platform import this_platform; print(this_platform().pip("onnx")); '
               'print(this_platform().pip_uninstall("onnx"))')
    lines = {}
    for maker in ('venv', 'uv'):
        if maker == 'uv':
            # uv writes its version there, and installs no pip.
            with (folder / 'pyvenv.cfg').open('a') as file:
                file.write('uv = 0.9.1\n')
        lines[maker] = subprocess.run(
            [folder / 'bin' / 'python', '-c', program], capture_output=True, text=True, check=True,
            env={**os.environ, 'PYTHONPATH': str(Path(__file__).resolve().parents[2])}).stdout.splitlines()
    python = f"'{folder}/bin/python'"
    assert lines['venv'] == [f'{python} -m pip install onnx', f'{python} -m pip uninstall onnx']
    assert lines['uv'] == [f'uv pip install --python {python} onnx', f'uv pip uninstall --python {python} onnx']


def test_opencv_comes_from_apt_unless_it_would_not_be_seen():
    assert install_line('cv2', ROBOT) == 'run sudo apt install python3-opencv'
    assert install_line('cv2', VENV) == 'run .venv/bin/python -m pip install opencv-python-headless'


def test_without_ros_there_are_wheels_for_x86_64_only():
    assert 'ros-jazzy-rclpy' in install_line('rclpy', VENV)
    assert 'docs.ros.org' in install_line('rclpy', Platform(machine='aarch64'))


def test_pycuda_is_compiled_with_nvcc_on_the_path():
    assert install_line('pycuda', JETSON) == (
        "run PATH=/usr/local/cuda/bin:$PATH PIP_BREAK_SYSTEM_PACKAGES=1 pip install pycuda 'numpy<2'")


def test_back_to_numpy_1():
    assert numpy_1_line(ROBOT) == "PIP_BREAK_SYSTEM_PACKAGES=1 pip install onnx 'numpy<2'"
    assert numpy_1_line(VENV) == ".venv/bin/python -m pip install onnx 'numpy<2'"
    assert 'numpy<2' not in numpy_1_line(Platform(version=(3, 14)))


@pytest.mark.parametrize('module', INSTALL)
def test_every_line_is_one_line_and_names_no_placeholder(module):
    for platform in (JETSON, ROBOT, VENV, Platform(machine='aarch64', ros='humble')):
        line = install_line(module, platform)
        assert line and '\n' not in line and '<distro>' not in line


@pytest.mark.parametrize('version, says', [
    ('2025.3.0-19807-44526285f24-releases/2025/3', 'openvino 2025.3.0 is too old: expected 2025.4 or newer'),
    ('2024.6.0', 'openvino 2024.6.0 is too old: expected 2025.4 or newer'), ('2025.4.0-20398', ''), ('2026.4.1', ''),
    ('', ''), ('custom', '')])
def test_a_version_that_is_too_old(version, says):
    assert too_old('openvino', version) == says
    assert too_old('numpy', '1.0') == ''


def test_the_line_for_an_old_version_updates_it():
    assert install_line('openvino', VENV, upgrade=True) == (
        'run .venv/bin/python -m pip install --upgrade openvino')
    assert install_line('openvino', VENV) == 'run .venv/bin/python -m pip install openvino'
