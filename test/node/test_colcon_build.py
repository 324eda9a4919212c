# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`colcon build` makes a package that `ros2 run`, launch files and other packages can find."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('ament_index_python', reason='needs ROS 2')
pytest.importorskip('colcon_ros', reason='needs colcon (colcon-common-extensions)')

ROOT = Path(__file__).resolve().parents[2]
PARTS = ('package.xml', 'setup.py', 'setup.cfg', 'NOTICE', 'resource', 'trt_perception', 'launch', 'config',
         'models', 'interfaces')


@pytest.fixture(scope='module')
def workspace(tmp_path_factory):
    """Build a copy of the sources, with interfaces/ beside them as in a checkout."""
    workspace = tmp_path_factory.mktemp('workspace')
    source = workspace / 'src' / 'trt_perception'
    source.mkdir(parents=True)
    for part in PARTS:
        if (ROOT / part).is_dir():
            # Other tests write bytecode at the same time.
            shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy(ROOT / part, source / part)
    done = subprocess.run(
        [sys.executable, '-m', 'colcon', 'build'], cwd=workspace, capture_output=True, text=True,
        timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return workspace


def run_in(workspace, command):
    """Run a shell command with the workspace sourced, outside the checkout."""
    return subprocess.run(
        ['bash', '-c', f'. {workspace}/install/setup.bash && {command}'], cwd=workspace,
        capture_output=True, text=True, timeout=600, check=False,
        env={**os.environ, 'PYTHONDONTWRITEBYTECODE': '1'})


def test_only_this_package_is_built(workspace):
    packages = {path.name for path in (workspace / 'install').iterdir() if path.is_dir()}
    assert packages == {'trt_perception'}


def test_every_shared_file_is_installed(workspace):
    share = workspace / 'install' / 'trt_perception' / 'share' / 'trt_perception'
    for folder in ('launch', 'config', 'models'):
        here, there = (
            {path.relative_to(root / folder).as_posix() for path in (root / folder).rglob('*.*')
             # ros2 launch writes bytecode, perhaps in another test at the same time.
             if path.is_file() and path.parent.name != '__pycache__'}
            for root in (ROOT, share))
        assert there == here and here, folder
    assert (share / 'package.xml').read_text() == (ROOT / 'package.xml').read_text()


def test_ament_index_and_python_find_the_workspace(workspace):
    done = run_in(workspace, f'''{sys.executable} -c "
import ament_index_python.packages as index, trt_perception
print(index.get_package_prefix('trt_perception'))
print(trt_perception.__file__)"''')
    assert done.returncode == 0, done.stderr
    prefix, module = done.stdout.split()
    assert prefix == str(workspace / 'install' / 'trt_perception')
    assert module.startswith(prefix)


@pytest.mark.parametrize('name', ['trt_perception', 'perception_node'])
def test_executables_are_where_ros2_run_looks(workspace, name):
    executable = workspace / 'install' / 'trt_perception' / 'lib' / 'trt_perception' / name
    assert os.access(executable, os.X_OK)


def test_command_line_runs_from_the_workspace(workspace):
    done = run_in(workspace, 'install/trt_perception/lib/trt_perception/trt_perception --help')
    assert done.returncode == 0, done.stderr
    assert 'predict' in done.stdout


def test_shipped_labels_come_along(workspace):
    package = next((workspace / 'install' / 'trt_perception').glob('**/site-packages/*/data'))
    here = {path.name for path in (ROOT / 'trt_perception' / 'data').iterdir()}
    assert {path.name for path in package.iterdir()} == here


def test_type_checkers_find_the_mark_of_a_typed_package(workspace):
    """`py.typed` is beside the installed __init__.py (PEP 561)."""
    done = run_in(workspace, f'''{sys.executable} -c "
import pathlib, trt_perception
print(pathlib.Path(trt_perception.__file__).with_name('py.typed').is_file(), trt_perception.__file__)"''')
    assert done.returncode == 0, done.stderr
    found, module = done.stdout.split()
    assert (found, module.startswith(str(workspace / 'install'))) == ('True', True)
