# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One thread that processes the newest item, and owns the objects that this needs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures import wait as wait_for_futures
from typing import Generic, TypeVar

T = TypeVar('T')
R = TypeVar('R')
_POLL_S = 0.1


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

    def call_until(self, function: Callable[[], R], cancel: threading.Event, grace_s: float) -> R:
        """Run `function` in the thread. Return its result or raise its error.

        Raises concurrent.futures.TimeoutError if it has not returned `grace_s` seconds after `cancel` was set. It
        continues then, and the thread is busy until it returns. A TimeoutError of `function` becomes a RuntimeError.
        """
        future = self._pool.submit(function)
        patience = grace_s
        while not wait_for_futures([future], _POLL_S).done:
            if cancel.is_set():
                patience -= _POLL_S
            if patience <= 0:
                raise FutureTimeoutError
        error = future.exception()
        if isinstance(error, FutureTimeoutError):
            raise RuntimeError(f'{type(error).__name__}: {error}') from error
        return future.result()

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

    def abandon(self, last: Callable[[], object]) -> None:
        """Leave the thread to what it is doing, without waiting. It runs `last` after that, and then ends."""
        with self._lock:
            self._waiting = None
            self._closed = True
        self._pool.submit(last)
        self._pool.shutdown(wait=False)

    def _next(self) -> None:
        with self._lock:
            item, self._waiting = self._waiting, None
        if item is None:
            return
        try:
            self._handle(item)
        except Exception as error:
            self._on_error(error)
