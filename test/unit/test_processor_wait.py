# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import os

import pytest

from trt_perception.node.monitoring.processor_wait import ProcessorClock, ProcessorWait

S = 10**9


class Kernel:
    """A folder like /proc/self/task, and a clock."""

    def __init__(self, folder):
        self.folder = folder
        self.now = 100.0

    def at(self, now, **threads):
        self.now = now
        for name in self.folder.iterdir():
            (name / 'schedstat').unlink()
            name.rmdir()
        for name, (ran, waited) in threads.items():
            (self.folder / name).mkdir()
            (self.folder / name / 'schedstat').write_text(f'{int(ran * S)} {int(waited * S)} 12\n')


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda _: {0, 1})
    return Kernel(tmp_path)


def test_parts_of_the_last_seconds(kernel):
    clock = ProcessorClock(kernel.folder, lambda: kernel.now)
    # What was before the first sample does not count.
    kernel.at(100, a=(50, 50), b=(1, 0))
    assert clock.wait() == ProcessorWait()
    # In two seconds both threads run for one and wait for one; a third one is new and only waits.
    kernel.at(102, a=(51, 51), b=(2, 1), c=(0, 2))
    wait = clock.wait()
    assert wait.waited == pytest.approx(4 / 6) and wait.used == pytest.approx(2 / 4)
    assert wait.is_much
    # Not sampled again within a second.
    kernel.at(102.9, a=(90, 51))
    assert clock.wait() == wait
    # A thread that ended counts no more, and after the window only the last seconds count.
    for second in range(103, 116):
        kernel.at(second, a=(51 + 0.9 * (second - 102), 51 + 0.1 * (second - 102)))
        wait = clock.wait()
    assert wait.waited == pytest.approx(0.1) and wait.used == pytest.approx(0.45)
    assert not wait.is_much


def test_its_own_threads_are_not_other_programs(kernel):
    assert not ProcessorWait(waited=0.6, used=0.9).is_much
    assert ProcessorWait(waited=0.6, used=0.5).is_much


def test_without_the_files_of_the_kernel(kernel):
    clock = ProcessorClock(kernel.folder / 'none', lambda: kernel.now)
    for kernel.now in (1, 2, 3):
        assert clock.wait() == ProcessorWait()


def test_this_process():
    clock = ProcessorClock(clock=iter((0.0, 2.0)).__next__)
    clock.wait()
    sum(range(10**6))
    wait = clock.wait()
    assert 0 < wait.used < 1 and 0 <= wait.waited <= 1
