# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Installs the checkout into the venv in editable mode."""

from __future__ import annotations

import os
from pathlib import Path

from .progress import Step
from .venv import Venv

_PACKAGE = 'trt_perception'
_SHARED = ('package.xml', 'config', 'models')
_LAUNCH = 'launch'
_EXECUTABLES = ('trt_perception', 'perception_node', 'detections_3d_node')


def install(root: Path, venv: Venv, log: Path, step: Step) -> None:
    """Install root as an editable package, and as a ROS package of the venv's prefix.

    pip does not install setup.py's data_files for an editable package: links replace them.
    """
    venv.pip(['install', '--no-deps', '--no-build-isolation', '--editable', str(root)], log, step)
    link_shared(root, venv.prefix)
    # `ros2 run` and launch_ros look for executables here.
    for name in _EXECUTABLES:
        _link(venv.prefix / 'lib' / _PACKAGE / name, venv.prefix / 'bin' / name)


def launch_files(root: Path) -> list[str]:
    """Return the names of the launch files in the checkout."""
    return sorted(path.name for path in (root / _LAUNCH).glob('*.launch.py'))


def link_shared(root: Path, prefix: Path) -> None:
    """Link the files of setup.py's data_files into `prefix`: changes in the checkout take effect at once.

    A new launch file appears after the next setup. The others are linked by folder, so new ones appear at once.
    """
    share = prefix / 'share'
    _link(share / 'ament_index' / 'resource_index' / 'packages' / _PACKAGE,
          root / 'resource' / _PACKAGE)
    for name in _SHARED:
        _link(share / _PACKAGE / name, root / name)
    # A real folder: `ros2 launch` looks for launch files with os.walk, which does not follow links to folders.
    folder = share / _PACKAGE / _LAUNCH
    if folder.is_symlink():
        folder.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if old.is_symlink():
            old.unlink()
    for name in launch_files(root):
        _link(folder / name, root / _LAUNCH / name)


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(target, link.parent))
