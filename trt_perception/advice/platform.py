# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The platform, as far as the commands for it depend on it: Jetson, ROS 2 from apt, or an environment of Python."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

# Jetson Linux (L4T) writes its release there: '# R36 (release), REVISION: 4.3, GCID: ...'
_L4T_FILE = 'etc/nv_tegra_release'
_L4T = re.compile(r'R(\d+) \(release\), REVISION: (\d+)\.(\d+)')
# The first L4T of each JetPack, newest first, of NVIDIA's list of archives. R35 is JetPack 5.
_JETPACKS = (
    ((38, 4, 0), '7.1'), ((38, 2, 0), '7.0'), ((36, 4, 3), '6.2'), ((36, 4, 0), '6.1'), ((36, 2, 0), '6.0'),
    ((35, 0, 0), '5'), ((32, 0, 0), '4'))
# A later major release of L4T is not in the table.
_NEWEST_L4T = 38
_DISTROS = ('lyrical', 'kilted', 'jazzy', 'iron', 'humble')


@dataclass(frozen=True)
class Platform:
    """Where this Python runs.

    python: path of its executable, quoted for a shell, if it is in an environment of its own (venv, conda, pixi),
        otherwise ''
    has_pip: whether that environment has pip; one of uv has none
    sees_apt: whether the packages of apt are visible in it
    version: of Python, such as (3, 12); machine: of the processor, such as 'aarch64'
    ros: the ROS 2 distribution that is sourced or installed in /opt/ros, '' if there is none; sourced: which it is
    l4t, jetpack: versions of a Jetson, such as '36.4.3' and '6.2'; '' if it is no Jetson or the version is unknown
    """

    python: str = ''
    sees_apt: bool = True
    version: tuple[int, int] = (3, 12)
    machine: str = 'x86_64'
    ros: str = ''
    sourced: bool = False
    l4t: str = ''
    jetpack: str = ''
    has_pip: bool = True

    @property
    def is_jetson(self) -> bool:
        """Whether it is a Jetson."""
        return bool(self.l4t)

    def pip(self, packages: str) -> str:
        """Return the line that installs packages of PyPI for this Python."""
        # NumPy 2 breaks apt's OpenCV and cv_bridge, built for NumPy 1 (vision_opencv#535). Python 3.13 and newer have
        # no wheels of NumPy 1, and what apt brings there was built for NumPy 2.
        kept = " 'numpy<2'" if self.sees_apt and self.version < (3, 13) else ''
        return f'{self._pip("install")} {packages}{kept}'

    def pip_files(self, package: str) -> str:
        """Return the line that brings back the files of a package; it leaves the others as they are."""
        return f'{self._pip("install")} --force-reinstall --no-deps {package}'

    def pip_uninstall(self, packages: str) -> str:
        """Return the line that removes packages that pip installed."""
        return f'{self._pip("uninstall")} {packages}'

    def _pip(self, command: str) -> str:
        if self.python:
            return f'{self.python} -m pip {command}' if self.has_pip else f'uv pip {command} --python {self.python}'
        # Ubuntu 24.04's pip installs nothing without the variable, which rosdep's documentation recommends; 22.04's
        # pip ignores it.
        return f'PIP_BREAK_SYSTEM_PACKAGES=1 pip {command}'


@functools.cache
def this_platform() -> Platform:
    """Return the platform of this process."""
    return find_platform(Path('/'), os.environ)


def find_platform(root: Path, environment: Mapping[str, str]) -> Platform:
    """Return the platform. root: the folder that has etc/ and opt/; environment: the variables. Raises nothing."""
    l4t = _l4t(root)
    ros = environment.get('ROS_DISTRO', '')
    python, sees_apt, has_pip = _environment()
    return Platform(
        python, sees_apt, version=sys.version_info[:2], machine=_machine(), ros=ros or _installed_ros(root),
        sourced=bool(ros), l4t=l4t, jetpack=_jetpack(root, l4t), has_pip=has_pip)


def _environment() -> tuple[str, bool, bool]:
    """Return the executable of an environment of its own, or '', whether it sees apt's packages, and has pip."""
    prefix, python = Path(sys.prefix), shlex.quote(sys.executable)
    if sys.prefix == sys.base_prefix:
        own = (prefix / 'conda-meta').is_dir()
        return (python, False, True) if own else ('', True, True)
    settings = ''
    with contextlib.suppress(OSError):
        settings = (prefix / 'pyvenv.cfg').read_text('utf-8', 'replace').lower()
    has_pip = PathFinder.find_spec('pip') is not None or re.search(r'^uv\s*=', settings, re.M) is None
    return python, 'include-system-site-packages = true' in settings, has_pip


def _machine() -> str:
    try:
        return os.uname().machine
    except (AttributeError, OSError):
        return ''


def _installed_ros(root: Path) -> str:
    for distro in _DISTROS:
        if (root / 'opt' / 'ros' / distro / 'setup.bash').exists():
            return distro
    return ''


def _l4t(root: Path) -> str:
    try:
        found = _L4T.search((root / _L4T_FILE).read_text('utf-8', 'replace'))
    except OSError:
        return ''
    return '.'.join(found.groups()) if found else 'unknown'


def _jetpack(root: Path, l4t: str) -> str:
    if not l4t:
        return ''
    with contextlib.suppress(OSError):
        # The meta-package nvidia-jetpack has the version of JetPack, such as 6.2+b77.
        status = (root / 'var' / 'lib' / 'dpkg' / 'status').read_text('utf-8', 'replace')
        found = re.search(r'^Package: nvidia-jetpack\n(?:.+\n)*?Version: ([\d.]+)', status, re.M)
        if found:
            return found.group(1)
    if l4t == 'unknown':
        return ''
    numbers = tuple(map(int, l4t.split('.')))
    if numbers[0] > _NEWEST_L4T:
        return ''
    return next((jetpack for first, jetpack in _JETPACKS if numbers >= first), '')
