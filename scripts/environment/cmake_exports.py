# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Repairs the CMake files of the ROS wheels, which contain folders of the build machine."""

from __future__ import annotations

import re
from pathlib import Path

# e.g. /opt/python/cp311-cp311/include/python3.11
_PYTHON_INCLUDE = re.compile(r'/opt/python/cp\d+-cp\d+/include/python3\.\d+')
# e.g. /tmp/build-env/lib/python3.11/site-packages/numpy/_core/include
_NUMPY_INCLUDE = re.compile(r'/[^;"\s]*?/site-packages/numpy/_?core/include')


def mend(text: str, python_include: str, numpy_include: str) -> str:
    """Return text with the build machine's include folders replaced by the given ones."""
    text = _NUMPY_INCLUDE.sub(lambda _: numpy_include, text)
    return _PYTHON_INCLUDE.sub(lambda _: python_include, text)


def mend_exports(prefix: Path, python_include: str, numpy_include: str) -> int:
    """Repair every *Export*.cmake under prefix/share; return the number of changed files."""
    changed = 0
    for path in (prefix / 'share').glob('**/*Export*.cmake'):
        old = path.read_text()
        new = mend(old, python_include, numpy_include)
        if new != old:
            path.write_text(new)
            changed += 1
    return changed
