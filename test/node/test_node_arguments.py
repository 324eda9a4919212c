# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""perception_node on the command line: --help, autostart, and one line for each reason why it cannot start."""

import os
import re
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from support.harness_driver import wait_until
from support.harness_process import ROOT

from trt_perception import __version__
from trt_perception.parameters.table import PARAMETERS


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, '-m', 'trt_perception.node.main', *arguments], capture_output=True, text=True, timeout=600,
        cwd=ROOT, env={**os.environ, **environment})


def refused(process):
    """Return the node's own line."""
    assert process.returncode == 1, process.stderr
    own = [line for line in process.stderr.splitlines() if line.startswith('perception_node: ')]
    assert len(own) == 1, process.stderr
    assert 'Traceback' not in process.stderr and 'Warning' not in process.stderr
    # The location in rcl's source does not help a user.
    assert '.c:' not in own[0] and 'error not set' not in own[0]
    return own[0]


@pytest.mark.parametrize('output', ['pipe', '/dev/full'])
def test_help_that_nobody_reads_is_no_traceback(output):
    reading, writing = os.pipe()
    os.close(reading)
    if output != 'pipe':
        os.close(writing)
        writing = os.open(output, os.O_WRONLY)
    with os.fdopen(writing, 'wb') as file:
        done = subprocess.run(
            [sys.executable, '-m', 'trt_perception.node.main', '--help'], stdout=file, stderr=subprocess.PIPE,
            text=True, cwd=ROOT, timeout=600)
    assert (done.returncode, done.stderr) == (1, '')


def test_a_log_folder_that_cannot_be_made():
    # The second one is there.
    for folder in ('/dev/null/logs', '/proc'):
        said = refused(run(ROS_LOG_DIR=folder))
        assert said.endswith('Set ROS_LOG_DIR to a folder that can be written')


@pytest.mark.parametrize('arguments, said', [
    (('--log-level', 'banana'), 'banana'),
    (('-r', 'image:=bad topic'), 'image:=bad topic'),
    (('-r', 'image:=/a//b'), 'no part begins with a digit'),
    (('-r', 'x:='), 'Expected -r FROM:=TO'),
    (('--params-file', '/no/such.yaml'), '/no/such.yaml'),
    (('-p', 'model_file'), 'model_file'),
    (('-r', '__node:=1 bad'), '1 bad'),
    (('-r', '__ns:=bad'), 'a namespace (__ns) begins with /'),
    (('-r', '__ns:=/a//b'), '/a//b'),
    (('--enclave', 'bad'), 'must lead with a'),
    (('--nonsense',), "unknown ROS arguments ['--nonsense']"),
    # rclpy declares this parameter itself, before the node can.
    (('-p', 'use_sim_time:=3'), "the node cannot be created: InvalidParameterTypeException: Trying to set parameter "
                                "'use_sim_time' to '3'"),
    (('-p', 'score_threshold:=high'), "parameter 'score_threshold'"),
    (('-p', 'score_threshold:=7.0'), 'Min: -1.0, Max: 1.0'),
    (('-p', 'autostart:=1'), "parameter 'autostart'"),
])
def test_ros_arguments_that_cannot_be_used(arguments, said):
    assert said in refused(run('--ros-args', *arguments))


@pytest.mark.parametrize('text', [
    'a: [1\n', '/**:\n  ros__parameters:\n    classes: [1, a]\n', '/**:\n  model_file: x\n',
    '/**:\n  ros__parameters:\n    model_file:\n', '/**:\n  ros__parameters:\n    a: &a x\n    b: *a\n', '\x00\x01'])
def test_parameter_files_that_cannot_be_read(tmp_path, text):
    path = tmp_path / 'parameters.yaml'
    path.write_text(text)
    assert str(path) in refused(run('--ros-args', '--params-file', str(path)))


@pytest.mark.parametrize('environment, said', [
    ({'ROS_DOMAIN_ID': 'abc'}, "ROS_DOMAIN_ID is 'abc': expected a number from 0 to 232"),
    # With these, Fast DDS ends the process, and rcl uses domain 0.
    ({'ROS_DOMAIN_ID': '233'}, "ROS_DOMAIN_ID is '233'"),
    ({'ROS_DOMAIN_ID': '-1'}, "ROS_DOMAIN_ID is '-1'"),
    ({'RMW_IMPLEMENTATION': 'rmw_nothing_cpp'}, "RMW_IMPLEMENTATION is 'rmw_nothing_cpp', which is not installed: "),
    ({'ROS_LOG_DIR': '/proc/nothing'}, "Failed to create log directory '/proc/nothing'"),
    ({'ROS_SECURITY_ENABLE': 'true', 'ROS_SECURITY_STRATEGY': 'Enforce'}, 'ROS_SECURITY_KEYSTORE is not set'),
    ({'ROS_SECURITY_ENABLE': 'true', 'ROS_SECURITY_STRATEGY': 'Enforce', 'ROS_SECURITY_ENCLAVE_OVERRIDE': '/a'},
     'ROS_SECURITY_KEYSTORE is not set'),
    ({'ROS_SECURITY_ENABLE': 'true', 'ROS_SECURITY_STRATEGY': 'Enforce', 'ROS_SECURITY_KEYSTORE': '/no/such'},
     'ROS_SECURITY_KEYSTORE is /no/such: expected a keystore'),
])
def test_environments_in_which_ros_cannot_start(environment, said):
    assert said in refused(run(**environment))


def test_a_security_error_of_the_middleware_is_one_line(tmp_path):
    """A keystore whose keys are no keys. Fast DDS of the Python wheels has no security at all."""
    enclave = tmp_path / 'enclaves' / 'camera'
    enclave.mkdir(parents=True)
    for name in ('identity_ca.cert.pem', 'cert.pem', 'key.pem', 'permissions_ca.cert.pem', 'governance.p7s',
                 'permissions.p7s'):
        (enclave / name).write_text('junk')
    line = refused(run(
        '--ros-args', '--enclave', '/camera', ROS_SECURITY_ENABLE='true', ROS_SECURITY_STRATEGY='Enforce',
        ROS_SECURITY_KEYSTORE=str(tmp_path)))
    assert line.startswith('perception_node: the node cannot be created: RCLError: ')


# --help and --version


@pytest.mark.parametrize('option', ['--help', '-h'])
def test_help(option):
    process = run(option)
    assert (process.returncode, process.stderr) == (0, '')
    assert process.stdout.startswith('usage: perception_node ')
    assert 'ros2 launch trt_perception detect.launch.py' in process.stdout
    assert '-p autostart:=true' in process.stdout
    for name in PARAMETERS:
        assert f'\n  {name} (' in process.stdout, name
    assert max(map(len, process.stdout.splitlines())) <= 120


def test_version():
    process = run('--version')
    assert (process.returncode, process.stdout, process.stderr) == (0, f'trt_perception {__version__}\n', '')


def test_the_words_of_ros_are_not_ours():
    """-h after --ros-args is an unknown argument of ROS."""
    assert "unknown ROS arguments ['-h']" in refused(run('--ros-args', '-h'))


# The start without a launch file


def test_without_a_launch_file_the_node_says_what_it_waits_for(start_node):
    node = start_node('--', 'model.onnx')
    line = node.process.wait_for_line('waiting for configure')
    assert '[INFO]' in line
    assert f'run "ros2 lifecycle set {node.name} configure", then activate' in line and 'autostart:=true' in line
    assert node.state() == 'unconfigured'
    assert node.process.output.startswith('perception_node: model.onnx: ignored; parameters are given as ')


def test_parameter_files_for_another_node_are_named(start_node, tmp_path):
    """Of each file one parameter shows whether rcl gave it to the node."""
    names = {
        'top_k': '/**/perception_node', 'num_threads': '/*/perception_node', 'max_detections': 'perception_node',
        'image_depth': '/*'}
    arguments = []
    for parameter, name in names.items():
        path = tmp_path / f'{parameter}.yaml'
        path.write_text(f'"{name}":\n  ros__parameters:\n    {parameter}: 7\n')
        arguments += ['--params-file', str(path)]
    node = start_node(*arguments)
    given = {parameter for parameter in names if node.parameters([parameter]) == [7]}
    assert given == {'top_k', 'num_threads'}
    for parameter in names.keys() - given:
        line = node.process.wait_for_line(f'/{parameter}.yaml has no effect: ')
        assert '[WARN]' in line and f', but this node is {node.name}; ' in line
    assert not [line for line in node.process.lines_since(0) if re.search(r'/(top_k|num_threads)\.yaml has', line)]


def test_a_node_that_is_configured_does_not_wait(start_node, models):
    node = start_node(model_file=models())
    node.bring_to('inactive')
    node.diagnosis(lambda s, _: True)
    # Longer than the node waits before it says so.
    for _ in range(50):
        node.diagnosis()
    lines = [line for line in node.process.output.splitlines() if 'waiting for configure' in line]
    configured = node.process.output.index('configured in')
    assert all(node.process.output.index(line) < configured for line in lines)


def test_autostart(start_node, models):
    node = start_node(model_file=models(), autostart=True)
    wait_until(lambda: node.state() == 'active', 'active')
    assert 'waiting for configure' not in node.process.output
    # Afterwards it is a lifecycle node as any other.
    assert node.change_state('deactivate') and node.change_state('cleanup') and node.change_state('configure')


def test_autostart_that_fails_leaves_the_node_running(start_node, models):
    """As detect.launch.py does it: the reason, and what to do after the cause is fixed."""
    node = start_node(model_file='/no/such.onnx', autostart=True)
    node.process.wait_for_line(r"\[ERROR\].*configure failed: model '/no/such.onnx': there is no such file")
    line = node.process.wait_for_line(rf'\[ERROR\].*{node.name} could not configure')
    assert line.endswith(f'After you fix the cause: ros2 lifecycle set {node.name} configure, then activate')
    assert node.state() == 'unconfigured'
    assert node.set_parameters(model_file=models())[0]
    assert node.change_state('configure') and node.change_state('activate')


def test_a_manager_that_comes_during_autostart_is_refused(start_node, models):
    node = start_node(model_file=models(endless='always'), autostart=True)
    wait_until(lambda: node.state() == 'configuring', 'configuring')
    assert node.change_state('configure') is False
    node.process.wait_for_line('transition configure refused: another transition is running')
    assert node.state() == 'configuring'


def test_a_manager_that_comes_late_does_not_disturb_autostart(start_node, models):
    """Configure is refused in each state after the start."""
    node = start_node(model_file=models(slow_load=100), autostart=True)
    wait_until(lambda: node.state() != 'unconfigured', 'configuring, inactive or active')
    assert node.change_state('configure') is False
    wait_until(lambda: node.state() == 'active', 'active')


def test_autostart_that_fails_in_activate_must_configure_again():
    """After an error in activate the node is unconfigured."""
    from trt_perception.node.lifecycle.starting import Starter

    states, said, timers = ['unconfigured'], [], []
    node = SimpleNamespace(
        get_logger=lambda: SimpleNamespace(error=said.append, info=said.append),
        get_parameter=lambda name: SimpleNamespace(value=True),
        create_timer=lambda period, once, **options: timers.append(once) or SimpleNamespace(cancel=lambda: None),
        destroy_timer=lambda timer: None, get_fully_qualified_name=lambda: '/detector',
        trigger=lambda transition: states.append('inactive' if transition == 'configure' else 'unconfigured'))
    Starter(node, threading.Lock(), lambda: states[-1], lambda: False)
    timers[0]()
    assert states == ['unconfigured', 'inactive', 'unconfigured']
    assert said[-1].startswith('/detector could not activate')
    assert said[-1].endswith('ros2 lifecycle set /detector configure, then activate')
