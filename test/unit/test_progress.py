# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import io

import pytest

from trt_perception.progress import ConsoleProgress, counted


class Clock:
    def __init__(self):
        self.now = 50.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock():
    return Clock()


def run(stream, clock, steps, step_s, text='frames', **options):
    """Report `steps` steps, `step_s` seconds apart."""
    with ConsoleProgress(stream, clock=clock, **options) as progress:
        for done in range(steps + 1):
            progress(text, done, steps)
            clock.now += step_s


def test_a_short_job_shows_nothing(clock):
    for stream in (io.StringIO(), Terminal()):
        run(stream, clock, 10, 0.19)  # 1.9 s
        assert stream.getvalue() == ''


def test_lines_every_five_seconds_without_a_terminal(clock):
    stream = io.StringIO()
    run(stream, clock, 12, 1.0, unit='frames')
    assert stream.getvalue().splitlines() == [
        'frames: 2 of 12 frames', 'frames: 7 of 12 frames', 'frames: 12 of 12 frames']
    assert '\r' not in stream.getvalue()


def test_the_end_of_what_was_never_shown_is_no_news(clock):
    stream = io.StringIO()
    with ConsoleProgress(stream, clock=clock) as progress:
        progress('a', 0, 10)
        clock.now += 3.0
        progress('a', 10, 10)
    assert stream.getvalue() == ''


def test_a_bar_on_a_terminal_which_is_cleared_at_the_end(clock, monkeypatch):
    monkeypatch.setenv('COLUMNS', '100')
    stream = Terminal()
    run(stream, clock, 4, 1.0, unit='frames')
    drawn = [line.rstrip() for line in stream.getvalue().split('\r')]
    assert drawn == [
        '',
        '[##########..........]  50% frames: 2 of 4 frames',
        '[###############.....]  75% frames: 3 of 4 frames',
        '[####################] 100% frames: 4 of 4 frames',
        '', '']
    # The blanks cover the whole drawn line.
    assert len(stream.getvalue().split('\r')[-2]) >= len(drawn[3])


def test_a_terminal_is_redrawn_ten_times_a_second_at_most(clock):
    stream = Terminal()
    run(stream, clock, 4000, 0.001)  # 4 s
    assert 18 <= stream.getvalue().count('\r[') <= 22


def test_a_line_is_no_longer_than_the_terminal(clock, monkeypatch):
    monkeypatch.setenv('COLUMNS', '40')
    stream = Terminal()
    run(stream, clock, 4, 1.0, text='a very long name ' * 10)
    assert max(len(line) for line in stream.getvalue().split('\r')) <= 39


def test_a_shorter_line_wipes_the_longer_one(clock):
    stream = Terminal()
    with ConsoleProgress(stream, clock=clock, delay=0.0) as progress:
        progress('a long text', 1, 10)
        clock.now += 1
        progress('short', 1, 10)
    first, second = stream.getvalue().split('\r')[1:3]
    assert len(second) >= len(first.rstrip())


def test_megabytes(clock):
    stream = io.StringIO()
    with ConsoleProgress(stream, clock=clock, delay=0.0) as progress:
        progress('m.zip', 1_500_000, 3_000_000)
        clock.now += 6
        progress('m.zip', 2_000_000, None)
        clock.now += 6
        progress('unpacking', 0, None)
    assert stream.getvalue().splitlines() == ['m.zip: 1.5 of 3.0 MB', 'm.zip: 2.0 MB', 'unpacking']


def test_another_text_is_shown_at_once(clock):
    stream = io.StringIO()
    with ConsoleProgress(stream, clock=clock, delay=0.0, unit='files') as progress:
        progress('one', 1, 5)
        progress('two', 1, 5)
    assert stream.getvalue().splitlines() == ['one: 1 of 5 files', 'two: 1 of 5 files']


def test_an_unknown_total_has_no_bar(clock):
    stream = Terminal()
    with ConsoleProgress(stream, clock=clock, delay=0.0, unit='frames') as progress:
        progress('video', 7, None)
    assert stream.getvalue().split('\r')[1].rstrip() == 'video: 7 frames'


def test_a_fraction_is_shown_as_a_percentage(clock, monkeypatch):
    stream = io.StringIO()
    with ConsoleProgress(stream, clock=clock, delay=0.0, unit='') as progress:
        progress('building (0 s)', 0.0, None)
        progress('building (7 s)', 0.426, 1.0)
        progress('one file', 1, 1)
    assert stream.getvalue().splitlines() == ['building (0 s)', 'building (7 s): 43%']
    # On a terminal the bar shows the percentage.
    monkeypatch.setenv('COLUMNS', '100')
    terminal = Terminal()
    with ConsoleProgress(terminal, clock=clock, delay=0.0, unit='') as progress:
        progress('building (7 s)', 0.426, 1.0)
    assert terminal.getvalue().split('\r')[1].rstrip() == '[########............]  43% building (7 s)'


def test_counted_items_are_told_before_each_and_in_the_end(clock):
    stream, told = io.StringIO(), []
    with ConsoleProgress(stream, clock=clock, delay=0.0, unit='frames') as progress:
        def tell(*call):
            told.append(call)
            progress(*call)
            clock.now += 5.0

        assert list(counted('abc', 'bag', 3, tell)) == ['a', 'b', 'c']
    assert told == [('bag', done, 3) for done in range(4)]
    assert stream.getvalue().splitlines() == [
        'bag: 0 of 3 frames', 'bag: 1 of 3 frames', 'bag: 2 of 3 frames', 'bag: 3 of 3 frames']


def test_what_is_raised_ends_the_loop_over_counted_items():
    def stop(text, done, total):
        if done == 2:
            raise KeyboardInterrupt

    items = counted('abcd', 'bag', 4, stop)
    assert [next(items), next(items)] == ['a', 'b']
    with pytest.raises(KeyboardInterrupt):
        next(items)
