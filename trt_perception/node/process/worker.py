# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Threads that process the newest item of each source, and own the objects that this needs."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
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
    With overlap, they may handle several items of one source at the same time, but only while no source without an item
    in work waits. `handle` then calls `wait_for_turn` before the part that must be in the order of the items.

    handle: called with one item for each of at most `most` sources. The worker continues after an error of it
    """

    def __init__(self, name: str, handle: Callable[[Sequence[T]], None]) -> None:
        self._name = name
        self._handle = handle
        self._changed = threading.Condition()
        # In the order in which the sources began to wait: a dict keeps the place of a key whose value is replaced.
        self._waiting: dict[Hashable, T] = {}
        # The sources of each call of `handle` that runs, in the order in which they took their items.
        self._calls: list[frozenset[Hashable]] = []
        self._in_work: Counter[Hashable] = Counter()
        self._this_thread = threading.local()
        # Calls that a thread has yet to begin. Each will take items if it finds any.
        self._submitted = 0
        self._closed = False
        self._threads = 1
        self._most = 1
        self._wait_s = 0.0
        self._overlap = 1
        self._owner = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._handlers = self._owner

    def use(self, threads: int, most: int = 1, wait_s: float = 0.0, overlap: int = 1) -> None:
        """Set how items are handled. Call it before the first item.

        threads: how many calls of `handle` may run at the same time; with 1 the owner of `call` makes them
        most: number of sources whose items are given to one call; wait_s: how long a call waits for so many
        overlap: how many items of one source may be in work at the same time
        """
        self._threads, self._most, self._wait_s, self._overlap = threads, most, wait_s, overlap
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
                if self._wait_s > 0:
                    self._changed.notify_all()
                self._submit()
        return replaced

    def wait_for_turn(self) -> None:
        """Wait until all calls of `handle` have returned that took an earlier item of one of this call's sources."""
        own: frozenset[Hashable] | None = getattr(self._this_thread, 'call', None)
        if self._overlap == 1 or own is None:
            return

        def is_first() -> bool:
            earlier = itertools.takewhile(lambda call: call is not own, self._calls)
            return all(own.isdisjoint(call) for call in earlier)

        with self._changed:
            self._changed.wait_for(is_first)

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

    def _submit(self) -> None:
        """Submit as many calls as the waiting items need and the threads can run. Call it with the lock."""
        # Each costs time, also if it finds nothing: with many cameras that is a part of each image's time.
        needed = -(-len(self._ready()) // self._most)
        while self._submitted < min(needed, self._threads - len(self._calls)):
            self._submitted += 1
            self._handlers.submit(self._next)

    def _next(self) -> None:
        taken, call = self._take()
        if not taken:
            return
        self._this_thread.call = call
        try:
            self._handle(list(taken.values()))
        finally:
            with self._changed:
                self._calls = [each for each in self._calls if each is not call]
                # Not subtract(): this removes the keys that are zero.
                self._in_work -= Counter(call)
                if not self._closed:
                    self._submit()
                self._changed.notify_all()

    def _take(self) -> tuple[dict[Hashable, T], frozenset[Hashable]]:
        """Take the items for one call of `handle`. Returns them, and their sources as in `_calls`."""
        with self._changed:
            if self._wait_s > 0 and self._ready():
                self._changed.wait_for(lambda: self._closed or len(self._ready()) >= self._most, self._wait_s)
            taken = {source: self._waiting.pop(source) for source in self._ready()[:self._most]}
            call = frozenset(taken)
            self._submitted -= 1
            if taken:
                self._calls.append(call)
                self._in_work.update(call)
        return taken, call

    def _ready(self) -> list[Hashable]:
        """Return the waiting sources that may have a turn, in the order of their turns."""
        free = [source for source in self._waiting if self._in_work[source] < self._overlap]
        # Those with nothing in work first.
        return free if self._overlap == 1 else sorted(free, key=self._in_work.__getitem__)


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
