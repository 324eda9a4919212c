# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A mistyped launch argument is refused, unless the arguments on the command line belong to another launch file."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('launch_testing', reason='needs the ROS packages launch, launch_ros and launch_testing')

from support.launch_harness import launch_file, prepare

from trt_perception.launching.unknown_arguments import is_launched, unknown_arguments
from trt_perception.launching.values import LaunchArgumentError

DECLARED = ('model', 'labels', 'image_topic', 'score_threshold', 'top_k', 'params_file', 'namespace', 'respawn')


@pytest.mark.parametrize('argument, meant', [
    ('modell:=a:=b.onnx', 'model:=a:=b.onnx'), ('Model:=m.onnx', 'model:=m.onnx'), ('lables:=coco', 'labels:=coco'),
    ('image_topics:=/c', 'image_topic:=/c'), ('image:=/c', 'image_topic:=/c'), ('topic:=/c', 'image_topic:=/c'),
    ('score:=0.5', 'score_threshold:=0.5'), ('score_treshold:=0.5', 'score_threshold:=0.5'), ('topk:=', 'top_k:='),
    ('params:=p.yaml', 'params_file:=p.yaml'), ('model_file:=m', 'model:=m'), ('ns:=left', 'namespace:=left')])
def test_a_mistyped_argument_is_refused(argument, meant):
    with pytest.raises(LaunchArgumentError) as error:
        unknown_arguments(['model:=x', argument], DECLARED)
    name = argument.partition(':=')[0]
    assert str(error.value) == f'{argument}: there is no argument {name}; did you mean {meant}? (--show-args lists all)'


def test_other_arguments_are_named():
    assert unknown_arguments(
        ['model:=x', 'sigterm_timeout:=3', 'launch-prefix:=gdb', 'emulate_tty:=false', 'labels:=', '--noninteractive'],
        DECLARED) == []
    assert unknown_arguments(['zzz:=1'], DECLARED) == [
        'zzz:=1 is ignored: there is no argument zzz (--show-args lists all)']
    # top_k is an argument of another launch file.
    assert unknown_arguments(['topk:=3'], ['model']) == [
        'topk:=3 is ignored: there is no argument topk (--show-args lists all)']


def test_whose_command_line_it_is(tmp_path):
    file = tmp_path / 'share' / 'detect.launch.py'
    file.parent.mkdir()
    file.touch()
    (tmp_path / 'linked').mkdir()
    (tmp_path / 'linked' / 'detect.launch.py').symlink_to(file)
    (tmp_path / 'detect.launch.py').touch()
    ours = (
        ['ros2', 'launch', 'trt_perception', 'detect.launch.py', 'modell:=x'],
        ['ros2', 'launch', '-n', 'trt_perception', 'detect.launch.py'],
        ['ros2', 'launch', '--launch-prefix', 'gdb', 'trt_perception', 'detect.launch.py'],
        ['/opt/ros/jazzy/bin/ros2', 'launch', str(file), 'a:=b'],
        ['ros2', 'launch', f'{tmp_path}/linked/../linked/detect.launch.py'])
    others = (
        ['ros2', 'launch', 'my_robot', 'detect.launch.py', 'camera:=front'],
        ['ros2', 'launch', 'my_robot', 'robot.launch.py', 'x:=detect.launch.py'],
        ['ros2', 'launch', str(tmp_path / 'detect.launch.py')],
        ['ros2', 'launch', 'trt_perception', 'classify.launch.py'], ['launch_test', str(file)],
        ['ros2', 'launch', 'detect.launch.py'], ['ros2'], [])
    assert [is_launched(str(file), command) for command in ours] == [True] * len(ours)
    assert [is_launched(str(file), command) for command in others] == [False] * len(others)


PARENT = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource


def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument('models', default_value=''),
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource({child!r}),
            launch_arguments={{'extra': '1', 'log_level': 'loud'}}.items())])
"""


@pytest.mark.parametrize('name', ['robot.launch.py', 'detect.launch.py'])
def test_a_launch_file_that_includes_ours_has_its_own_arguments(tmp_path, name):
    pytest.importorskip('ros2launch', reason='needs the ROS package ros2launch')
    prepare()
    parent = tmp_path / name
    parent.write_text(PARENT.format(child=launch_file('detect.launch.py')))
    done = run(str(parent), 'models:=many', 'image:=/camera')
    # The included file is reached: its own argument is wrong on purpose, so nothing is started.
    assert done.returncode == 1
    assert 'log_level:=loud: expected one of debug' in done.stdout + done.stderr
    assert 'there is no argument' not in done.stdout + done.stderr


def run(*arguments):
    code = 'import sys; from ros2cli.cli import main; sys.exit(main())'
    ros2 = Path(sys.prefix) / 'bin' / 'ros2'
    command = [str(ros2)] if ros2.exists() else [sys.executable, '-c', code]
    return subprocess.run(
        [*command, 'launch', *arguments], capture_output=True, text=True, timeout=60, env={**os.environ})
