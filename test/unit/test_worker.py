# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import threading
import time
from concurrent.futures import TimeoutError as FutureTimeoutError

import pytest

from trt_perception.node.process.worker import FairWorker, LatestWorker

SOON = 60.0  # seconds to wait for events that come at once


class Handler:
    """Records the handled items; waits in `hold` until released."""

    def __init__(self):
        self.items, self.threads, self.errors = [], [], []
        self.entered, self.go_on = threading.Event(), threading.Event()

    def __call__(self, item):
        self.items.append(item)
        self.threads.append(threading.current_thread())
        if item == 'hold':
            self.entered.set()
            assert self.go_on.wait(SOON)
        if item == 'fail':
            raise ValueError('cannot handle this')


@pytest.fixture
def handler():
    return Handler()


@pytest.fixture
def worker(handler):
    worker = LatestWorker('test', handler, handler.errors.append)
    yield worker
    handler.go_on.set()
    worker.close()


def test_items_are_handled_in_one_thread_which_is_not_the_callers(worker, handler):
    for item in 'abc':
        assert worker.offer(item) is False
        worker.call(lambda: None, SOON)
    assert handler.items == ['a', 'b', 'c']
    assert len(set(handler.threads)) == 1
    assert handler.threads[0] is not threading.current_thread()
    assert handler.threads[0].name.startswith('test')


def test_the_newest_of_the_waiting_items_is_handled(worker, handler):
    assert worker.offer('hold') is False
    assert handler.entered.wait(SOON)
    assert worker.offer('old') is False
    assert worker.offer('newer') is True
    assert worker.offer('newest') is True
    handler.go_on.set()
    worker.call(lambda: None, SOON)
    assert handler.items == ['hold', 'newest']


def test_offer_does_not_wait_for_the_handler(worker, handler):
    worker.offer('hold')
    assert handler.entered.wait(SOON)
    worker.offer('next')  # a deadlock would hang here
    assert handler.items == ['hold']


def test_an_error_is_reported_and_the_next_item_handled(worker, handler):
    worker.offer('fail')
    worker.call(lambda: None, SOON)
    worker.offer('next')
    worker.call(lambda: None, SOON)
    assert handler.items == ['fail', 'next']
    assert [str(error) for error in handler.errors] == ['cannot handle this']


def test_call_runs_in_the_workers_thread_between_items(worker, handler):
    worker.offer('hold')
    assert handler.entered.wait(SOON)
    results = []
    caller = threading.Thread(target=lambda: results.append(
        worker.call(lambda: (list(handler.items), threading.current_thread()), SOON)))
    caller.start()
    handler.go_on.set()
    caller.join(SOON)
    assert results == [(['hold'], handler.threads[0])]


def test_call_raises_what_the_function_raises(worker):
    with pytest.raises(KeyError, match='missing'):
        worker.call(lambda: {}['missing'], SOON)


def test_call_gives_up_after_its_timeout(worker, handler):
    worker.offer('hold')
    assert handler.entered.wait(SOON)
    with pytest.raises(FutureTimeoutError):
        worker.call(lambda: None, 0.01)


def test_call_until_returns_and_raises_as_call_does(worker):
    cancel = threading.Event()
    assert worker.call_until(lambda: 7, cancel, SOON) == 7
    with pytest.raises(KeyError, match='missing'):
        worker.call_until(lambda: {}['missing'], cancel, SOON)
    # A timeout of the function itself does not look like a function that has not returned.
    with pytest.raises(RuntimeError, match='no answer'):
        worker.call_until(lambda: (_ for _ in ()).throw(TimeoutError('no answer')), cancel, SOON)


def test_call_until_waits_for_a_function_that_ends_after_the_cancel(worker):
    cancel = threading.Event()
    cancel.set()
    assert worker.call_until(lambda: time.sleep(0.3) or 'done', cancel, SOON) == 'done'


def test_call_until_leaves_a_function_that_does_not_end(worker, handler):
    cancel = threading.Event()
    # Not before the function has begun.
    threading.Thread(target=lambda: handler.entered.wait(SOON) and cancel.set()).start()
    with pytest.raises(FutureTimeoutError):
        worker.call_until(lambda: handler('hold'), cancel, 0.2)
    assert handler.items == ['hold']


def test_an_abandoned_worker_runs_the_last_function_and_ends(handler):
    worker = LatestWorker('test', handler, handler.errors.append)
    worker.offer('hold')
    assert handler.entered.wait(SOON)
    worker.offer('dropped')
    last = threading.Event()
    worker.abandon(last.set)
    assert worker.offer('late') is False
    assert not last.is_set()
    handler.go_on.set()
    assert last.wait(SOON)
    handler.threads[0].join(SOON)
    assert not handler.threads[0].is_alive()
    assert (handler.items, handler.errors) == (['hold'], [])


def test_clear_drops_what_waits_and_waits_for_what_runs(worker, handler):
    worker.offer('hold')
    assert handler.entered.wait(SOON)
    worker.offer('dropped')
    with pytest.raises(FutureTimeoutError):
        worker.clear(0.01)
    # It has still dropped the item, and continues after that.
    assert worker.offer('next') is False
    handler.go_on.set()
    worker.call(lambda: None, SOON)
    assert handler.items == ['hold', 'next']
    assert worker.clear(SOON) == []


def test_clear_returns_how_many_were_dropped(worker, handler):
    dropped = replaced = number = 0
    # The timing of the threads decides whether an item still waits when it is dropped; most do.
    while number < 200 or dropped == 0:
        replaced += worker.offer(2 * number)
        replaced += worker.offer(2 * number + 1)
        dropped += len(worker.clear(SOON))
        number += 1
        # Nothing waits and nothing runs.
        assert len(handler.items) + replaced + dropped == 2 * number


def test_close_finishes_the_current_item_drops_the_waiting_and_ends_the_thread(handler):
    worker = LatestWorker('test', handler, handler.errors.append)
    worker.offer('hold')
    assert handler.entered.wait(SOON)
    worker.offer('dropped')
    closer = threading.Thread(target=worker.close)
    closer.start()
    while worker.offer('dropped'):  # False: closed, as one item waits already
        time.sleep(0.001)
    handler.go_on.set()
    closer.join(SOON)
    assert handler.items == ['hold']
    assert not handler.threads[0].is_alive()
    assert handler.errors == []


def test_items_after_close_are_ignored(handler):
    worker = LatestWorker('test', handler, handler.errors.append)
    worker.close()
    assert worker.offer('late') is False
    worker.close()
    assert handler.items == []


def test_under_load_every_item_is_handled_or_replaced(worker, handler):
    replaced = sum(worker.offer(number) for number in range(5000))
    worker.call(lambda: None, SOON)
    assert len(handler.items) + replaced == 5000
    assert handler.items == sorted(handler.items)
    assert handler.items[-1] == 4999


def test_several_producers(worker, handler):
    replaced = []
    start = threading.Barrier(4)

    def produce(first):
        start.wait()
        replaced.append(sum(worker.offer(number) for number in range(first, first + 1000)))

    producers = [threading.Thread(target=produce, args=(1000 * i,)) for i in range(4)]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join(SOON)
    worker.call(lambda: None, SOON)
    assert len(handler.items) + sum(replaced) == 4000
    assert len(set(handler.items)) == len(handler.items)


# Several sources


class Batches:
    """Records what each call of a FairWorker gets; the first call waits until released."""

    def __init__(self):
        self.calls = []
        self.entered, self.go_on = threading.Event(), threading.Event()

    def __call__(self, items):
        self.calls.append(list(items))
        self.entered.set()
        assert self.go_on.wait(SOON)


@pytest.fixture
def batches():
    return Batches()


@pytest.fixture
def fair(batches):
    worker = FairWorker('fair', batches)
    yield worker
    batches.go_on.set()
    worker.close()


def offer(worker, *items):
    """Offer items such as 'a1', of the source 'a'. Returns which of them replaced one."""
    return [worker.offer(item, item[0]) for item in items]


def test_sources_take_turns_however_often_they_offer(fair, batches):
    offer(fair, 'a1')
    assert batches.entered.wait(SOON)
    assert offer(fair, 'a2', 'a3', 'b1', 'a4', 'a5', 'c1', 'a6', 'b2') == [
        False, True, False, True, True, False, True, True]
    batches.go_on.set()
    fair.finish(SOON)
    # b and c do not wait longer because a offers more.
    assert batches.calls == [['a1'], ['a6'], ['b2'], ['c1']]


def test_waiting_sources_are_handled_together(fair, batches):
    fair.use(1, most=2)
    offer(fair, 'a1')
    assert batches.entered.wait(SOON)
    offer(fair, 'b1', 'a2', 'c1', 'b2')
    batches.go_on.set()
    fair.finish(SOON)
    assert batches.calls == [['a1'], ['b2', 'a2'], ['c1']]


def test_a_batch_waits_for_more_but_not_for_ever(fair, batches):
    batches.go_on.set()
    fair.use(1, most=3, wait_s=SOON)
    offer(fair, 'a1', 'b1')
    # A newer item replaces one that waits for the batch.
    assert offer(fair, 'a2') == [True]
    offer(fair, 'c1')
    fair.call(lambda: None, SOON)
    fair.finish(SOON)
    assert batches.calls == [['a2', 'b1', 'c1']]
    fair.use(1, most=3, wait_s=0.01)
    offer(fair, 'a3')
    fair.call(lambda: None, SOON)
    assert batches.calls[1:] == [['a3']]


def test_several_threads_handle_different_sources(fair, batches):
    fair.use(2)
    offer(fair, 'a1')
    assert batches.entered.wait(SOON)
    batches.entered.clear()
    # The second item of a source in work has no turn, although a thread is free.
    offer(fair, 'a2')
    assert not batches.entered.wait(0.1)
    offer(fair, 'b1')
    assert batches.entered.wait(SOON)
    assert batches.calls == [['a1'], ['b1']]
    with pytest.raises(FutureTimeoutError):
        fair.finish(0.01)
    batches.go_on.set()
    fair.finish(SOON)
    # clear() would have dropped it; finish() waits for what is in work only.
    fair.clear(SOON)
    assert batches.calls[2:] in ([], [['a2']])


def test_under_load_every_item_of_every_source_is_handled_or_replaced():
    handled = []
    worker = FairWorker('fair', handled.extend)
    worker.use(3, most=2)
    start = threading.Barrier(4)
    replaced = []

    def produce(source):
        start.wait()
        replaced.append(sum(worker.offer((source, number), source) for number in range(2000)))

    producers = [threading.Thread(target=produce, args=(source,)) for source in range(4)]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join(SOON)
    while len(handled) + sum(replaced) < 8000:
        worker.finish(SOON)
    worker.close()
    assert len(handled) + sum(replaced) == 8000
    for source in range(4):
        numbers = [number for of, number in handled if of == source]
        assert numbers == sorted(set(numbers))
        assert numbers[-1] == 1999
