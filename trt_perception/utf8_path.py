# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks that C++ libraries can open a path."""

from __future__ import annotations

import os
from pathlib import Path

from .errors import ModelError, printable


def is_utf8(path: str | Path) -> bool:
    """Return whether a path is UTF-8. OpenCV ends the process (SIGSEGV) with one that is not."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def not_utf8(path: str | Path, reader: str, remedy: str = 'rename the file or its folder') -> str:
    """Return the sentence about such a path. The name may be UTF-8 and the locale of this process is not.

    reader: the C++ library that opens it, such as TensorRT; remedy: what to do about the name
    """
    try:
        os.fsencode(path).decode()
    except UnicodeDecodeError:
        return f'{printable(path)}: this path is not UTF-8, but {reader} needs UTF-8: {remedy}'
    return (
        f'{printable(path)}: the locale of this process is not UTF-8, but {reader} needs UTF-8: set LC_ALL=C.UTF-8 or '
        'PYTHONUTF8=1')


def require_utf8(path: str | Path, reader: str) -> None:
    """Raise ModelError if the path is not UTF-8; reader: the C++ library that opens it, such as TensorRT."""
    if not is_utf8(path):
        raise ModelError(not_utf8(path, reader))
