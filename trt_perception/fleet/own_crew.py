# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A crew of workers in this process, one after the other: without Ray."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from .crew import Event
from .worker import Order, Worker


class OwnCrew:
    """Workers that do their tasks in `wait`, in the order in which they were submitted."""

    def __init__(self, order: Order, workers: int = 1) -> None:
        self._order = order
        self._most = workers
        self._workers: dict[int, Worker] = {}
        self._waiting: deque[tuple[int, str, Sequence[Any]]] = deque()

    def wanted(self) -> int:
        """Return how many workers there should be."""
        return self._most

    def start(self) -> int:
        """Start a worker."""
        number = len(self._workers)
        self._workers[number] = Worker(self._order)
        self._waiting.append((number, 'open', ()))
        return number

    def submit(self, worker: int, method: str, arguments: Sequence[Any]) -> None:
        """Let a worker call a method."""
        self._waiting.append((worker, method, arguments))

    def wait(self, seconds: float) -> list[Event]:
        """Do what was submitted first."""
        worker, method, arguments = self._waiting.popleft()
        return [Event(worker, getattr(self._workers[worker], method)(*arguments))]

    def stop(self, worker: int) -> None:
        """Close the model of a worker, and forget what it was to do."""
        self._waiting = deque(entry for entry in self._waiting if entry[0] != worker)
        self._workers[worker].close()

    def close(self) -> None:
        """Close the models of all workers."""
        for worker in self._workers.values():
            worker.close()
