# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Threads that work ahead and behind of the network: the order of the items and the use of memory do not change."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

_Item = TypeVar('_Item')
_Done = TypeVar('_Done')
_POLL_S = 0.1


def prepared_ahead(
    items: Iterable[_Item], prepare: Callable[[_Item], _Done], threads: int, ahead: int,
) -> Generator[_Done, None, None]:
    """Yield prepare(item) for each item, in order; other threads iterate and prepare.

    threads: how many prepare at the same time; ahead: how many items may be waiting or in work, about
    An exception of `items` or of `prepare` is raised in its place. Close the generator to end the threads early.
    """
    waiting: queue.Queue[Future[_Done] | BaseException | None] = queue.Queue(ahead)
    stop = threading.Event()

    def put(entry: Future[_Done] | BaseException | None) -> None:
        while not stop.is_set():
            try:
                waiting.put(entry, timeout=_POLL_S)
                return
            except queue.Full:
                continue

    def read() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                if stop.is_set():
                    break
                put(pool.submit(prepare, item))
            put(None)
        except BaseException as error:
            put(error)
        finally:
            # A generator with open files was used in this thread only.
            if isinstance(iterator, Generator):
                iterator.close()

    with ThreadPoolExecutor(threads, 'prepare') as pool:
        reader = threading.Thread(target=read, name='reader', daemon=True)
        reader.start()
        try:
            while (entry := waiting.get()) is not None:
                if isinstance(entry, BaseException):
                    raise entry
                yield entry.result()
        finally:
            stop.set()
            reader.join()


def in_threads(
    items: Iterator[_Item], work: Callable[[_Item], _Done], threads: int,
) -> Generator[_Done, None, None]:
    """Yield work(item) for each item, in order. With one thread, it is the caller's."""
    if threads == 1:
        for item in items:
            yield work(item)
        return
    with ThreadPoolExecutor(threads, 'inference') as pool:
        running: deque[Future[_Done]] = deque()
        for item in items:
            running.append(pool.submit(work, item))
            # Each thread has one in work and one waiting: it goes on while the oldest one takes longer than usual.
            if len(running) >= 2 * threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def batches(
    items: Iterable[_Item], size: int, counts: Callable[[_Item], bool] = lambda item: True,
) -> Iterator[list[_Item]]:
    """Yield lists with `size` items that count; the last one may have less."""
    batch: list[_Item] = []
    number = 0
    for item in items:
        batch.append(item)
        number += counts(item)
        if number == size:
            yield batch
            batch, number = [], 0
    if batch:
        yield batch


class Behind:
    """Calls a function with items, in order, in a thread of its own. A context manager: the end waits for the rest.

    An exception of the function is raised by the next put, or at the end. After it, nothing more is done.
    """

    def __init__(self, work: Callable[[Any], None], most: int) -> None:
        """Start. most: how many items may be waiting."""
        self._work = work
        self._waiting: queue.Queue[Any] = queue.Queue(most)
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name='writer', daemon=True)
        self._thread.start()

    def put(self, item: Any) -> None:
        """Add an item, which is not None; waits while too many are waiting."""
        while self._error is None:
            try:
                self._waiting.put(item, timeout=_POLL_S)
                return
            except queue.Full:
                continue
        raise self._error

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is None:
            while self._error is None:
                try:
                    self._waiting.put(None, timeout=_POLL_S)
                    break
                except queue.Full:
                    continue
        else:
            self._stop.set()
        self._thread.join()
        if error is None and self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                try:
                    item = self._waiting.get(timeout=_POLL_S)
                except queue.Empty:
                    continue
                if item is None:
                    return
                self._work(item)
        except BaseException as error:
            self._error = error
