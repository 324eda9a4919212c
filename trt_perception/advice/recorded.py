# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What pip has recorded about a module: its files may be gone, and then pip does nothing."""

from __future__ import annotations

import sys
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
        found = [metadata.distribution(name) for name in metadata.packages_distributions().get(module, [])]
        # Packages of apt, and those inside of another package, have no such file.
        names = [f'{one.name}=={one.version}' for one in found if one.read_text('INSTALLER')]
        # A version such as 2.5.0+cpu is not on PyPI.
        return names[0].partition('+')[0] if names else ''
    except Exception:  # records that are damaged in any way
        return ''


def is_bare_folder(module: ModuleType) -> bool:
    """Return whether Python took a folder without code for the package: what an uninstallation left, or data.

    Packages without __init__.py, such as rosbags, have folders with code.
    """
    if getattr(module, '__file__', None) is not None or not hasattr(module, '__path__'):
        return False
    return not any(
        entry.suffix in _CODE or (entry / '__init__.py').exists() for path in module.__path__
        for entry in Path(path).iterdir())
