# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Errors of this room."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from ..errors import PerceptionError, reason

_NOT_ALLOWED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG)


class AnnotateError(PerceptionError):
    """An annotation cannot be written, or what stands in its place is something else."""


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an error of the file system, such as a full disk, into one line.

    folder: of --output
    """
    try:
        yield
    except OSError as error:
        what = 'choose another folder' if error.errno in _NOT_ALLOWED else (
            'finished bags are kept, and the same command continues with the others')
        raise AnnotateError(f'--output {folder}: cannot be written: {reason(error)}; {what}') from error
