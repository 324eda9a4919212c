# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Keeps the end of the process away from a transition that is inside rclpy. Does not import ROS."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

R = TypeVar('R')


class RclGate:
    """One thread at a time is inside the state machine of rclpy, or destroys it.

    rclpy does not guard its state machine: a transition that goes on after another thread has destroyed it ends in a
    segmentation fault. A process that ends cannot wait for a transition whose callback loads a model for minutes, so
    the gate is open while a callback runs. The thread that destroys the node keeps the gate: a callback that returns
    after that waits until the process has ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = 0

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the gate; waits for it. Not reentrant."""
        self.keep()
        try:
            yield
        finally:
            self._release()

    def keep(self) -> None:
        """Wait for the gate and hold it until the end of the process."""
        self._lock.acquire()
        self._owner = threading.get_ident()

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Open the gate while a callback runs, if this thread holds it."""
        mine = self._owner == threading.get_ident()
        if mine:
            self._release()
        try:
            yield
        finally:
            if mine:
                self.keep()

    def _release(self) -> None:
        self._owner = 0
        self._lock.release()


class _HasGate(Protocol):
    @property
    def rcl_gate(self) -> RclGate: ...


N = TypeVar('N', bound=_HasGate)


def callback(transition: Callable[[N, Any], R]) -> Callable[[N, Any], R]:
    """Open the gate of the node while this method, a callback of a transition, runs."""
    @functools.wraps(transition)
    def run(node: N, state: Any) -> R:
        with node.rcl_gate.opened():
            return transition(node, state)

    return run
