# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The steps of the setup, in order. A step is skipped if its inputs are unchanged."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from . import project, vision_msgs
from .ament_prefix import install_ament_prefix
from .cmake_exports import mend_exports
from .commands import capture
from .progress import Step
from .stamps import Stamps, content_key
from .system_packages import check_machine
from .venv import BASE_PYTHON, STAMPS, Venv

DISTROS = ('jazzy', 'kilted')
_PIP_FILES = ('runtime.txt', 'build.txt')
_TEST_FILES = ('test.txt',)
_SCRIPTS = Path(__file__).parent


def set_up(root: Path, venv: Venv, distro: str, tests: bool = True) -> bool:
    """Create or complete the environment, with or without what only tests need.

    Return whether anything was done.
    """
    prefix = venv.prefix
    stamps = Stamps(prefix / STAMPS)
    log = prefix / STAMPS / 'setup.log'
    requirements = [root / 'requirements' / name for name in (
        f'ros-{distro}.txt', *_PIP_FILES, *(_TEST_FILES if tests else ()))]
    # bond for the tests of `bond: true`.
    interfaces, bond = (root / 'interfaces' / name for name in ('vision_msgs', 'bond'))

    # A step's key includes the key of the step before: if a step changes, the steps that build on
    # it run again.
    keys = {'venv': content_key(
        [BASE_PYTHON, sysconfig.get_python_version(), str(prefix), str(root), distro])}
    keys['packages'] = content_key(
        [keys['venv']], [*requirements, _SCRIPTS / 'cmake_exports.py'])
    # Depends only on ROS and NumPy: a newer linter must not rebuild it.
    keys['vision_msgs'] = content_key(
        [keys['venv']],
        [*requirements[:2], *(path for folder in (interfaces, bond) for path in folder.rglob('*') if path.is_file()),
         *(_SCRIPTS / name for name in ('cmake_exports.py', 'vision_msgs.py'))])
    keys['project'] = content_key(
        # A launch file that is new or gone: each one is linked.
        [keys['packages'], *project.launch_files(root)],
        [*(root / name for name in ('setup.py', 'setup.cfg', 'package.xml')),
         *(_SCRIPTS / name for name in ('ament_prefix.py', 'project.py'))])

    if not venv.python.exists():
        stamps.begin('venv')
    todo = [name for name, key in keys.items() if not stamps.is_current(name, key)]
    if not todo:
        return False

    check_machine(prefix)
    if 'venv' in todo:
        todo = list(keys)
        with Step('1/4 virtual environment'):
            stamps.begin('venv')
            venv.create(log, prompt=f'trt_perception-{distro}')
        stamps.complete('venv', keys['venv'])
    if 'packages' in todo:
        with Step(f'2/4 ROS 2 {distro} and Python packages') as step:
            stamps.begin('packages')
            _install_packages(venv, requirements, log, step)
        stamps.complete('packages', keys['packages'])
    if 'vision_msgs' in todo:
        with Step('3/4 building vision_msgs and bond') as step:
            stamps.begin('vision_msgs')
            vision_msgs.build(bond, venv, log, step)
            vision_msgs.build(interfaces, venv, log, step)
            vision_msgs.verify(
                vision_msgs.read_expected_hashes(interfaces / 'type_hashes.txt'),
                vision_msgs.read_installed_hashes(prefix))
        stamps.complete('vision_msgs', keys['vision_msgs'])
    if 'project' in todo:
        with Step('4/4 trt_perception') as step:
            stamps.begin('project')
            install_ament_prefix(prefix, venv.site_packages)
            project.install(root, venv, log, step)
        stamps.complete('project', keys['project'])
    return True


def _install_packages(venv: Venv, requirements: list[Path], log: Path, step: Step) -> None:
    forgotten = venv.forget_half_installed()
    if forgotten:
        with log.open('a', encoding='utf-8') as log_file:
            log_file.write(f'interrupted earlier, now installed again: {", ".join(forgotten)}\n')
    arguments = [word for path in requirements for word in ('--requirement', str(path))]
    venv.pip(['install', *arguments], log, step)
    numpy_include = capture(
        [str(venv.python), '-c', 'import numpy; print(numpy.get_include())'])
    mend_exports(venv.prefix, venv.python_include, numpy_include)
