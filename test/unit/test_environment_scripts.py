# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`make setup` reports missing packages, resumes after an interruption and repeats incomplete steps."""

import io
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

from scripts.environment import cmake_exports, project, system_packages, venv, vision_msgs
from scripts.environment.commands import clean_environment, run_logged
from scripts.environment.errors import SetupError
from scripts.environment.progress import Step
from scripts.environment.stamps import Stamps, content_key


def test_key_follows_content_name_and_order_of_parts(tmp_path):
    file = tmp_path / 'a.txt'
    file.write_text('one')
    key = content_key(['x', 'y'], [file])
    assert content_key(['x', 'y'], [file]) == key
    assert content_key(['xy'], [file]) != key
    assert content_key(['y', 'x'], [file]) != key
    file.write_text('two')
    assert content_key(['x', 'y'], [file]) != key
    file.write_text('one')
    assert content_key(['x', 'y'], [file.rename(tmp_path / 'b.txt')]) != key


def test_step_that_was_cut_off_is_not_current(tmp_path):
    stamps = Stamps(tmp_path / 'stamps')
    assert not stamps.is_current('packages', 'k1')
    stamps.complete('packages', 'k1')
    assert stamps.is_current('packages', 'k1')
    assert not stamps.is_current('packages', 'k2')
    stamps.begin('packages')
    assert not stamps.is_current('packages', 'k1')


def test_exports_name_this_machines_include_folders(tmp_path):
    export = tmp_path / 'share' / 'sensor_msgs' / 'cmake' / 'export_sensor_msgs__pyExport.cmake'
    export.parent.mkdir(parents=True)
    export.write_text(
        'INTERFACE_INCLUDE_DIRECTORIES "/opt/python/cp310-cp310/include/python3.10;'
        '/opt/python/cp310-cp310/lib/python3.10/site-packages/numpy/core/include;${_IMPORT_PREFIX}"')
    other = export.with_name('sensor_msgsConfig.cmake')
    other.write_text('/opt/python/cp310-cp310/include/python3.10')
    assert cmake_exports.mend_exports(tmp_path, '/py include', '/np') == 1
    assert export.read_text() == (
        'INTERFACE_INCLUDE_DIRECTORIES "/py include;/np;${_IMPORT_PREFIX}"')
    assert other.read_text() == '/opt/python/cp310-cp310/include/python3.10'
    assert cmake_exports.mend_exports(tmp_path, '/py include', '/np') == 0


def test_missing_compiler_is_named_with_one_apt_line(tmp_path, monkeypatch):
    (tmp_path / 'make').write_text('#!/bin/sh\n')
    (tmp_path / 'make').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    # The platform is checked first, and these tests run on ARM too.
    monkeypatch.setattr(platform, 'machine', lambda: 'x86_64')
    with pytest.raises(SetupError) as caught:
        system_packages.check_machine(tmp_path)
    message = str(caught.value)
    assert 'sudo apt-get install -y gcc g++' in message
    assert 'make' not in message.split('apt-get install -y')[1]
    assert message.count('apt-get install') == 1


def test_type_hash_mismatch_names_message_and_both_hashes():
    vision_msgs.verify({'A': 'RIHS01_1'}, {'A': 'RIHS01_1'})
    with pytest.raises(SetupError, match='A: expected RIHS01_1, found RIHS01_2'):
        vision_msgs.verify({'A': 'RIHS01_1'}, {'A': 'RIHS01_2'})
    with pytest.raises(SetupError, match='B: expected RIHS01_3, found no such message'):
        vision_msgs.verify({'A': 'RIHS01_1', 'B': 'RIHS01_3'}, {'A': 'RIHS01_1'})


def test_package_without_its_files_counts_as_half_installed(tmp_path):
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(tmp_path)], check=True)
    made = venv.Venv(tmp_path)
    site_packages = made.site_packages
    assert site_packages.is_relative_to(tmp_path)
    info = site_packages / 'ros_rclpy-7.1.6.dist-info'
    record = ('rclpy/__init__.py,sha256=x,10\nrclpy/__pycache__/__init__.cpython-311.pyc,,\n'
              '"share/a,b.txt",sha256=y,2\n')
    for files in ({'METADATA': 'Name: ros-rclpy\n'}, {'METADATA': 'Name: ros-rclpy\n', 'RECORD': record}):
        info.mkdir()
        for name, content in files.items():
            (info / name).write_text(content)
        assert made.forget_half_installed() == ['ros_rclpy']
        assert not info.exists()
    info.mkdir()
    (info / 'RECORD').write_text(record)
    for name in ('rclpy/__init__.py', 'share/a,b.txt'):
        (site_packages / name).parent.mkdir()
        (site_packages / name).touch()
    assert made.forget_half_installed() == []
    assert info.exists()


def test_failed_command_shows_its_last_lines_and_the_log(tmp_path):
    log = tmp_path / 'setup.log'
    seen = []
    with pytest.raises(SetupError) as caught:
        run_logged(['/bin/sh', '-c', 'seq 1 40; echo "no space left" >&2; exit 3'], log,
                   on_line=seen.append)
    message = str(caught.value)
    assert 'exit code 3' in message and 'no space left' in message and str(log) in message
    assert '\n  5\n' not in message
    assert seen[:2] == ['1', '2']
    assert '\n5\n' in log.read_text()


def test_sourced_ros_does_not_leak(monkeypatch):
    monkeypatch.setenv('PYTHONPATH', '/opt/ros/humble/lib/python3.10/site-packages')
    monkeypatch.setenv('AMENT_PREFIX_PATH', '/opt/ros/humble')
    monkeypatch.setenv('LANG', 'C.UTF-8')
    environment = clean_environment({'AMENT_PREFIX_PATH': '/venv'})
    assert 'PYTHONPATH' not in environment
    assert environment['AMENT_PREFIX_PATH'] == '/venv'
    assert environment['LANG'] == 'C.UTF-8'


@pytest.mark.parametrize('failing, word', [(False, 'done'), (True, 'failed')])
def test_step_says_how_it_ended(failing, word):
    stream = io.StringIO()
    try:
        with Step('3/4 building', stream):
            if failing:
                raise SetupError('no')
    except SetupError:
        assert failing
    lines = stream.getvalue().splitlines()
    assert lines[0] == '3/4 building ...'
    assert lines[-1].startswith(f'3/4 building: {word} (')


def walked(share, name):
    """Return the paths that `ros2 launch PACKAGE NAME` finds: ros2launch walks the share folder like this."""
    return [Path(folder) / name for folder, _, files in os.walk(share) if name in files]


def test_ros2_launch_finds_the_launch_files_of_the_checkout(tmp_path):
    root, prefix = tmp_path / 'checkout', tmp_path / 'venv'
    for folder in ('launch', 'config', 'models', 'resource'):
        (root / folder).mkdir(parents=True)
    for name in ('package.xml', 'resource/trt_perception', 'launch/detect.launch.py', 'config/detect.yaml'):
        (root / name).write_text(name)
    share = prefix / 'share' / 'trt_perception'
    # Older setups linked the folder, which os.walk does not enter.
    share.mkdir(parents=True)
    (share / 'launch').symlink_to(root / 'launch')
    assert walked(share, 'detect.launch.py') == []
    project.link_shared(root, prefix)
    (found,) = walked(share, 'detect.launch.py')
    assert found.read_text() == 'launch/detect.launch.py'
    # An edit in the checkout takes effect at once, a new or removed file with the next setup.
    (root / 'launch' / 'detect.launch.py').write_text('edited')
    assert found.read_text() == 'edited'
    before = project.launch_files(root)
    (root / 'launch' / 'detect.launch.py').rename(root / 'launch' / 'other.launch.py')
    assert content_key(project.launch_files(root)) != content_key(before)
    project.link_shared(root, prefix)
    assert walked(share, 'detect.launch.py') == []
    assert walked(share, 'other.launch.py') == [share / 'launch' / 'other.launch.py']
    assert (share / 'config' / 'detect.yaml').read_text() == 'config/detect.yaml'
    assert (root / 'launch' / 'other.launch.py').read_text() == 'edited'


def test_the_launch_files_are_those_that_a_package_installs():
    assert project.launch_files(ROOT) == sorted(path.name for path in (ROOT / 'launch').iterdir() if path.is_file())


@pytest.mark.parametrize('python, expected', [
    ('no-such-python', 'PYTHON=no-such-python is not a program'),
    ('old-python', 'expected Python 3.10 to 3.14, found 3.8.10')])
def test_unusable_python_is_refused(tmp_path, python, expected):
    old = tmp_path / 'old-python'
    # Answers like an interpreter that is too old.
    old.write_text('#!/bin/sh\ncase "$2" in *platform*) echo 3.8.10 ;; *) exit 1 ;; esac\n')
    old.chmod(0o755)
    done = subprocess.run(
        [str(ROOT / 'scripts' / 'find_python.sh')], capture_output=True, text=True, check=False,
        env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'PYTHON': python})
    assert done.returncode == 1
    assert expected in done.stderr
    assert done.stdout == ''


def test_make_help_lists_the_targets():
    done = subprocess.run(['make', '--no-print-directory', '-C', str(ROOT)], capture_output=True,
                          text=True, check=True)
    listed = {line.split()[0] for line in done.stdout.splitlines() if line.startswith('  ')}
    assert {'setup', 'demo', 'test', 'benchmark', 'help'} <= listed
