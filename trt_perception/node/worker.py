# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One thread that processes the newest item, and owns the objects that this needs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar('T')
R = TypeVar('R')


class LatestWorker(Generic[T]):
    """Runs `handle` on the newest item offered, in one separate thread.

    While an item is being handled, one more may wait; a newer one replaces it. `call` runs another function in the same
    thread, between two items: a GPU context or an inference session must have one owner.

    on_error: called in the thread with each error of `handle`; the worker continues
    """

    def __init__(
        self, name: str, handle: Callable[[T], None], on_error: Callable[[Exception], None],
    ) -> None:
        self._handle = handle
        self._on_error = on_error
        self._lock = threading.Lock()
        self._waiting: T | None = None
        self._closed = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)

    def offer(self, item: T) -> bool:
        """Offer an item without blocking. Returns True if it replaced one that was still waiting.

        After `close` items are ignored.
        """
        with self._lock:
            # A last message may still arrive while the node is closing.
            if self._closed:
                return False
            replaced = self._waiting is not None
            self._waiting = item
            if not replaced:
                self._pool.submit(self._next)
        return replaced

    def call(self, function: Callable[[], R], timeout: float | None = None) -> R:
        """Run `function` in the thread. Return its result or raise its error."""
        return self._pool.submit(function).result(timeout)

    def clear(self, timeout: float | None = None) -> int:
        """Drop the waiting item and wait until the current one is done. Returns the number of dropped items."""
        with self._lock:
            dropped = 0 if self._waiting is None else 1
            self._waiting = None
        self.call(lambda: None, timeout)
        return dropped

    def close(self) -> None:
        """Drop the waiting item, finish the current one, end the thread."""
        with self._lock:
            self._waiting = None
            self._closed = True
        self._pool.shutdown(wait=True)

    def _next(self) -> None:
        with self._lock:
            item, self._waiting = self._waiting, None
        if item is None:
            return
        try:
            self._handle(item)
        except Exception as error:
            self._on_error(error)
