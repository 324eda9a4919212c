# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs docs/tutorial.md as it stands, in a folder beside links to the repository's folders, and the README's commands.

Blocks with a mark are skipped, with the reason. The others run in the order of the page. Needs the installed program,
ROS 2, PyTorch, LiteRT and, once, a network for the catalogue.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.console_blocks import Step, read_blocks, run_steps
from support.node_fixtures import needs_ros, separate_domain

from trt_perception.errors import FetchError
from trt_perception.launching.large_images import PROFILE_VARIABLES

ROOT = Path(__file__).resolve().parents[2]
PAGE, README = ROOT / 'docs' / 'tutorial.md', ROOT / 'README.md'
if not PAGE.is_file():
    pytest.skip('needs the whole checkout', allow_module_level=True)
BLOCKS = read_blocks(PAGE.read_text())
REASONS = {
    'set-up': 'the environment of the test was set up before',
    'needs-download': 'needs the trained weights of torchvision',
    'needs-browser': 'needs a browser; Netron is tested in test/unit/test_look.py',
    'needs-gpu': 'needs an NVIDIA GPU with TensorRT',
    'needs-yolov5': "needs YOLOv5's repository and weights",
    'needs-ros': 'needs a ROS 2 install; the launch files are tested in test/launch',
    'needs-quiet': 'measures, which a test does not',
    'needs-tensorflow': 'needs TensorFlow in another environment',
}
# All commands of a block. A machine that is busy with other programs takes ten times as long as a quiet one.
TIMEOUT_S = 800
FETCHED = ('yolov3-tiny', 'efficientnet-lite0', 'bikes')


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """The repository as a reader has it: a folder with its folders, where he works, and the installed program."""
    for package in ('cv2', 'onnx', 'onnxruntime', 'yaml'):
        pytest.importorskip(package)
    if not Path(sys.executable).with_name('trt_perception').is_file():
        pytest.skip('needs the installed program trt_perception: make setup')
    from trt_perception.catalogue.catalog import find_entry
    from trt_perception.catalogue.fetch import fetch_entry
    for name in FETCHED:
        try:
            fetch_entry(find_entry(name))
        except FetchError as error:
            if os.environ.get('CI'):
                raise
            pytest.skip(f'needs a network: {error}')
    root = tmp_path_factory.mktemp('repository')
    for name in ('config', 'test'):
        (root / name).symlink_to(ROOT / name)
    (root / '.venv').symlink_to(sys.prefix)
    return root


@pytest.fixture(scope='module')
def environment():
    """A shell with the activated environment, in a ROS domain of its own."""
    with separate_domain():
        changed = {**os.environ, 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}'}
        # The page sets it.
        yield {name: value for name, value in changed.items() if name not in PROFILE_VARIABLES}


@pytest.fixture(scope='module')
def folder(place, environment):
    needs_ros()
    for package, command in (('torch', 'export'), ('torchvision', 'export'), ('ai_edge_litert', 'ci')):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f'needs {package}: python -m pip install -r requirements/{command}.txt')
    made = place / 'tutorial'
    made.mkdir()
    return made


@pytest.mark.timeout(4 * TIMEOUT_S)
def test_the_commands_of_the_tutorial(folder, environment):
    """One test, since the blocks use each other's files: pytest-xdist must not spread them over processes."""
    for block in BLOCKS:
        if block.file:
            (folder / block.file).write_text(block.text)
        elif not block.mark:
            try:
                run_steps(block.steps, folder, environment, TIMEOUT_S)
            except AssertionError as error:
                raise AssertionError(f'line {block.line} of {PAGE.name}: {error}') from error


@pytest.mark.parametrize('block', [
    pytest.param(block, id=f'line {block.line}') for block in BLOCKS if block.mark])
def test_commands_that_are_not_run(block):
    pytest.skip(REASONS[block.mark])


def test_the_page_says_what_is_not_run():
    for block in BLOCKS:
        assert not block.mark or (block.mark in REASONS and '**Needs**' in block.before), f'line {block.line}'
    assert sum(not block.mark for block in BLOCKS) > len(BLOCKS) / 2


def quickstart():
    """The first block of the README, without its comments."""
    lines = re.search(r'^### Laptop.*?^```\n(.*?)^```', README.read_text(), re.MULTILINE | re.DOTALL)[1].splitlines()
    return [line.partition('  #')[0].strip() for line in lines]


def test_the_first_command_of_the_readme_finds_the_astronaut(place, environment):
    """`git` and `make` are not run here: test_environment_scripts.py and test_demo.py have their parts."""
    commands = [line for line in quickstart() if not line.startswith(('git ', 'make '))]
    assert len(commands) == 1 and 'predict' in commands[0]
    run_steps(
        (Step(commands[0], ('test/data/photos/astronaut.jpg 0: person ~0.73 (~22.2 ms)',)),), place, environment,
        TIMEOUT_S)
    assert len(list((place / 'pictures').iterdir())) == 1
    shutil.rmtree(place / 'pictures')


def test_the_python_example_of_the_readme_finds_the_astronaut(place, environment):
    [code] = re.findall(r'^```python\n(.*?)^```', README.read_text(), re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=place, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0 and done.stdout.startswith("['person'] [0.7"), done
