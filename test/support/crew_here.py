# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A crew in this process whose workers can die: for tests without Ray."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from trt_perception.fleet.crew import Died, Event
from trt_perception.fleet.own_crew import OwnCrew
from trt_perception.fleet.worker import Order


class CrewHere(OwnCrew):
    """Real workers in this process.

    dies: called with a worker, a method and its arguments before each task; True loses the worker instead
    calls: what was done, as (worker, method, arguments)
    """

    def __init__(self, order: Order, workers: int, dies: Callable[[int, str, Sequence[Any]], bool]) -> None:
        super().__init__(order, workers)
        self._dies = dies
        self.calls: list[tuple[int, str, Sequence[Any]]] = []

    @contextlib.contextmanager
    def opened(self) -> Iterator[CrewHere]:
        """Yield it."""
        with contextlib.closing(self):
            yield self

    def wait(self, seconds: float) -> list[Event]:
        """Do what was submitted first."""
        worker, method, arguments = self._waiting[0]
        self.calls.append((worker, method, arguments))
        if self._dies(worker, method, arguments):
            self._waiting.popleft()
            return [Event(worker, Died('killed'))]
        return super().wait(seconds)
