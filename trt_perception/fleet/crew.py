# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the driver needs of whoever runs the workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Died:
    """The process of a worker, or its machine, is gone. text: one line"""

    text: str


@dataclass(frozen=True)
class Event:
    """What a worker answered: the result of its method, or Died."""

    worker: int
    answer: Any


class Crew(Protocol):
    """Workers with numbers, which are never used again. Each does one thing at a time."""

    def wanted(self) -> int:
        """Return how many workers there should be now; it may change with the machines of the cluster."""

    def start(self) -> int:
        """Start a worker, and its method `open`; returns its number. It begins when a machine has room for it."""

    def submit(self, worker: int, method: str, arguments: Sequence[Any]) -> None:
        """Let a worker call one of its methods; see Worker."""

    def wait(self, seconds: float) -> list[Event]:
        """Return what the workers have answered; waits for the first answer, and not longer than `seconds`."""

    def stop(self, worker: int) -> None:
        """End the process of a worker, whatever it does. Nothing more is heard of it."""
