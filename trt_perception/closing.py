# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""`with` for everything that is opened and closed."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

_T = TypeVar('_T', bound='Closing')


class Closing:
    """A context manager over a class's own open and close."""

    def open(self) -> None:
        """Open; overridden."""
        raise NotImplementedError

    def close(self) -> None:
        """Close; overridden."""
        raise NotImplementedError

    def __enter__(self: _T) -> _T:
        """Open."""
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()
