# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Lets the networks of several streams run one after the other on the GPU."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..cuda.driver import CudaDriver
from ..cuda.runtime_api import CudaSession


class Turns:
    """The order in which several streams of a GPU run their networks: that of their launches.

    Without it, the GPU works on all of them together. If one batch is enough to fill the GPU, all batches then end late
    and at the same time, and the GPU has nothing to do while the host reads their results and copies the next frames.
    One after the other, the GPU works on one batch while the host works on another.
    """

    def __init__(self, session: CudaSession) -> None:
        """session: owns the events, so it must be the one that is closed last."""
        self._session = session
        self._lock = threading.Lock()
        self._last: Turn | None = None

    def join(self) -> Turn:
        """Return the turns of one more stream. Call it with the context current."""
        return self._session.adopt(Turn(self._session.driver, self))

    def take(self, turn: Turn, stream: int, launch: Callable[[], None]) -> None:
        """Call `launch`, which queues work on the stream. It runs after what others have queued in this way."""
        with self._lock:
            last, self._last = self._last, turn
            if last is not None and last is not turn:
                turn.driver.wait_event(stream, last.event)
            launch()
            turn.driver.record_event(turn.event, stream)


class Turn:
    """The turns of one stream."""

    def __init__(self, driver: CudaDriver, turns: Turns) -> None:
        self.driver = driver
        self.event = driver.create_event()
        self._turns = turns

    def take(self, stream: int, launch: Callable[[], None]) -> None:
        """Call `launch`, which queues work on the stream. It runs after that of earlier turns. Raises CudaFailure."""
        self._turns.take(self, stream, launch)

    def free(self) -> None:
        """Free the event; does nothing the second time."""
        event, self.event = self.event, 0
        if event:
            self.driver.destroy_event(event)
