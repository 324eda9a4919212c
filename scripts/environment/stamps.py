# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Remembers which steps are complete, with a hash of their inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def content_key(parts: Iterable[str], files: Iterable[Path] = ()) -> str:
    """Return a hash of the given texts and of the names and contents of the given files."""
    digest = hashlib.sha256()
    for part in parts:
        # A path may have bytes that are not UTF-8.
        digest.update(part.encode(errors='surrogateescape') + b'\0')
    for path in sorted(files):
        digest.update(path.name.encode() + b'\0')
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


class Stamps:
    """One small file per step, written only after the step has succeeded."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def is_current(self, step: str, key: str) -> bool:
        """Return whether the step was completed with this key."""
        try:
            return (self._folder / step).read_text() == key
        except OSError:
            return False

    def begin(self, step: str) -> None:
        """Forget the step: until complete() it counts as not done."""
        (self._folder / step).unlink(missing_ok=True)

    def complete(self, step: str, key: str) -> None:
        """Remember the step as done, in one atomic move."""
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f'{step}.draft'
        draft.write_text(key)
        draft.replace(self._folder / step)
