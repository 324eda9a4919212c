# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A file that grows while the command runs. An older file of that name is not lost if the run fails or is killed."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

from ..errors import printable
from .files import Place, naming, place_for


class GrowingFile:
    """A context manager. Everything is in the file, for other programs too, when `write` returns.

    Without an older file, it grows under its own name. An older one stays until the block ends without an error; with
    endless=True, for a run that the user ends, it is replaced by the first `write`. An empty file replaces none.
    Raises OutputError, also in `write`, if the file cannot be written, such as on a full disk.
    """

    def __init__(self, option: str, path: Path, endless: bool = False) -> None:
        self._option = option
        self._path = path
        self._endless = endless
        self._is_empty = True
        self._stack = contextlib.ExitStack()
        self.file: IO[bytes]

    def write(self, content: bytes) -> None:
        """Write at the end of the file."""
        with naming(self._option, self._path):
            self.file.write(content)
            self.file.flush()
            self._is_empty = False
            if self._endless:
                self._place.replace()

    def line(self, text: str) -> None:
        """Write a line."""
        self.write(f'{text}\n'.encode())

    def __enter__(self) -> GrowingFile:
        """Return itself."""
        with naming(self._option, self._path), contextlib.ExitStack() as stack:
            new = not self._path.exists()
            self._place = Place(self._path, self._path) if new else stack.enter_context(place_for(self._path))
            self.file = stack.enter_context(self._place.part.open('wb'))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        """Replace the older file, or say that it stays."""
        with naming(self._option, self._path):
            try:
                # A full disk may only be known when the file is closed.
                self.file.close()
                if kind is None and not self._is_empty:
                    self._place.replace()
            finally:
                self._stack.close()
        if not self._place.is_replaced:
            why = 'nothing was written' if self._is_empty else 'this run is incomplete'
            with contextlib.suppress(OSError, ValueError):
                print(
                    f'note: {self._option} {printable(self._path)}: the older file stays, because {why}',
                    file=sys.stderr)
