# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A FairWorker that handles several items of one source at the same time."""

import itertools
import random
import threading
import time

import pytest

from trt_perception.node.process.worker import FairWorker

SOON = 60.0  # seconds to wait for events that come at once


class Calls:
    """Each call enters, waits until the test lets its items go, waits for its turn, and publishes."""

    def __init__(self):
        self.entered, self.published = [], []
        self.changed = threading.Condition()
        self.free, self.failing = set(), set()
        self.worker = None

    def __call__(self, items):
        with self.changed:
            self.entered.append(list(items))
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: self.free.issuperset(items), SOON)
        if self.failing.intersection(items):
            raise ValueError('no')
        self.worker.wait_for_turn()
        with self.changed:
            self.published.append(list(items))
            self.changed.notify_all()

    def let_go(self, *items):
        with self.changed:
            self.free.update(items)
            self.changed.notify_all()

    def wait(self, condition):
        with self.changed:
            assert self.changed.wait_for(condition, SOON), (self.entered, self.published)


@pytest.fixture
def calls():
    return Calls()


@pytest.fixture
def worker(calls):
    worker = calls.worker = FairWorker('overlap', calls)
    yield worker
    calls.let_go(*(f'{source}{number}' for source in 'abc' for number in range(10)))
    worker.close()


def offer(worker, *items):
    """Offer items such as 'a1', of the source 'a'. Returns which of them replaced one."""
    return [worker.offer(item, item[0]) for item in items]


def test_two_items_of_a_source_are_in_work_and_published_in_their_order(worker, calls):
    worker.use(2, overlap=2)
    assert offer(worker, 'a1') == [False]
    calls.wait(lambda: calls.entered == [['a1']])
    assert offer(worker, 'a2') == [False]
    calls.wait(lambda: calls.entered == [['a1'], ['a2']])
    # A third one waits, and a newer one replaces it.
    assert offer(worker, 'a3', 'a4') == [False, True]
    # The second one is ready first, but it is not its turn.
    calls.let_go('a2')
    time.sleep(0.05)
    assert (calls.entered, calls.published) == ([['a1'], ['a2']], [])
    calls.let_go('a1', 'a4')
    worker.finish(SOON)
    calls.wait(lambda: len(calls.published) == 3)
    assert calls.published == [['a1'], ['a2'], ['a4']]


def test_other_sources_do_not_wait_for_a_turn(worker, calls):
    worker.use(2, overlap=2)
    offer(worker, 'a1')
    calls.wait(lambda: calls.entered == [['a1']])
    calls.let_go('b1')
    offer(worker, 'b1')
    calls.wait(lambda: calls.published == [['b1']])


def test_a_source_without_an_item_in_work_comes_first(worker, calls):
    worker.use(2, most=2, overlap=2)
    offer(worker, 'a1')
    calls.wait(lambda: calls.entered == [['a1']])
    offer(worker, 'b1')
    calls.wait(lambda: calls.entered == [['a1'], ['b1']])
    # a began to wait first, but it has an item in work already.
    offer(worker, 'a2', 'c1')
    calls.let_go('b1')
    calls.wait(lambda: len(calls.entered) == 3)
    assert calls.entered[2] == ['c1', 'a2']


def test_a_failed_call_ends_its_turn(worker, calls):
    worker.use(2, overlap=2)
    offer(worker, 'a1')
    calls.wait(lambda: calls.entered == [['a1']])
    offer(worker, 'a2')
    calls.let_go('a2')
    calls.wait(lambda: len(calls.entered) == 2)
    calls.failing.add('a1')
    calls.let_go('a1')
    calls.wait(lambda: calls.published == [['a2']])
    worker.finish(SOON)


def test_without_overlap_there_is_always_a_turn(worker, calls):
    worker.use(2)
    offer(worker, 'a1')
    calls.wait(lambda: calls.entered == [['a1']])
    offer(worker, 'a2')
    calls.let_go('a2', 'b1')
    offer(worker, 'b1')
    calls.wait(lambda: calls.published == [['b1']])
    assert calls.entered == [['a1'], ['b1']]
    calls.let_go('a1')
    calls.wait(lambda: len(calls.published) == 3)
    assert calls.published == [['b1'], ['a1'], ['a2']]


@pytest.mark.parametrize('threads, most, overlap', [(2, 1, 2), (3, 2, 2), (4, 4, 2), (3, 8, 3), (2, 3, 1)])
def test_under_load_each_source_is_in_order_and_nothing_is_lost(threads, most, overlap):
    chance = random.Random(threads)
    published, lock = [], threading.Lock()
    in_work, largest = dict.fromkeys(range(4), 0), [0]

    def handle(items):
        sources = [source for source, _ in items]
        assert len(set(sources)) == len(sources) <= most
        with lock:
            for source in sources:
                in_work[source] += 1
            largest[0] = max(largest[0], *in_work.values())
            pause = chance.choice((0.0, 0.0, 0.0005))
        time.sleep(pause)
        worker.wait_for_turn()
        with lock:
            published.extend(items)
            for source in sources:
                in_work[source] -= 1

    worker = FairWorker('overlap', handle)
    worker.use(threads, most=most, overlap=overlap)
    replaced = []

    def produce(source):
        replaced.append(sum(worker.offer((source, number), source) for number in range(1500)))

    producers = [threading.Thread(target=produce, args=(source,)) for source in range(4)]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join(SOON)
    end = time.monotonic() + SOON
    while len(published) + sum(replaced) < 6000:
        assert time.monotonic() < end, (len(published), sum(replaced))
        time.sleep(0.01)
    worker.close()
    assert len(published) + sum(replaced) == 6000
    assert 1 <= largest[0] <= overlap
    for source, items in itertools.groupby(sorted(published, key=lambda item: item[0]), lambda item: item[0]):
        numbers = [number for _, number in items]
        # sorted() keeps the order in which they were published.
        assert numbers == sorted(set(numbers)) and numbers[-1] == 1499, source


def test_all_threads_get_work():
    """No thread stays idle while items of free sources wait."""
    together, done = threading.Barrier(3), threading.Semaphore(0)

    def handle(items):
        # Returns only if three calls run at the same time.
        together.wait(SOON)
        done.release()

    worker = FairWorker('overlap', handle)
    worker.use(3)
    for _ in range(20):
        for source in range(3):
            worker.offer(source, source)
        for _ in range(3):
            assert done.acquire(timeout=SOON)
    worker.close()
