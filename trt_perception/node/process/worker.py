# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Threads that process the newest item of each source, and own the objects that this needs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures import wait as wait_for_futures
from typing import Generic, TypeVar

T = TypeVar('T')
R = TypeVar('R')
_POLL_S = 0.1


class FairWorker(Generic[T]):
    """Runs `handle` on the newest item of each source, in turns.

    While a source's item is being handled, one more of it may wait; a newer one replaces it. Sources get their turn in
    the order in which they began to wait, and a source whose item is in work has no turn. So a fast source is handled
    as often as a slow one if not all can be, and the items of one source are handled in their order.

    By default one thread does everything, and `call` runs another function in it, between two items: a GPU context or
    an inference session must have one owner. `use` allows several threads, for a `handle` that they may call together.

    handle: called with one item for each of at most `most` sources. The worker continues after an error of it
    """

    def __init__(self, name: str, handle: Callable[[Sequence[T]], None]) -> None:
        self._name = name
        self._handle = handle
        self._changed = threading.Condition()
        # In the order in which the sources began to wait: a dict keeps the place of a key whose value is replaced.
        self._waiting: dict[Hashable, T] = {}
        self._in_work: set[Hashable] = set()
        self._closed = False
        self._most = 1
        self._wait_s = 0.0
        self._owner = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._handlers = self._owner

    def use(self, threads: int, most: int = 1, wait_s: float = 0.0) -> None:
        """Set how items are handled. Call it before the first item.

        threads: how many calls of `handle` may run at the same time; with 1 the owner of `call` makes them
        most: number of sources whose items are given to one call; wait_s: how long a call waits for so many
        """
        self._most, self._wait_s = most, wait_s
        if threads > 1:
            self._handlers = ThreadPoolExecutor(threads, thread_name_prefix=self._name)

    def offer(self, item: T, source: Hashable = None) -> bool:
        """Offer an item without blocking. Returns True if it replaced one of the source that was still waiting.

        After `close` items are ignored.
        """
        with self._changed:
            # A last message may still arrive while the node is closing.
            if self._closed:
                return False
            replaced = source in self._waiting
            self._waiting[source] = item
            if not replaced:
                self._changed.notify_all()
                # While the source is in work, its thread continues with this item.
                if source not in self._in_work:
                    self._handlers.submit(self._next)
        return replaced

    def call(self, function: Callable[[], R], timeout: float | None = None) -> R:
        """Run `function` in the owner's thread. Return its result or raise its error."""
        return self._owner.submit(function).result(timeout)

    def call_until(self, function: Callable[[], R], cancel: threading.Event, grace_s: float) -> R:
        """Run `function` in the owner's thread. Return its result or raise its error.

        Raises concurrent.futures.TimeoutError if it has not returned `grace_s` seconds after `cancel` was set. It
        continues then, and the thread is busy until it returns. A TimeoutError of `function` becomes a RuntimeError.
        """
        future = self._owner.submit(function)
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

    def clear(self, timeout: float | None = None) -> list[T]:
        """Drop the waiting items and wait until those in work are done: drop() and finish()."""
        dropped = self.drop()
        self.finish(timeout)
        return dropped

    def finish(self, timeout: float | None = None) -> None:
        """Wait until the items in work are done. Raises concurrent.futures.TimeoutError if they are not in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._in_work, timeout):
                raise FutureTimeoutError

    def drop(self) -> list[T]:
        """Drop the waiting items. Returns them."""
        with self._changed:
            dropped = list(self._waiting.values())
            self._waiting.clear()
        return dropped

    def close(self) -> None:
        """Drop the waiting items, finish those in work, end the threads."""
        self._refuse()
        self._handlers.shutdown(wait=True)
        self._owner.shutdown(wait=True)

    def abandon(self, last: Callable[[], object]) -> None:
        """Leave the threads to what they are doing, without waiting. The owner runs `last`, and all end."""
        self._refuse()
        self._owner.submit(last)
        self._owner.shutdown(wait=False)
        self._handlers.shutdown(wait=False)

    def _refuse(self) -> None:
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _next(self) -> None:
        taken = self._take()
        if not taken:
            return
        try:
            self._handle(list(taken.values()))
        finally:
            with self._changed:
                self._in_work.difference_update(taken)
                # Items that came for these sources meanwhile were not submitted.
                for _ in [source for source in taken if source in self._waiting]:
                    self._handlers.submit(self._next)
                self._changed.notify_all()

    def _take(self) -> dict[Hashable, T]:
        """Take the items for one call of `handle`."""
        with self._changed:
            if self._wait_s > 0 and self._ready():
                self._changed.wait_for(lambda: self._closed or len(self._ready()) >= self._most, self._wait_s)
            taken = {source: self._waiting.pop(source) for source in self._ready()[:self._most]}
            self._in_work.update(taken)
        return taken

    def _ready(self) -> list[Hashable]:
        return [source for source in self._waiting if source not in self._in_work]


class LatestWorker(FairWorker[T]):
    """A FairWorker of one source: runs `handle` on the newest item offered, in one separate thread.

    on_error: called in the thread with each error of `handle`; the worker continues
    """

    def __init__(
        self, name: str, handle: Callable[[T], None], on_error: Callable[[Exception], None],
    ) -> None:
        def run(items: Sequence[T]) -> None:
            try:
                handle(items[0])
            except Exception as error:
                on_error(error)

        super().__init__(name, run)
