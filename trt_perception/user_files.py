# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads small files that a user names, whatever they are: a device, an endless file or a crafted one takes no time."""

from __future__ import annotations

import errno
import os
import reprlib
import stat
from pathlib import Path
from typing import Any

from .dependencies import require
from .errors import one_line

# A number with more digits is not an index, a size or a time. int() takes seconds for a million of them.
_MOST_DIGITS = 100
# Merge keys (<<) copy pairs: a few lines of nested ones would become billions.
_MOST_PAIRS = 10_000

_short = reprlib.Repr()
_short.maxlevel = 2
_short.maxstring = _short.maxother = _short.maxlong = 40
_KINDS = (
    (stat.S_ISDIR, 'a folder'), (stat.S_ISFIFO, 'a pipe'), (stat.S_ISSOCK, 'a socket'), (stat.S_ISCHR, 'a device'),
    (stat.S_ISBLK, 'a device'))


def why_no_file(path: Path) -> str:
    """Return what stands at a path that is not a regular file, as a sentence: 'there is no such file', 'it is ...'."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return 'there is no such file'
    return f'it is {next((kind for check, kind in _KINDS if check(mode)), "no regular file")}'


def read_whole(path: Path, most_bytes: int) -> bytes:
    """Return the content of a regular file; never waits for a writer and never reads more than `most_bytes` + 1.

    Raises OSError, whose strerror says what is wrong, if it is not a regular file, has more bytes or cannot be read.
    """
    try:
        # O_NONBLOCK: opening a pipe would otherwise wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:
        raise OSError(errno.EINVAL, f'the name cannot be used: {error}') from error
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = next((name for is_kind, name in _KINDS if is_kind(mode)), 'something else')
        raise OSError(errno.EINVAL, f'expected a file, found {kind}')
    with os.fdopen(descriptor, 'rb') as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise OSError(errno.EFBIG, f'expected at most {most_bytes / 1e6:.1f} MB, found more')
    return content


def load_yaml(text: str) -> Any:
    """Return the value of a YAML document, as yaml.safe_load, which raises errors of many types and can be made slow.

    Lists and mappings may contain the same object several times (aliases): a value of a few objects may be huge when it
    is written out, so show it with `shown`.
    Raises ValueError, with one line that says why, if it is not YAML or is nested too deeply; MissingDependencyError.
    """
    yaml = require('yaml')

    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        """SafeLoader without the values that take very long."""

        def construct_scalar(self, node: Any) -> Any:
            value = super().construct_scalar(node)
            if node.tag.rpartition(':')[2] in ('int', 'float') and len(value) > _MOST_DIGITS:
                raise ValueError(f'a number with {len(value)} digits')
            return value

        def flatten_mapping(self, node: Any) -> None:
            before = len(node.value)
            super().flatten_mapping(node)
            if len(node.value) - before > _MOST_PAIRS:
                raise ValueError(f'merge keys that make more than {_MOST_PAIRS} entries')

    try:
        return yaml.load(text, Loader)
    except MemoryError:
        raise
    except RecursionError:
        raise ValueError('it is nested too deeply') from None
    except yaml.MarkedYAMLError as error:
        where = f' in line {error.problem_mark.line + 1}' if error.problem_mark else ''
        raise ValueError(f'{one_line(error.problem or error, 80)}{where}') from error
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(one_line(error, 80)) from error
    except Exception as error:  # KeyError, IndexError, AttributeError: PyYAML does not expect every text after a tag
        raise ValueError(f'a value does not fit its tag: {one_line(error, 80)}') from error


def shown(value: Any) -> str:
    """Return a short text for a value of a file, however large the value is: its type, and its start or length."""
    if isinstance(value, (list, tuple, dict, set)):
        return f'{type(value).__name__} with {len(value)} entries'
    return f'{type(value).__name__} {short_repr(value)}'


def short_repr(value: Any) -> str:
    """Return the start of a value's repr, on one line."""
    return one_line(_short.repr(value), 60)


def short_int(digits: str) -> int:
    """Return an integer; ValueError if it has too many digits. For `parse_int` of json.loads."""
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f'a number with {len(digits)} digits')
    return int(digits)
