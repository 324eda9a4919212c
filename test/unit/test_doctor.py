# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""trt_perception doctor: on made-up roots, in real environments without packages, and on this machine."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from pathlib import Path

import pytest
from support.cuda_driver import built_driver

from trt_perception.advice.platform import Platform
from trt_perception.cli.main import main
from trt_perception.doctor import examine as examination
from trt_perception.doctor.examine import as_text, examine, prevented
from trt_perception.doctor.facts import Probe, probe
from trt_perception.doctor.faults import import_fault, known_faults, shipped_tensorrt, version_of
from trt_perception.doctor.finding import Finding, Level
from trt_perception.doctor.ros_checks import shared_memory_findings
from trt_perception.doctor.system import System
from trt_perception.doctor.worker import PROBES
from trt_perception.node.process.least_versions import too_old

ROOT = Path(__file__).resolve().parents[2]
NOTHING = Probe(error="the Python package 'x' is not installed; run something")
GOOD = {
    'numpy': Probe(True, '1.26.4'), 'cv2': Probe(True, '4.5.4'), 'opencv_with_numpy': Probe(True, '4.5.4'),
    'onnx': Probe(True, '1.23.2'), 'yaml': Probe(True, '6.0'), 'onnxruntime': Probe(True, '1.23.2'),
    'simplejpeg': Probe(True, '1.9.0'), 'rosbags': Probe(True, '0.11.9'), 'openvino': NOTHING,
    'ai_edge_litert': NOTHING, 'tensorrt': NOTHING, 'tensorrt_rtx': NOTHING, 'pycuda': NOTHING, 'cuda': NOTHING,
    'gpu': Probe(error='there is no NVIDIA driver: libcuda.so.1 cannot be loaded; install the driver'),
    'kernels': Probe(True, '', more={'nvcc': '', 'nvrtc': 'False'}), 'messages': Probe(True),
    'rclpy': Probe(True, '7.1.9', more={'middleware': 'rmw_fastrtps_cpp'})}
GPU = Probe(True, '12.6', more={
    'name': 'Orin', 'compute_capability': '8.7', 'memory_mib': '7620', 'integrated': 'True'})
JETSON = Platform(version=(3, 10), machine='aarch64', ros='humble', sourced=True, l4t='36.4.3', jetpack='6.2')
PC = Platform(version=(3, 12), ros='jazzy', sourced=True)


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A machine with the usual files."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    root = tmp_path / 'root'
    put(root, 'proc/meminfo', 'MemTotal:       16384000 kB\nSwapTotal:      0 kB')
    put(root, 'proc/sys/net/core/rmem_max', '212992')
    (root / 'dev' / 'shm').mkdir(parents=True)
    return root


def put(root, name, text):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{text}\n')
    return path


def found(root, platform=PC, environment=None, **facts):
    usual = {'PATH': '', 'HOME': str(root)}
    return examine(System(root, usual if environment is None else environment, platform), {**GOOD, **facts})


def of(findings, check, level=None):
    return [f for f in findings if f.check == check and level in (None, f.level)]


# The whole report


def test_a_good_machine(root):
    findings = found(root)
    assert not prevented(findings)
    assert {f.level for f in findings} <= {Level.OK, Level.NOTE}
    assert as_text(findings).splitlines()[-1] == (
        '0 errors, 0 warnings, 1 note: nothing prevents it from running')


def test_each_advice_is_one_line_that_begins_with_what_to_do(root):
    findings = found(
        root, JETSON, **dict.fromkeys(GOOD, NOTHING)) + found(root / 'nothing', PC, gpu=GPU)
    advised = [f.advice for f in findings if f.advice]
    assert len(advised) > 10
    for advice in advised:
        assert advice.startswith(('run ', 'start ', 'install ', 'leave ', 'set ', 'mount ')), advice
        assert '\n' not in advice and '<' not in advice.replace('numpy<2', '')


@pytest.mark.parametrize('environment', [{}, {'PATH': ''}, {'ROS_DOMAIN_ID': 'x', 'RMW_IMPLEMENTATION': '\0'}])
def test_a_machine_without_any_file_or_variable(tmp_path, environment):
    findings = examine(System(tmp_path / 'nothing', environment), dict.fromkeys(GOOD, Probe()))
    assert prevented(findings)
    assert not [f for f in findings if 'this check failed' in f.text]
    assert not [f for f in examine(System(tmp_path, environment), {}) if 'this check failed' in f.text]


def test_files_that_hold_something_else(root):
    for name in ('proc/meminfo', 'proc/sys/net/core/rmem_max', 'etc/os-release', 'etc/nv_tegra_release',
                 'etc/nvpmodel.conf', 'proc/device-tree/model'):
        path = put(root, name, '')
        path.write_bytes(b'\xff\x00\n: kB 99999999999999999999999999\x1b[2J' * 3)
    findings = examine(System(root, {'PATH': ''}), GOOD)
    assert not [f for f in findings if 'this check failed' in f.text]
    assert '\x1b' not in as_text(findings)


def test_a_check_that_fails_is_one_finding(root, monkeypatch):
    def check_odd(system, facts):
        yield Finding('odd', Level.OK, 'first')
        raise KeyError('gone')

    monkeypatch.setattr(examination, 'CHECKS', (check_odd, *examination.CHECKS[:1]))
    findings = found(root)
    assert findings[0].text == 'first'
    assert (findings[1].check, findings[1].level) == ('odd', Level.WARNING)
    assert findings[1].text == "this check failed: KeyError: 'gone'"
    assert findings[2].check == 'platform'


# Platform


def test_jetson(root):
    put(root, 'proc/device-tree/model', 'NVIDIA Jetson Orin Nano Developer Kit\0')
    findings = found(root, JETSON, gpu=GPU, tensorrt=Probe(True, '10.3.0'), pycuda=Probe(True, '2026.1'))
    assert of(findings, 'platform')[0].text.startswith('NVIDIA Jetson Orin Nano Developer Kit, Linux, aarch64')
    assert of(findings, 'jetpack')[0].text == 'JetPack 6.2 (L4T 36.4.3)'
    assert of(findings, 'gpu')[0].text == (
        'Orin, compute capability 8.7, 7620 MiB shared with the CPU, the driver supports CUDA 12.6')
    assert [f.text for f in of(findings, 'tensorrt')] == ['TensorRT 10.3.0']
    unknown = of(found(root, replace(JETSON, jetpack='', l4t='41.0.0')), 'jetpack')[0]
    assert (unknown.level, unknown.text) == (Level.NOTE, 'L4T 41.0.0, whose JetPack is not known here')


def program(folder, name, output):
    path = folder / name
    folder.mkdir(exist_ok=True)
    path.write_text(f'#!/bin/sh\necho "{output}"\n')
    path.chmod(0o755)


def test_power_mode(root, tmp_path):
    put(root, 'etc/nvpmodel.conf',
        '< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=25W >\n< POWER_MODEL ID=2 NAME=MAXN_SUPER >')
    program(tmp_path / 'bin', 'nvpmodel', 'NV Power Mode: 25W\n1')
    environment = {'PATH': f'{tmp_path}/bin:/bin:/usr/bin'}
    slow = of(found(root, JETSON, environment), 'power mode')[0]
    assert (slow.level, slow.text) == (Level.WARNING, '25W: the fastest mode is MAXN_SUPER')
    assert slow.advice == 'run sudo nvpmodel -m 2 && sudo jetson_clocks'
    program(tmp_path / 'bin', 'nvpmodel', 'NV Power Mode: MAXN_SUPER\n2')
    assert of(found(root, JETSON, environment), 'power mode')[0].level is Level.OK
    assert of(found(root, JETSON), 'power mode')[0].level is Level.NOTE


@pytest.mark.parametrize('driver, level', [('cpufreq-dt', Level.WARNING), ('intel_pstate', Level.OK)])
def test_governor(root, driver, level):
    put(root, 'sys/devices/system/cpu/cpu0/cpufreq/scaling_governor', 'powersave')
    put(root, 'sys/devices/system/cpu/cpu0/cpufreq/scaling_driver', driver)
    assert of(found(root), 'clocks')[0].level is level


@pytest.mark.parametrize('total, swap, level', [
    (8_000_000, 0, Level.WARNING), (8_000_000, 16_000_000, Level.OK), (32_000_000, 0, Level.OK)])
def test_memory_for_a_build(root, total, swap, level):
    put(root, 'proc/meminfo', f'MemTotal: {total} kB\nSwapTotal: {swap} kB')
    assert of(found(root, JETSON, gpu=GPU), 'memory')[0].level is level
    # A PC builds in the memory of its GPU.
    assert of(found(root), 'memory')[0].level is Level.OK


def test_a_cache_that_cannot_be_written(root, tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', '/dev/null')
    finding = of(found(root), 'cache')[0]
    assert (finding.level, finding.text) == (
        Level.ERROR, '/dev/null cannot be written: models and engines cannot be stored')
    (tmp_path / 'cache' / 'trt_perception').mkdir(parents=True)
    (tmp_path / 'cache' / 'trt_perception').chmod(0o500)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(os, 'access', lambda path, mode: bool(Path(path).stat().st_mode & 0o200))
    finding = of(found(root, environment={'PATH': '', 'USER': 'robot'}), 'cache')[0]
    assert finding.advice == f'run sudo chown -R robot {tmp_path}/cache/trt_perception'


# The GPU


def test_a_gpu_that_the_driver_does_not_show(root):
    put(root, 'sys/bus/pci/devices/0000:01:00.0/vendor', '0x10de')
    put(root, 'sys/bus/pci/devices/0000:01:00.0/class', '0x030000')
    findings = found(root)
    assert of(findings, 'gpu') == [Finding(
        'gpu', Level.WARNING, 'there is no NVIDIA driver: libcuda.so.1 cannot be loaded, so the model runs on the CPU',
        'run sudo ubuntu-drivers install, then reboot; nvidia-smi shows whether the driver works')]
    put(root, '.dockerenv', '')
    assert of(found(root), 'gpu')[0].advice == 'start the container with --gpus all'
    # An NVIDIA sound device is no GPU.
    put(root, 'sys/bus/pci/devices/0000:01:00.0/class', '0x040300')
    assert of(found(root), 'gpu')[0].level is Level.OK


def test_a_jetson_without_tensorrt_is_not_sent_to_pypi(root):
    findings = found(root, JETSON, gpu=GPU)
    tensorrt, cuda, kernels = (of(findings, name)[0] for name in ('tensorrt', 'cuda', 'kernels'))
    assert (tensorrt.level, tensorrt.advice) == (Level.WARNING, 'run sudo apt install python3-libnvinfer')
    assert 'runs on the CPU' in tensorrt.text and 'runs on the CPU' in cuda.text
    assert cuda.advice.startswith('run PATH=/usr/local/cuda/bin:$PATH PIP_BREAK_SYSTEM_PACKAGES=1 pip install pycuda')
    assert kernels.advice == 'run sudo apt install nvidia-jetpack'


def test_a_pc_without_tensorrt(root):
    findings = found(root, PC, gpu=replace(GPU, more={**GPU.more, 'integrated': 'False'}))
    assert 'pip install tensorrt ' in of(findings, 'tensorrt')[0].advice
    assert 'python3-libnvinfer' not in of(findings, 'tensorrt')[0].advice


def test_a_tensorrt_that_does_not_import(root):
    broken = Probe(error=(
        'tensorrt is installed but cannot be imported: libnvdla_compiler.so: cannot open shared object file; run x'))
    finding = of(found(root, JETSON, gpu=GPU, tensorrt=broken), 'tensorrt')[0]
    assert finding.text.endswith('libnvdla_compiler.so: cannot open shared object file')
    assert finding.advice == 'run sudo apt install nvidia-l4t-dla-compiler'
    assert 'on the host' in import_fault(JETSON, 'libnvdla_compiler.so', True)


@pytest.mark.parametrize('jetpack, shipped', [
    ('6.2', (10, 3)), ('6.2.1', (10, 3)), ('7.1', (10, 13)), ('7.2', (10, 16)), ('7.2.1', (10, 16)), ('7.2.2', (11, 4)),
    ('7.2.3', (11, 4)), ('6.0', (8, 6)), ('5.1', (8, 5)), ('9.0', None), ('', None)])
def test_the_tensorrt_of_a_jetpack(jetpack, shipped):
    assert shipped_tensorrt(jetpack) == shipped


@pytest.mark.parametrize('jetpack, tensorrt, level, words', [
    ('6.2', '10.3.0', None, ''),
    ('6.2', '11.1.0', Level.ERROR, 'is not supported on JetPack 6'),
    ('7.1', '11.4.1', Level.ERROR, 'not supported on JetPack before 7.2.2'),
    ('7.2.2', '11.3.0', Level.ERROR, 'not supported on JetPack'),
    ('7.2.2', '11.4.1', None, ''),
    ('6.2', '10.7.0', Level.WARNING, 'is not the 10.3 of JetPack 6.2'),
    ('6.2', '10.7.0', Level.NOTE, 'slower than 10.3'),
    ('7.2', '10.16.1', Level.NOTE, 'has no DLA'),
    ('5.1', '8.5.2', Level.ERROR, 'too old')])
def test_known_faults_on_a_jetson(jetpack, tensorrt, level, words):
    findings = list(known_faults(replace(JETSON, jetpack=jetpack), tensorrt, '13.0'))
    if level is None:
        assert findings == []
    else:
        assert any(f.level is level and words in f.text for f in findings), findings


@pytest.mark.parametrize('tensorrt, driver, needed', [
    ('11.0.0', '12.8', 'CUDA 13'), ('10.13.2', '11.8', 'CUDA 12'), ('10.3.0', '11.8', ''), ('11.0.0', '13.0', ''),
    ('11.0.0', '', '')])
def test_the_driver_must_fit_tensorrt(tensorrt, driver, needed):
    findings = list(known_faults(PC, tensorrt, driver))
    assert [needed in f.text and f.level is Level.ERROR for f in findings] == [True] * bool(needed)


def test_versions():
    assert version_of('10.13.3.9+cuda13.0') == (10, 13, 3, 9)
    assert version_of('1.7.1rc2') == (1, 7, 1)
    assert version_of('') == version_of('unknown') == ()


# Packages


def test_opencv_that_was_built_for_numpy_1(root):
    error = "the Python package 'cv2' was built for NumPy 1 and cannot be imported with NumPy 2: run something"
    finding = of(found(root, cv2=Probe(error=error)), 'cv2')[0]
    assert finding == Finding(
        'cv2', Level.ERROR, "the Python package 'cv2' was built for NumPy 1 and cannot be imported with NumPy 2",
        "run PIP_BREAK_SYSTEM_PACKAGES=1 pip install onnx 'numpy<2'")
    both = of(found(root, opencv_with_numpy=Probe(error='it ends the process with SIGSEGV')), 'cv2')
    assert [f.level for f in both] == [Level.OK, Level.ERROR] and 'SIGSEGV' in both[1].text


@pytest.mark.parametrize('gone, level', [
    ('numpy', Level.ERROR), ('onnx', Level.ERROR), ('onnxruntime', Level.ERROR), ('simplejpeg', Level.NOTE),
    ('rosbags', Level.NOTE)])
def test_a_package_that_is_missing(root, gone, level):
    finding = of(found(root, **{gone: NOTHING}), gone)[0]
    assert finding.level is level and finding.advice.startswith('run ')


def test_without_onnx_runtime_another_backend_runs(root):
    finding = of(found(root, onnxruntime=NOTHING, openvino=Probe(True, '2026.4')), 'onnxruntime')[0]
    assert (finding.level, finding.text) == (
        Level.WARNING, 'ONNX Runtime is not installed: accuracy checks and int8 need it')


def test_an_old_version(root):
    for name in ('onnxruntime', 'simplejpeg'):
        assert f'pip install --upgrade {name}' in of(found(root, **{name: Probe(True, '1.7')}), name)[0].advice
    assert of(found(root, cv2=Probe(True, '4.2.0')), 'cv2')[0].text == 'OpenCV 4.2.0: 4.5.4 or newer is tested'
    # Without --upgrade pip leaves the old version.
    old = Probe(False, error='openvino 2025.3.0 is too old: expected 2025.4 or newer; run pip')
    for name, seen in (('onnx', Probe(True, '1.12')), ('openvino', old)):
        assert f' install --upgrade {name}' in of(found(root, **{name: seen}), name)[0].advice


def test_a_broken_package_is_installed_again(root):
    """Without the option, pip and apt do nothing: it is installed."""
    broken = Probe(error='onnx is installed but cannot be imported: libx.so: cannot open shared object file; run x')
    for name in ('onnx', 'simplejpeg', 'onnxruntime'):
        assert f'pip install --force-reinstall {name}' in of(found(root, **{name: broken}), name)[0].advice
    assert of(found(root, cv2=broken), 'cv2')[0].advice == 'run sudo apt install --reinstall python3-opencv'
    # NumPy is what must be installed then.
    old = Probe(error='simplejpeg was built for NumPy 1 and cannot be imported with NumPy 2: run x')
    finding = of(found(root, simplejpeg=old), 'simplejpeg')[0]
    assert finding.text.endswith('with NumPy 2') and finding.advice.endswith("onnx 'numpy<2'")


def test_a_runtime_that_is_broken_is_an_error_unless_another_runs_the_model(root):
    broken = Probe(error='onnxruntime was built for NumPy 1 and cannot be imported with NumPy 2: run x')
    assert of(found(root, onnxruntime=broken), 'onnxruntime')[0].level is Level.ERROR
    other = found(root, onnxruntime=broken, openvino=Probe(True, '2026.4'))
    assert of(other, 'onnxruntime')[0].level is Level.WARNING


def test_files_of_a_package_that_are_gone(root):
    """The error has the command: only the process that imports knows which package the files belong to."""
    text = "files of the Python package 'cv2' are missing, but it is installed as opencv-python==4.11"
    gone = Probe(error=f'{text}; run x')
    assert of(found(root, cv2=gone), 'cv2')[0] == Finding('cv2', Level.ERROR, text, 'run x')


def test_a_library_that_cannot_be_mapped_is_not_installed_again(root):
    text = 'cv2 is installed but cannot be imported: /x/cv2.so: failed to map segment from shared object'
    assert of(found(root, cv2=Probe(error=f'{text}; give more')), 'cv2')[0] == Finding(
        'cv2', Level.ERROR, text, 'give more')


@pytest.mark.parametrize('package, module', [
    ('numpy', 'numpy'), ('opencv-python-headless', 'cv2'), ('onnx', 'onnx'), ('pyyaml', 'yaml')])
def test_the_least_versions_are_those_of_the_requirements(root, package, module):
    """onnx before 1.16 cannot be imported by the quantiser of ONNX Runtime 1.20 and newer."""
    folder = Path(__file__).resolve().parents[2]
    least, = re.findall(rf'^{package}>=([\d.]+)', (folder / 'requirements' / 'runtime.txt').read_text(), re.MULTILINE)
    before = '.'.join([*least.split('.')[:-1], str(int(least.split('.')[-1]) - 1)])
    assert of(found(root, **{module: Probe(True, least)}), module)[0].level is Level.OK
    assert f'{before}: {least} or newer is tested' in of(found(root, **{module: Probe(True, before)}), module)[0].text
    if package == 'onnx':
        assert version_of(least) >= version_of('1.16')
        assert f'\nonnx = ">={least},' in (folder / 'pixi.toml').read_text()


# ROS


def test_ros_that_is_not_there_or_not_sourced(root):
    absent = of(found(root, Platform(python='/v/bin/python', sees_apt=False), rclpy=NOTHING), 'ros')[0]
    assert absent.level is Level.WARNING and absent.text.startswith('ROS 2 is not installed: the node cannot run')
    unsourced = of(found(root, Platform(ros='humble'), rclpy=NOTHING), 'ros')[0]
    assert unsourced.advice == 'run source /opt/ros/humble/setup.bash'
    broken = Probe(error="rclpy is installed but cannot be imported: No module named 'rclpy._rclpy_pybind11'; run x")
    assert of(found(root, rclpy=broken), 'ros')[0].level is Level.ERROR
    messages = Probe(error="the Python package 'vision_msgs' is not installed; run sudo apt install x")
    assert of(found(root, messages=messages), 'ros', Level.ERROR)[0].advice == 'run sudo apt install x'


def test_domain_and_profile(root, tmp_path):
    findings = found(root, environment={'PATH': '', 'ROS_DOMAIN_ID': '150'})
    assert of(findings, 'domain')[0].level is Level.WARNING
    findings = found(
        root, environment={'PATH': '', 'ROS_DOMAIN_ID': 'seven', 'FASTRTPS_DEFAULT_PROFILES_FILE': '/gone'})
    assert of(findings, 'middleware', Level.ERROR)[0].text == "ROS_DOMAIN_ID is 'seven'"
    assert of(findings, 'large images')[0].level is Level.WARNING
    profile = put(tmp_path, 'profile.xml', '<profiles/>')
    for version, level in (('fastdds', Level.OK), ('fastrtps', Level.WARNING)):
        # Fast DDS 2 does not look at this variable.
        (tmp_path / version / 'share' / version).mkdir(parents=True)
        environment = {
            'PATH': '', 'FASTDDS_DEFAULT_PROFILES_FILE': str(profile), 'AMENT_PREFIX_PATH': str(tmp_path / version)}
        assert of(found(root, environment=environment), 'large images')[0].level is level
    for value, words in ((tmp_path, 'cannot be read'), (put(tmp_path, 'profile.txt', 'x'), 'is not XML')):
        findings = found(root, environment={'PATH': '', 'FASTRTPS_DEFAULT_PROFILES_FILE': str(value)})
        assert words in of(findings, 'large images', Level.WARNING)[0].text


def test_a_missing_middleware_is_named_although_rclpy_ends_the_process(root, tmp_path):
    (tmp_path / 'share' / 'ament_index' / 'resource_index' / 'rmw_typesupport' / 'rmw_fastrtps_cpp').mkdir(parents=True)
    crashed = Probe(error='it is installed, but it ends the process with exit code 102')
    environment = {'PATH': '', 'AMENT_PREFIX_PATH': str(tmp_path), 'RMW_IMPLEMENTATION': 'rmw_none_cpp'}
    findings = found(root, environment=environment, rclpy=crashed)
    assert of(findings, 'middleware', Level.ERROR)[0].text == (
        "RMW_IMPLEMENTATION is 'rmw_none_cpp', which is not installed")
    # To install ROS would not help.
    assert not of(findings, 'ros')
    assert of(found(root, rclpy=crashed), 'ros', Level.ERROR)[0].text.startswith('rclpy is installed, but it ends')


@pytest.mark.parametrize('variables, words', [
    ({'ROS_LOG_DIR': '/dev/null/x'}, '/dev/null/x cannot be written'),
    ({'HOME': '/dev/null'}, '~/.ros/log cannot be written'),
    ({'ROS_HOME': '/dev/null'}, '/dev/null/log cannot be written'),
    ({}, 'HOME is not set')])
def test_without_a_log_folder_no_node_starts(root, tmp_path, variables, words):
    finding = of(found(root, environment={'PATH': '', **variables}), 'log folder', Level.ERROR)[0]
    assert words in finding.text and finding.advice.startswith('run export ROS_LOG_DIR=')
    elsewhere = {'PATH': '', **variables, 'ROS_LOG_DIR': str(tmp_path / 'new')}
    assert not of(found(root, environment=elsewhere), 'log folder')


def test_socket_buffers_matter_with_cyclone_dds_and_the_profile_with_fast_dds(root):
    cyclone = Probe(True, '7.1.9', more={'middleware': 'rmw_cyclonedds_cpp'})
    findings = found(root, rclpy=cyclone)
    assert of(findings, 'sockets')[0].advice.startswith('run sudo sysctl -w net.core.rmem_max=67108864')
    assert not of(findings, 'large images') and not of(findings, 'shared memory')
    assert of(found(root), 'sockets')[0].level is Level.OK


def test_shared_memory(root):
    folder = root / 'dev' / 'shm'
    for name in ('fastrtps_0123456789abcdef', 'fastdds_fedcba9876543210'):
        (folder / name).write_bytes(b'x' * 1000)
        (folder / f'{name}_el').touch()
    with (folder / 'fastdds_fedcba9876543210_el').open() as owner:
        fcntl.flock(owner, fcntl.LOCK_EX)
        left, small = shared_memory_findings(folder, (60_000_000, 64 << 20))
        assert left.text.startswith('1 segments (0 MB) of killed processes')
    assert (small.level, small.advice) == (Level.WARNING, 'start the container with --shm-size=512m')
    assert sorted(path.name for path in folder.iterdir()) == [
        'fastdds_fedcba9876543210', 'fastdds_fedcba9876543210_el', 'fastrtps_0123456789abcdef',
        'fastrtps_0123456789abcdef_el']
    gone, = shared_memory_findings(folder / 'none', None)
    assert gone.level is Level.WARNING


def test_shared_memory_that_cannot_be_written(tmp_path):
    """It has room, but Fast DDS makes no segment there and loses images."""
    inside = ('unshare', '--mount', '--map-root-user', 'sh', '-c', 'mount -t tmpfs -o ro tmpfs "$0" && exec "$@"')
    if not shutil.which('unshare') or subprocess.run([*inside, tmp_path, 'true'], capture_output=True).returncode:
        pytest.skip('this machine mounts nothing for a test')
    done = subprocess.run(
        [*inside, tmp_path, sys.executable, '-c',
         'import sys; from pathlib import Path; from trt_perception.doctor.ros_checks import shared_memory_findings\n'
         'print(*shared_memory_findings(Path(sys.argv[1]), (1 << 40, 1 << 40)))', tmp_path],
        env={**os.environ, 'PYTHONPATH': str(ROOT)}, capture_output=True, text=True, timeout=600)
    assert '/dev/shm cannot be written: images are sent by UDP and are lost' in done.stdout, done.stderr
    assert done.stdout.count('Finding(') == 1


@pytest.mark.parametrize('package, version, words', [
    ('rmw_fastrtps_cpp', '9.4.9', 'rmw_fastrtps_cpp 9.4.9 is too old: expected 9.4.10 or newer, because'),
    ('rmw_fastrtps_cpp', '9.4.10', ''), ('rmw_fastrtps_cpp', '8.4.3', ''), ('rmw_fastrtps_cpp', '9.3.2', ''),
    ('rclpy', '10.0.10', 'rclpy 10.0.10 is too old: expected 10.0.11 or newer, because'), ('rclpy', '10.0.11', ''),
    ('rclpy', '9.1.2', ''), ('rclpy', '11.0.0', '')])
def test_least_versions_of_lyrical(tmp_path, package, version, words):
    put(tmp_path, f'share/{package}/package.xml', f'<package format="3">\n  <version>{version}</version>\n</package>')
    texts = [text for text in too_old({'AMENT_PREFIX_PATH': str(tmp_path)}) if text.startswith(package)]
    assert len(texts) == bool(words) and all(words in text for text in texts)


# The process that imports


def test_a_package_that_crashes_or_hangs_ends_only_its_own_process(tmp_path, monkeypatch):
    for name, body in (('onnx', 'import os, signal; os.kill(os.getpid(), signal.SIGSEGV)'),
                       ('yaml', 'import time; time.sleep(60)'), ('rosbags', 'import os; os._exit(7)'),
                       ('simplejpeg', '__version__ = "9.9"; print("noise")')):
        (tmp_path / f'{name}.py').write_text(f'{body}\n')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    answers = probe(['onnx', 'rosbags', 'simplejpeg'])
    assert answers['onnx'].error == 'it is installed, but it ends the process with SIGSEGV'
    assert answers['rosbags'].error == 'it is installed, but it ends the process with exit code 7'
    assert (answers['simplejpeg'].found, answers['simplejpeg'].version) == (True, '9.9')
    # Also on a busy machine, where the process may not even have started by then.
    hung, = probe(['yaml'], limit_s=3.0).values()
    assert not hung.found and not hung.missing


def test_a_gpu_is_found_through_its_driver(root, tmp_path, monkeypatch):
    """The facts of the real probe, on a stand-in for the driver: the GPU has a name, as the probe has."""
    driver = built_driver(tmp_path)
    libraries = [str(driver), os.environ.get('LD_LIBRARY_PATH', '')]
    monkeypatch.setenv('LD_LIBRARY_PATH', os.pathsep.join(filter(None, libraries)))
    answers = probe(['numpy', 'gpu', 'kernels'])
    assert set(answers) == {'numpy', 'gpu', 'kernels'}
    assert answers['gpu'].found, answers['gpu'].error
    finding, = of(found(root, gpu=answers['gpu']), 'gpu')
    assert finding.level is Level.OK
    assert finding.text.startswith('Host GPU, compute capability ')
    assert '8192 MiB' in finding.text


def test_each_probe_answers_for_itself():
    assert set(probe(list(PROBES))) == set(PROBES)


def test_without_child_processes_no_package_is_called_broken(tmp_path):
    """With `ulimit -u`: each package had the advice to install it again."""
    code = (
        'import sys, subprocess\n'
        'def refused(*arguments, **options): raise BlockingIOError(11, "Resource temporarily unavailable")\n'
        'subprocess.Popen = refused\n'
        'from trt_perception.cli.main import main\nsys.exit(main(["doctor"]))\n')
    done = subprocess.run(
        [sys.executable, '-c', code], env={**os.environ, 'PYTHONPATH': str(ROOT), 'XDG_CACHE_HOME': str(tmp_path)},
        capture_output=True, text=True, timeout=600)
    assert done.returncode == 1 and 'force-reinstall' not in done.stdout, done.stdout + done.stderr
    assert 'error    packages       not checked: no child process can be started\n' in done.stdout
    assert 'more processes (ulimit -u' in done.stdout and 'ok       platform' in done.stdout


# Real environments


def environment_without(folder, *gone):
    """Make a venv that has the packages of this one except some; returns its Python."""
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(folder)], check=True)
    python = folder / 'bin' / 'python'
    # Without the variable that its wheels set, its libraries are not found.
    gone = (*gone, 'rclpy', 'ros_jazzy_rclpy', 'ros_kilted_rclpy', 'ros_rclpy')
    if '*' not in gone:
        packages = folder / 'packages'
        packages.mkdir()
        for path in Path(sysconfig.get_paths()['purelib']).iterdir():
            name = path.name.lower().replace('-', '_')
            if not path.name.endswith('.pth') and not any(
                    name == one or name.startswith((f'{one}.', f'{one}_headless', f'{one}_')) for one in gone):
                (packages / path.name).symlink_to(path)
        site, = (folder / 'lib').glob('python*/site-packages')
        (site / 'packages.pth').write_text(f'{packages}\n')
    return python


def report(python, tmp_path):
    environment = {
        name: value for name, value in os.environ.items()
        if not name.startswith(('ROS_', 'AMENT_', 'LD_LIBRARY', 'RMW_'))}
    done = subprocess.run(
        [python, '-m', 'trt_perception.cli.main', 'doctor', '--json'], cwd=tmp_path, capture_output=True, text=True,
        env={**environment, 'PYTHONPATH': str(ROOT), 'XDG_CACHE_HOME': str(tmp_path)}, check=False, timeout=300)
    assert done.stderr == ''
    answer = json.loads(done.stdout)
    assert answer['ok'] == (done.returncode == 0)
    return answer['findings']


def test_an_environment_without_any_package(tmp_path):
    python = environment_without(tmp_path / 'bare', '*')
    findings = report(python, tmp_path)
    errors = {f['check']: f for f in findings if f['level'] == 'error'}
    assert set(errors) == {'numpy', 'cv2', 'onnx', 'yaml', 'onnxruntime'}
    assert errors['cv2']['advice'] == f'run {python} -m pip install opencv-python-headless'
    assert not [f for f in findings if 'this check failed' in f['text']]


@pytest.mark.parametrize('module', ['cv2', 'onnx', 'onnxruntime', 'simplejpeg', 'ai_edge_litert', 'yaml'])
def test_an_environment_without_one_package(tmp_path, module):
    for needed in ('cv2', 'onnx', 'onnxruntime', 'simplejpeg', 'yaml'):
        pytest.importorskip(needed, reason=f'needs {needed}: make setup')
    findings = report(environment_without(tmp_path / 'less', module), tmp_path)
    errors = {f['check'] for f in findings if f['level'] == 'error'}
    assert errors == ({module} if module in ('cv2', 'onnx', 'onnxruntime', 'yaml') else set())
    assert {f['level'] for f in findings if f['check'] == module} <= {'error', 'note'}
    assert {f['check'] for f in findings if f['level'] == 'ok'} >= {'numpy'}


def test_this_machine(capsys):
    pytest.importorskip('onnxruntime', reason='needs onnxruntime: make setup')
    code = main(['doctor'])
    out = capsys.readouterr().out
    assert out.startswith('ok       platform ')
    assert 'this check failed' not in out
    assert code == ('error    ' in out)
