# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Parameter files and -p arguments that are for other nodes: which names fit is what rcl does."""

import pytest

from trt_perception.node.process.parameter_files import without_effect

NAME = '/front/detector'


def warnings_of(tmp_path, text, name=NAME, file='my.yaml'):
    (tmp_path / file).write_text(text)
    return without_effect(['--ros-args', '-r', '__ns:=/front', '--params-file', str(tmp_path / file)], name)


def described(*names):
    return ''.join(f'"{name}":\n  ros__parameters:\n    score_threshold: 0.4\n' for name in names)


@pytest.mark.parametrize('text', [
    described('/**'), described('**'), described('/*/detector'), described('/**/detector'), described('/front/*'),
    described('/front/detector'), described('front/detector'), described('other', '/front/detector'),
    'front:\n  detector:\n    ros__parameters: {score_threshold: 0.4}\n',
    '/**:\n  detector:\n    ros__parameters: {score_threshold: 0.4}\n'])
def test_a_file_with_a_name_that_fits_is_silent(tmp_path, text):
    assert warnings_of(tmp_path, text) == []


@pytest.mark.parametrize('text, found', [
    (described('detector'), '/detector'), (described('perception_node'), '/perception_node'),
    (described('/rear/detector'), '/rear/detector'), (described('/*'), '/*'), (described('/*/*/*'), '/*/*/*'),
    (described('/front/detector2', '/detector'), '/detector, /front/detector2'),
    ('rear:\n  detector:\n    ros__parameters: {score_threshold: 0.4}\n', '/rear/detector'),
    (described(*'abcdefgh'), '/a, /b, /c, /d, /e and 3 more')])
def test_a_file_for_other_nodes_is_named_with_its_names(tmp_path, text, found):
    warning, = warnings_of(tmp_path, text)
    assert warning == (
        f'parameter file {tmp_path / "my.yaml"} has no effect: it is for {found}, but this node is {NAME}; write '
        f'{NAME} or /** above ros__parameters')


def test_a_file_that_ros_launch_wrote_is_called_so(tmp_path):
    warning, = warnings_of(tmp_path, described('detector'), file='launch_params_x1y2')
    assert warning.startswith('a parameter file of the launch file (')
    assert 'it is for /detector, but this node is /front/detector' in warning
    assert warnings_of(tmp_path, described('/**'), file='launch_params_x1y2') == []


@pytest.mark.parametrize('text', ['', 'a: [1', '- 1\n', '/**:\n'])
def test_what_cannot_be_read_is_left_to_rcl(tmp_path, text):
    assert warnings_of(tmp_path, text) == []
    assert without_effect(['--ros-args', '--params-file', str(tmp_path / 'none')], NAME) == []


def test_parameters_for_one_node_on_the_command_line():
    of_ros = ['-p', 'x:=a:b:=c', '-p', '/front/detector:x:=1', '--param', 'detector:x:=1']
    warning, = without_effect(['-p', 'a:b:=1', '--ros-args', *of_ros, '--', '-p', 'a:b:=1'], NAME)
    assert warning == (
        '-p detector:x:=1 has no effect: it is for /detector, but this node is /front/detector; write /front/detector, '
        'or leave out the name of the node')
