# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks what the machine lacks, before anything is downloaded."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import sys
import sysconfig
from pathlib import Path

from .errors import SetupError

# tool -> Debian and Ubuntu package
_TOOLS = {'gcc': 'gcc', 'g++': 'g++', 'make': 'make'}
# PyPI has ROS 2 wheels for these Python versions.
_OLDEST = (3, 10)
_NEWEST = (3, 14)
_NEEDED_BYTES = 3 << 30


def check_machine(venv: Path) -> None:
    """Raise SetupError with everything that is missing and one apt command to install it."""
    _check_platform()
    _check_python_version()
    missing = missing_packages()
    if missing:
        raise SetupError(
            f'missing system packages: {", ".join(missing)}. Run this, then try again:\n'
            f'  sudo apt-get update && sudo apt-get install -y {" ".join(missing)}')
    _check_disk(venv)


def missing_packages() -> list[str]:
    """Return the Debian or Ubuntu packages that must be installed before the setup."""
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    return missing + _missing_python_packages()


def _check_platform() -> None:
    machine = platform.machine()
    if sys.platform != 'linux' or machine != 'x86_64':
        raise SetupError(
            'expected Linux on x86-64, because PyPI has ROS 2 wheels for it only; found '
            f'{sys.platform} on {machine}. Install ROS 2 with apt and build with colcon: '
            'see README.md')


def _check_python_version() -> None:
    found = sys.version_info[:2]
    if not _OLDEST <= found <= _NEWEST or sys.implementation.name != 'cpython':
        raise SetupError(
            f'expected CPython {_OLDEST[0]}.{_OLDEST[1]} to {_NEWEST[0]}.{_NEWEST[1]}; found '
            f'{sys.implementation.name} {platform.python_version()} at {sys.executable}. '
            'Choose another Python: make setup PYTHON=python3.12')


def _missing_python_packages() -> list[str]:
    missing = []
    if importlib.util.find_spec('venv') is None or importlib.util.find_spec('ensurepip') is None:
        missing.append(_python_package('venv'))
    if not (Path(sysconfig.get_paths()['include']) / 'Python.h').is_file():
        missing.append(_python_package('dev'))
    return missing


def _python_package(suffix: str) -> str:
    """Return python3-venv for the distribution's own Python, else e.g. python3.12-venv."""
    running = Path(sys.executable).resolve()
    is_default = running == Path('/usr/bin/python3').resolve()
    version = '3' if is_default else f'{sys.version_info[0]}.{sys.version_info[1]}'
    return f'python{version}-{suffix}'


def _check_disk(venv: Path) -> None:
    # The folder is there already, because it is locked. What is in it is replaced, or completed.
    if any(venv.iterdir()):
        return
    free = shutil.disk_usage(venv).free
    if free < _NEEDED_BYTES:
        raise SetupError(
            f'expected {_NEEDED_BYTES >> 30} GiB free in {venv.parent}, found '
            f'{free / (1 << 30):.1f} GiB. Free some space and try again')
