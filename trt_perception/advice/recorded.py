# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What pip has recorded about a module: its files may be gone, and then pip does nothing."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

_CODE = ('.py', '.pyc', '.so')


def recorded_package(module: str) -> str:
    """Return the package with this module that pip or uv has installed, such as 'opencv-python==4.11.0.86'; '' if none.

    It is wanted if the module is not found: packages that share a folder, such as those of OpenCV, take files of the
    others away when they are uninstalled.
    """
    if module in sys.modules and sys.modules[module] is None:  # its import is blocked, its files are there
        return ''
    try:
        # Packages of apt, and those inside of another package, have no such file.
        names = [f'{one.name}=={one.version}' for one in _owners(module) if one.read_text('INSTALLER')]
        # A version such as 2.5.0+cpu is not on PyPI.
        return names[0].partition('+')[0] if names else ''
    except Exception:  # records that are damaged in any way
        return ''


def is_bare_folder(module: ModuleType) -> bool:
    """Return whether Python took a folder for the package that is none: what an uninstallation left, or data.

    Packages without __init__.py, such as rosbags, have folders with code, and no such file is recorded.
    """
    if getattr(module, '__file__', None) is not None or not hasattr(module, '__path__'):
        return False
    return not any(
        entry.suffix in _CODE or (entry / '__init__.py').exists() for path in module.__path__
        for entry in Path(path).iterdir()) or _had_init_file(module.__name__)


def _had_init_file(module: str) -> bool:
    path = f'{module.replace(".", "/")}/__init__.py'
    top = module.partition('.')[0]
    try:
        owners = [metadata.distribution(top)]
    except metadata.PackageNotFoundError:
        owners = list(_owners(top))
    return any(_is_recorded(one, f'{path},') for one in owners)


def _owners(module: str) -> Iterator[metadata.Distribution]:
    """Yield the packages with files of this module. It reads the records of all packages."""
    # Python 3.12 leaves files that are missing out of packages_distributions() and files().
    for one in metadata.distributions():
        if module in (one.read_text('top_level.txt') or '').split() or any(
                _is_recorded(one, f'{module}{end}') for end in ('/', '.py,')):
            yield one


def _is_recorded(package: metadata.Distribution, beginning: str) -> bool:
    return f'\n{beginning}' in f'\n{package.read_text("RECORD") or ""}'
