# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The cache folder: each file is complete or absent, and has a record to detect damage."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .errors import FetchError, reason
from .file_lock import LockingError, hold_lock
from .home import home_folder
from .progress import ProgressCallback, silent
from .unfinished import part_folder, remove_leftovers


def cache_root() -> Path:
    """Return $XDG_CACHE_HOME/trt_perception, or ~/.cache/trt_perception; it need not exist."""
    # The XDG specification says that a relative path must be ignored.
    base = os.environ.get('XDG_CACHE_HOME', '')
    if base and Path(base).is_absolute():
        return Path(base) / 'trt_perception'
    try:
        return home_folder() / '.cache' / 'trt_perception'
    except RuntimeError as error:
        raise FetchError(
            'expected a home folder to store models in, found none: set XDG_CACHE_HOME to a folder '
            'that can be written') from error


def elsewhere(path: Path) -> str:
    """Return the advice for a file that cannot be written."""
    try:
        in_cache = path.absolute().is_relative_to(cache_root())
    except FetchError:
        in_cache = False
    place = 'set XDG_CACHE_HOME to a folder that can be written' if in_cache else 'choose another place for it'
    return f'free space, or {place}'


def file_sha256(path: Path, progress: ProgressCallback = silent) -> str:
    """Return the sha256 of a file's content, in hexadecimal digits.

    progress: called with a text, the number of bytes read and the size of the file
    """
    digest = hashlib.sha256()
    size = path.stat().st_size
    done = 0
    with path.open('rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            done += len(chunk)
            progress(f'reading {path.name}', done, size)
    return digest.hexdigest()


def replace_file(target: Path, write: Callable[[Path], Any]) -> None:
    """Let `write` fill a file of the same name in a new folder beside `target`, then rename it in one step.

    First removes the unfinished files that killed processes left for this target. Raises FetchError if the folder
    cannot be written or the disk is full, and what else `write` raises.
    """
    with scratch_folder(target) as folder:
        part = folder / target.name
        write(part)
        part.replace(target)


@contextlib.contextmanager
def scratch_folder(target: Path) -> Iterator[Path]:
    """Yield a new folder beside `target`, for intermediate files; it is removed at the end.

    First removes those that killed processes left for this target. Raises FetchError if a file cannot be written there,
    and other errors of the block unchanged.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(target.parent, target.name)
        with part_folder(target.parent, target.name) as folder:
            yield folder
    except BrokenPipeError:
        # Of a line about the progress, for example if `| head` has ended.
        raise
    except OSError as error:
        raise cannot_write(target, reason(error)) from error


def cannot_write(target: Path, why: object) -> FetchError:
    """Return the error for a file that cannot be written, for example because the disk is full."""
    return FetchError(f'{target} cannot be written: {why}; {elsewhere(target)}')


def store(target: Path, content: bytes, recipe: str) -> None:
    """Write a file and its record; `recipe` identifies the inputs and options that it was made from."""
    # A file without a record counts as absent. So an old record is removed first, and the new one is written last.
    with contextlib.suppress(FileNotFoundError):
        record_path(target).unlink()
    replace_file(target, lambda part: part.write_bytes(content))
    record = json.dumps({
        'recipe': recipe, 'sha256': hashlib.sha256(content).hexdigest(), 'size': len(content)}, indent=1)
    replace_file(record_path(target), lambda part: part.write_text(record + '\n'))


def is_intact(target: Path, recipe: str) -> bool:
    """Return whether a stored file exists, was made from this recipe, and is undamaged."""
    try:
        record = json.loads(record_path(target).read_text())
        return bool(record['recipe'] == recipe and target.stat().st_size == record['size']
                    and file_sha256(target) == record['sha256'])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def record_path(target: Path) -> Path:
    """Return the path of the record of a stored file."""
    return target.with_name(target.name + '.json')


@contextlib.contextmanager
def locked(path: Path, progress: ProgressCallback | None = None) -> Iterator[bool]:
    """Hold an exclusive lock, so that two processes do not make the same file at once.

    Yields True, or False if this file system has no locks. Files are still complete or absent then, but two processes
    may do the same work.

    progress: called again and again while another process holds the lock
    Raises FetchError if the folder cannot be written.
    """
    def waiting(seconds: float) -> None:
        if progress:
            progress('waiting for another process that makes the same file', 0, None)

    held = True
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(hold_lock(path, waiting))
        except LockingError:
            held = False
        except BrokenPipeError:
            raise
        except OSError as error:
            raise FetchError(
                f'{path.parent} cannot be written: {reason(error)}; set XDG_CACHE_HOME to a folder '
                'that can be written') from error
        yield held
