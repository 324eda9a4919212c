# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds this package's executables and files, in a ROS 2 install, a colcon workspace or a virtual environment."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from .errors import DemoError

_PACKAGE = 'trt_perception'


def executable(name: str) -> Path:
    """Return the path of an executable of this package, from the same installation as the running program.

    A ROS 2 install has it in <prefix>/lib/trt_perception, a pip install in the environment's bin. Raises DemoError.
    """
    places = [Path(sys.argv[0]).absolute().parent, Path(sys.executable).parent]
    prefix = _ament_prefix()
    if prefix is not None:
        places.insert(1, prefix / 'lib' / _PACKAGE)
    for place in places:
        candidate = place / name
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which(name)
    if found is None:
        raise DemoError(
            f'the executable {name} was not found in {", ".join(map(str, places))} or on PATH: install the package '
            '(make setup, or colcon build and source install/setup.bash)')
    return Path(found)


def large_images_profile() -> Path:
    """Return the Fast DDS profile that the package ships. Raises DemoError if it is not installed."""
    name = Path('config') / 'fastdds_large_images.xml'
    places = [Path(__file__).parents[2]]
    prefix = _ament_prefix()
    if prefix is not None:
        places.insert(0, prefix / 'share' / _PACKAGE)
    for place in places:
        if (place / name).is_file():
            return (place / name).resolve()
    raise DemoError(f'{name} was not found in {" or ".join(map(str, places))}: install the package again')


def _ament_prefix() -> Path | None:
    """Return the prefix of the package in the ament index."""
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_prefix
    except ImportError:
        return None
    try:
        return Path(get_package_prefix(_PACKAGE))
    except (PackageNotFoundError, LookupError, OSError):
        return None
