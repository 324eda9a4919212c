# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Threads before and behind the network: order, bounds, errors; and the rate in the progress."""

import threading
import time

import pytest

from trt_perception.annotate.extent import Extent, State
from trt_perception.annotate.overlap import Behind, batches, in_threads, prepared_ahead
from trt_perception.annotate.rate import Rate, duration


def test_prepared_items_come_in_order_although_the_first_takes_longest():
    first_may_end = threading.Event()

    def prepare(number):
        if number == 0:
            assert first_may_end.wait(60)
        if number == 1:
            first_may_end.set()
        return -number

    assert list(prepared_ahead(range(20), prepare, 2, 4)) == [-number for number in range(20)]


def test_not_more_than_some_items_are_ahead():
    """Memory is bounded: with a consumer that takes nothing, reading stops."""
    started = []

    def items():
        for number in range(1000):
            started.append(number)
            yield number

    found = prepared_ahead(items(), lambda number: number, 2, 4)
    assert next(found) == 0
    for _ in range(100):
        if len(started) >= 5:
            break
        time.sleep(0.01)
    time.sleep(0.1)  # Long enough for many more, if nothing stopped them.
    assert len(started) <= 7
    found.close()
    assert len(started) <= 8


@pytest.mark.parametrize('where', ['items', 'prepare'])
def test_an_error_comes_in_its_place(where):
    def items():
        yield from range(3)
        if where == 'items':
            raise ValueError('wrong')
        yield 3

    def prepare(number):
        if number == 3:
            raise ValueError('wrong')
        return number

    found = prepared_ahead(items(), prepare, 2, 4)
    assert [next(found), next(found), next(found)] == [0, 1, 2]
    with pytest.raises(ValueError, match='wrong'):
        next(found)


def test_the_items_are_closed_in_the_thread_that_used_them():
    threads = {}

    def items():
        threads['used'] = threading.get_ident()
        try:
            yield from range(100)
        finally:
            threads['closed'] = threading.get_ident()

    found = prepared_ahead(items(), lambda number: number, 1, 2)
    next(found)
    found.close()
    assert threads['used'] == threads['closed'] != threading.get_ident()


def test_several_threads_keep_the_order():
    together = threading.Barrier(3, timeout=600)

    def work(number):
        together.wait()  # Only three at the same time pass it.
        return 10 * number

    assert list(in_threads(iter(range(9)), work, 3)) == [10 * number for number in range(9)]


def test_one_thread_is_the_callers():
    assert list(in_threads(iter('ab'), lambda item: (item, threading.get_ident()), 1)) == [
        ('a', threading.get_ident()), ('b', threading.get_ident())]


def test_batches():
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batches([], 2)) == []


def test_behind_does_all_in_order():
    done = []
    with Behind(done.append, 2) as behind:
        for number in range(50):
            behind.put(number)
    assert done == list(range(50))


def test_an_error_behind_ends_the_puts():
    def work(number):
        if number == 3:
            raise OSError('full')
        done.append(number)

    def put_all(numbers, most):
        with Behind(work, most) as behind:
            for number in numbers:
                put.append(number)
                behind.put(number)

    done, put = [], []
    with pytest.raises(OSError, match='full'):
        put_all(range(1000), 1)
    assert done == [0, 1, 2] and len(put) < 10
    with pytest.raises(OSError, match='full'):
        put_all([3], 10)


def test_after_an_error_before_it_nothing_more_is_done():
    may_go_on = threading.Event()
    done = []

    def work(number):
        assert may_go_on.wait(60)
        done.append(number)

    def put_and_fail():
        with Behind(work, 10) as behind:
            for number in range(5):
                behind.put(number)
            threading.Timer(0.05, may_go_on.set).start()
            raise ValueError('before it')

    with pytest.raises(ValueError, match='before it'):
        put_and_fail()
    assert len(done) <= 1


def test_rate_and_time_left():
    now = [0.0]
    shown = []
    rate = Rate(lambda text, done, total: shown.append((text, done, total)), lambda: now[0])
    for second in range(21):
        now[0] = float(second)
        rate(State('bag', 0, 1, 10 * second, 1000, True))
    assert shown[4] == ('bag', 40, 1000)
    assert shown[5] == ('bag, 10.0 images/s, 95 s left', 50, 1000)
    # The text changes every five seconds only.
    assert len({text for text, _, _ in shown}) == 5
    now[0] += 20
    rate(State('next', 1, 3, 400, 2000, False))
    assert shown[-1] == ('next (1 of 3 bags done), 10.0 images/s, at least 3 min left', 400, None)


def test_the_extent_of_a_run():
    """Finished bags have no images to do, and what becomes known of a bag corrects the sum."""
    extent = Extent([100, None, 0, 40, 7])
    assert extent.state(0, 'a', 0, 100) == State('a', 1, 5, 0, 147, False)
    assert extent.state(0, 'a', 60, 100) == State('a', 1, 5, 60, 147, False)
    # It had less, or could not be read any longer.
    extent.finish(0)
    assert extent.state(1, 'b', 5, 30) == State('b', 2, 5, 65, 137, True)
    # It had more messages than it said.
    assert extent.state(1, 'b', 33, 30) == State('b', 2, 5, 93, 140, True)
    extent.finish(1)
    extent.finish(2)
    # A copy of one that was done.
    extent.finish(3)
    assert extent.state(4, 'e', 0, 7) == State('e', 4, 5, 93, 100, True)


@pytest.mark.parametrize('seconds, text', [(0.4, '0 s'), (99, '99 s'), (150, '2 min'), (7200, '2.0 h')])
def test_durations(seconds, text):
    assert duration(seconds) == text
