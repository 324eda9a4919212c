# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Base class for objects with open() and close(): they work in a `with` statement."""

from __future__ import annotations

from types import TracebackType
from typing import TypeVar

_T = TypeVar('_T', bound='Closing')


class Closing:
    """Context manager that calls open and close of the subclass."""

    def open(self) -> None:
        """Open; subclasses override it."""
        raise NotImplementedError

    def close(self) -> None:
        """Close; subclasses override it."""
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
