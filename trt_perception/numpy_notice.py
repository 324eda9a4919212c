# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Holds back the notice of NumPy 2 that a module was built for NumPy 1.

NumPy prints it with a traceback when the module is imported. Some modules hide the error that follows, are imported
without it, and end the process later: ONNX Runtime before 1.19 (SIGSEGV).
"""

from __future__ import annotations

import contextlib
import re
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

_NOTICE = 'was compiled using NumPy 1.x cannot be run'
_FRAME = re.compile(r'File "(.+)", line')


class Notice:
    """Stands for sys.stderr during an import.

    A library may keep it for its log, so it passes on everything else, also after the import.
    """

    def __init__(self, stream: TextIO | None) -> None:
        """stream: the real one, None if it is closed."""
        self._stream = stream
        self._thread: int | None = threading.get_ident()
        self._held: list[str] = []

    def write(self, text: str) -> int:
        """Hold the notice and what this thread prints after it, such as the error that the module hides."""
        if self._thread == threading.get_ident() and (self._held or _NOTICE in text):
            self._held.append(text)
        elif self._stream is not None:
            self._stream.write(text)
        return len(text)

    def __getattr__(self, name: str) -> object:
        """Everything else is that of the real stream."""
        return getattr(self._stream, name)

    def is_about(self, module: str) -> bool:
        """Return whether the import of a part of this module caused it."""
        frames = [path for path in _FRAME.findall(''.join(self._held)) if '/importlib/' not in path]
        return bool(frames) and f'/{module}/' in frames[-1]

    def drop(self) -> None:
        """Forget it: an error says it in one line."""
        self._held.clear()

    def end(self) -> None:
        """Print what was held, and hold nothing more."""
        self._thread = None
        if self._held and self._stream is not None:
            self._stream.write(''.join(self._held))
        self._held.clear()


@contextlib.contextmanager
def numpy_notice() -> Iterator[Notice]:
    """Hold the notice in the block, and print it at the end unless it was dropped."""
    stream = sys.stderr
    notice = Notice(stream)
    sys.stderr = notice
    try:
        yield notice
    finally:
        if sys.stderr is notice:
            sys.stderr = stream
        notice.end()
