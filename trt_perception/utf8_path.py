# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Paths that C++ libraries can open."""

from __future__ import annotations

from pathlib import Path

from .errors import ModelError, printable


def require_utf8(path: str | Path, reader: str) -> None:
    """Raise ModelError for a path that cannot be handed to C++; reader: what would open it, as TensorRT."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ModelError(
            f'{printable(path)}: this path is not UTF-8, and {reader} reads no other; rename the file, or the folder '
            'that it is in') from None
