# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The scheduler of a fleet, without workers; a simulation uses the same one."""

import pytest

from trt_perception.fleet.progress import FleetProgress, Summary, WorkerFigures
from trt_perception.fleet.ray_crew import Share
from trt_perception.fleet.schedule import ATTEMPTS, FINISH, PART, SURVEY, WHOLE, Schedule, Task


def joined(images, workers=3, **options):
    schedule = Schedule(images, **options)
    for worker in range(workers):
        schedule.join(worker)
    return schedule


def surveyed(schedule, parts):
    task = schedule.next(0, 0.0)
    assert task.kind == SURVEY and schedule.done(task, 0, 0.0)
    schedule.surveyed(task.bag, parts)


def test_what_completes_a_bag_comes_first():
    schedule = joined([200, 50, 70])
    surveyed(schedule, [100, 100])
    first, second = schedule.next(0, 0.0), schedule.next(1, 0.0)
    assert (first, second) == (Task(0, PART, 0, 100), Task(0, PART, 1, 100))
    survey = schedule.next(2, 0.0)
    assert survey == Task(1, SURVEY, 0, 50)
    schedule.done(survey, 2, 1.0)
    schedule.surveyed(1, [50])
    schedule.done(second, 1, 2.0)
    assert schedule.next(1, 2.0) == Task(1, WHOLE, 0, 50)
    schedule.done(first, 0, 3.0)
    assert schedule.next(0, 3.0) == Task(0, FINISH, 0, 200)
    assert schedule.next(2, 3.0) == Task(2, SURVEY, 0, 70)
    schedule.surveyed(2, [])
    schedule.done(Task(1, WHOLE, 0, 50), 1, 4.0)
    assert not schedule.is_finished
    schedule.done(Task(0, FINISH, 0, 200), 0, 4.0)
    assert schedule.is_finished


def test_a_failed_task_goes_to_another_worker():
    schedule = joined([200], ATTEMPTS)
    surveyed(schedule, [100, 100])
    task = schedule.next(0, 0.0)
    assert schedule.failed(task, 0) is False
    # Worker 0 gets the other part, although the failed one is first in the queue.
    assert schedule.next(0, 0.0).part == 1
    for worker in range(1, ATTEMPTS):
        assert schedule.next(worker, 0.0) == task
        assert schedule.failed(task, worker) is (worker == ATTEMPTS - 1)
    schedule.drop(0)
    assert schedule.is_finished and schedule.next(2, 0.0) is None


def test_bags_are_split_when_there_are_few_left():
    schedule = joined([10] * 8, workers=3)
    split = []
    for worker in (0, 1, 2, 0):
        task = schedule.next(worker, 0.0)
        split.append(schedule.should_split)
        schedule.done(task, worker, 0.0)
        schedule.surveyed(task.bag, [])
    # 7, 6, 5 and 4 bags were left.
    assert split == [False, False, True, True]


def test_the_only_worker_tries_again():
    schedule = joined([100], workers=1)
    surveyed(schedule, [100])
    for number in range(ATTEMPTS):
        task = schedule.next(0, 0.0)
        assert task.kind == WHOLE
        assert schedule.failed(task, 0) is (number == ATTEMPTS - 1)


def test_a_slow_task_gets_a_second_worker_and_counts_once():
    schedule = joined([500])
    surveyed(schedule, [100] * 5)
    for number in range(4):
        task = schedule.next(0, 20.0 * number)
        assert schedule.done(task, 0, 20.0 * number + 10.0)
    slow = schedule.next(1, 80.0)
    assert slow.part == 4
    # The usual time is 10 s, and three times that is needed.
    assert schedule.next(0, 105.0) is None and schedule.next(0, 109.0) is None
    assert schedule.next(0, 110.5) == slow
    assert schedule.next(2, 130.0) is None
    assert schedule.done(slow, 0, 121.0) is True
    assert schedule.next(0, 121.0).kind == FINISH
    assert schedule.done(slow, 1, 122.0) is False
    assert schedule.failed(slow, 1) is False


def test_without_second_workers():
    schedule = joined([500], backups=False)
    surveyed(schedule, [100] * 5)
    for number in range(4):
        schedule.done(schedule.next(0, 20.0 * number), 0, 20.0 * number + 10.0)
    schedule.next(1, 80.0)
    assert schedule.next(0, 1e6) is None


def test_one_of_two_copies_that_dies_is_no_failure():
    schedule = joined([500])
    surveyed(schedule, [100] * 5)
    for number in range(4):
        schedule.done(schedule.next(0, 20.0 * number), 0, 20.0 * number + 10.0)
    slow = schedule.next(1, 80.0)
    assert schedule.next(0, 200.0) == slow
    assert schedule.failed(slow, 0) is False
    # It still runs on worker 1, and is not in the queue. A third worker may help.
    assert schedule.has_waiting is False and schedule.next(2, 202.0) == slow
    assert schedule.done(slow, 1, 203.0) is True


@pytest.mark.parametrize('share, resources, expected', [
    (Share(), {'CPU': 8.0}, (1, 0.0)), (Share(may_use_gpu=True), {'CPU': 64.0, 'GPU': 4.0}, (16, 1.0)),
    (Share(may_use_gpu=True, gpus=0.5), {'CPU': 64.0, 'GPU': 4.0}, (8, 0.5)), (Share(cpus=3), {'CPU': 8.0}, (3, 0.0)),
    (Share(may_use_gpu=False), {'CPU': 8.0, 'GPU': 1.0}, (1, 0.0))])
def test_the_share_of_a_worker(share, resources, expected):
    found = share.of(resources)
    assert (found.cpus, found.gpus) == expected


def test_how_many_workers_fit():
    nodes = [{'CPU': 8.0}, {'CPU': 3.0, 'GPU': 1.0}, {'CPU': 0.0}]
    assert Share(cpus=2, gpus=0.0).fitting(nodes) == 5
    assert Share(cpus=1, gpus=0.5).fitting(nodes) == 2


def test_the_summary():
    workers = [WorkerFigures('a', 10.0, 100), WorkerFigures('b', 0.0, 0), WorkerFigures('b', 20.0, 100)]
    lines = list(Summary(5, 1, 1, 200, 7200.0, 2, 20.0, workers).lines())
    assert lines == [
        '5 bags (1 already annotated, 1 not annotated), 200 images, 2.00 hours of recording, in 20 s: 10.0 images/s; '
        'retries: 2',
        'worker 1 on a: 100 images, 10.0 images/s while busy, 10 s busy',
        'worker 2 on b: 100 images, 5.0 images/s while busy, 20 s busy']
    many = [WorkerFigures(f'host{number % 4}', 10.0, 10 * (number + 1)) for number in range(40)]
    assert list(Summary(workers=many).lines())[1:] == [
        '40 workers on 4 machines: 1.0 to 40.0 images/s while busy, median 20.5']


def test_the_progress_changes_every_five_seconds():
    shown, clock = [], [0.0]
    progress = FleetProgress(lambda text, done, total: shown.append((text, done, total)), 5, lambda: clock[0])
    progress.show(2, 0, 0, 1000)
    clock[0] = 2.0
    progress.show(2, 2, 0, 1000)
    clock[0] = 4.0
    progress.show(3, 2, 100, 1000)
    clock[0] = 10.0
    progress.show(3, 2, 500, 900)
    clock[0] = 20.0
    progress.show(4, 2, 600, None)
    assert shown == [
        ('2 of 5 bags done, waiting for a worker that has opened the model, 0.0 images/s', 0, 1000),
        ('2 of 5 bags done, 2 workers, 0.0 images/s', 0, 1000),
        ('2 of 5 bags done, 2 workers, 0.0 images/s', 100, 1000),
        ('3 of 5 bags done, 2 workers, 50.0 images/s, 8 s left', 500, 900),
        ('4 of 5 bags done, 2 workers, 30.0 images/s', 600, None)]


def test_the_progress_says_that_the_results_are_written():
    """All images are done, but the outputs of a bag that was split are still written: it is not '0 s left'."""
    shown, clock = [], [0.0]
    progress = FleetProgress(lambda text, done, total: shown.append((text, done, total)), 2, lambda: clock[0])
    for seconds, bags, images in ((0, 0, 0), (10, 0, 900), (11, 0, 1000), (20, 1, 1000), (21, 2, 1000)):
        clock[0] = float(seconds)
        progress.show(bags, 3, images, 1000)
    assert shown[1:] == [
        ('0 of 2 bags done, 3 workers, 90.0 images/s, 1 s left', 900, 1000),
        ('0 of 2 bags done, writing the results, 90.9 images/s', 1000, None),
        ('1 of 2 bags done, writing the results, 50.0 images/s', 1000, None),
        ('2 of 2 bags done, 3 workers, 47.6 images/s, 0 s left', 1000, 1000)]
