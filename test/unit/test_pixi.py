# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""pixi.toml has the packages of requirements/ and package.xml, and tasks whose commands exist."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

tomllib = pytest.importorskip('tomllib', reason='needs Python 3.11')
ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / 'pixi.toml').is_file():
    pytest.skip('needs the whole checkout', allow_module_level=True)
# Name at PyPI, or key of rosdep -> name at conda-forge or RoboStack.
CONDA = {'opencv-python-headless': 'py-opencv', 'python3-opencv': 'py-opencv', 'python3-numpy': 'numpy',
         'python3-yaml': 'pyyaml', 'python3-setuptools': 'setuptools'}
# Metapackage -> what it brings, as its package.xml says (ros2/variants, jazzy).
ROS_BASE = {
    'rclpy', 'rcl_interfaces', 'builtin_interfaces', 'rosgraph_msgs', 'lifecycle_msgs', 'std_msgs', 'geometry_msgs',
    'sensor_msgs', 'diagnostic_msgs', 'launch', 'launch_ros', 'ros2launch', 'ros2bag', 'ament_index_python'}


@pytest.fixture(scope='module')
def pixi():
    return tomllib.loads((ROOT / 'pixi.toml').read_text())


def ranges(name):
    text = (ROOT / 'requirements' / name).read_text()
    return dict(re.findall(r'^([\w-]+)([<>=].*)$', text, re.M))


def test_the_platforms(pixi):
    assert pixi['workspace']['platforms'] == ['linux-64', 'linux-aarch64', 'osx-arm64']
    channels = [channel.rsplit('/', 1)[1] for channel in pixi['workspace']['channels']]
    assert channels == ['robostack-jazzy', 'conda-forge']


def test_versions_are_those_of_the_requirements(pixi):
    found = {**pixi['dependencies'], **pixi['pypi-dependencies']}
    for name, versions in ranges('runtime.txt').items():
        assert found[CONDA.get(name, name)] == versions, name
    assert found['setuptools'] == ranges('build.txt')['setuptools']


def test_ros_packages_are_those_of_package_xml(pixi):
    package = ElementTree.parse(ROOT / 'package.xml').getroot()
    found = set(pixi['dependencies'])
    for key in (element.text for element in package.findall('exec_depend')):
        assert key in ROS_BASE or CONDA.get(key, f'ros-jazzy-{key.replace("_", "-")}') in found, key


def test_tasks(pixi):
    tasks = {**pixi['tasks'], **pixi['feature']['test']['tasks']}
    assert {'demo', 'node', 'test'} <= set(tasks)
    for name in ('demo', 'node', 'test'):
        assert tasks[name]['depends-on'] == ['build'] and '"$@"' in tasks[name]['cmd'], name
    assert (ROOT / 'launch' / re.search(r'\w+\.launch\.py', tasks['node']['cmd']).group()).is_file()
    for folder in re.findall(r'test/\w+', tasks['test']['cmd']):
        assert (ROOT / folder).is_dir(), folder
