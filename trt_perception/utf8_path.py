# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks that C++ libraries can open a path."""

from __future__ import annotations

from pathlib import Path

from .errors import ModelError, printable


def is_utf8(path: str | Path) -> bool:
    """Return whether a path is UTF-8. OpenCV ends the process (SIGSEGV) with one that is not."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def require_utf8(path: str | Path, reader: str) -> None:
    """Raise ModelError if the path is not UTF-8; reader: the C++ library that opens it, such as TensorRT."""
    if not is_utf8(path):
        raise ModelError(
            f'{printable(path)}: this path is not UTF-8, but {reader} needs UTF-8; rename the file or its folder')
