# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulates the scheduler of a fleet: the time for many bags against the workers, some of them slow or dying.

    PYTHONPATH=.:test .venv/bin/python test/benchmarks/fleet_simulation.py [--plot docs/images/fleet.svg]

The scheduler is the real one (fleet/schedule.py); the workers and the storage are not. A task of a worker takes the
longer of two times: its work (images x seconds of an image x a random factor), and its bytes at the share of the
storage that it has when it begins: the bandwidth of the storage over all that read, at most that of the worker's
network. A bag is read twice, for its hash and for the network; that its parts are found from memory needs machines with
more memory than a bag. The factor is lognormal; some workers are always slower, and some tasks take much longer.
Workers die at random times, and come back later; their task is lost. The same --seed gives the same numbers. NumPy
only; --plot needs matplotlib.
"""

from __future__ import annotations

import argparse
import heapq
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trt_perception.fleet.schedule import FINISH, SURVEY, Schedule, Task

HOUR = 3600.0


@dataclass(frozen=True)
class Costs:
    """The figures: seconds, bytes, bytes per second.

    images: of a bag; part: images of a part, of bags that are split: all with always_split, otherwise the last ones
    image_bytes: read for an image; image_s: of one worker, from reading to the result; write_s: of the outputs of one
        image; write_bytes: their size; survey_bytes_s: hashing
    network, storage: bandwidth of a worker and of the storage; call_s: of the driver for a task
    spread: sigma of the lognormal factor; slow_workers: part of the workers that are slow_factor slower
    hang: part of the tasks that take hang_factor as long; life_s: mean time between two deaths of a worker (0: none)
    back_s: until it is replaced
    """

    images: int = 108_000
    part: int = 5_000
    always_split: bool = False
    image_bytes: float = 137e3
    image_s: float = 0.0017
    write_s: float = 0.00052
    write_bytes: float = 17e3
    survey_bytes_s: float = 1.45e9
    network: float = 1.25e9
    storage: float = 10e9
    call_s: float = 0.0008
    spread: float = 0.05
    slow_workers: float = 0.0
    slow_factor: float = 4.0
    hang: float = 0.0
    hang_factor: float = 20.0
    life_s: float = 0.0
    back_s: float = 180.0


def simulate(bags: int, workers: int, costs: Costs, backups: bool, seed: int) -> dict[str, float]:
    """Return the hours, the part of the time that workers were busy, and how often workers died or helped.

    given_up: bags that were given up, because a task of theirs lost its worker too often
    """
    random = np.random.default_rng(seed)
    schedule = Schedule([costs.images] * bags, backups)
    parts = [min(costs.part, costs.images - at) for at in range(0, costs.images, costs.part)]
    split: dict[int, bool] = {}
    factors = np.where(random.random(workers) < costs.slow_workers, costs.slow_factor, 1.0)
    # (time, order, worker, number of its life, task or None for a worker that comes back)
    events: list[tuple[float, int, int, int, Task | None]] = []
    lives, idle = [0] * workers, list(range(workers))[::-1]
    now = driver_free = busy = 0.0
    order = reading = deaths = late = given_up = 0
    for worker in range(workers):
        schedule.join(worker)
    while not schedule.is_finished:
        waiting = []
        while idle:
            worker = idle.pop()
            task = schedule.next(worker, now)
            if task is None:
                waiting.append(worker)
                if not schedule.has_waiting:
                    break
                continue
            if task.kind == SURVEY:
                split[task.bag] = costs.always_split or schedule.should_split
            driver_free = max(driver_free, now) + costs.call_s
            reading += 1
            seconds = _seconds(task, costs, factors[worker], reading, random) + driver_free - now
            dies = costs.life_s and random.exponential(costs.life_s) < seconds
            if dies:
                seconds *= random.random()
            busy += seconds
            order += 1
            heapq.heappush(events, (now + seconds, order, worker, lives[worker] + bool(dies), task))
        idle.extend(waiting)
        now, _, worker, life, task = heapq.heappop(events)
        if task is None:
            # As another worker for the scheduler: what failed on the old one may run here.
            schedule.join(worker)
            idle.append(worker)
            continue
        reading -= 1
        if life != lives[worker]:
            lives[worker] = life
            deaths += 1
            if schedule.failed(task, worker):
                schedule.drop(task.bag)
                given_up += 1
            schedule.lost(worker)
            order += 1
            heapq.heappush(events, (now + costs.back_s, order, worker, life, None))
            continue
        idle.append(worker)
        if not schedule.done(task, worker, now):
            late += 1
        elif task.kind == SURVEY:
            schedule.surveyed(task.bag, parts if split[task.bag] else [costs.images])
    return {
        'hours': float(now / HOUR), 'busy': float(busy / (now * workers)), 'deaths': deaths, 'second_copies': late,
        'given_up': given_up}


def _seconds(task: Task, costs: Costs, slow: float, reading: int, random: np.random.Generator) -> float:
    bandwidth = min(costs.network, costs.storage / reading)
    factor = slow * float(random.lognormal(0.0, costs.spread))
    if costs.hang and random.random() < costs.hang:
        factor *= costs.hang_factor
    if task.kind == FINISH:
        return max(task.images * costs.write_s * factor, task.images * costs.write_bytes / bandwidth)
    size = task.images * costs.image_bytes
    if task.kind == SURVEY:
        return max(size / costs.survey_bytes_s * factor, size / bandwidth)
    return max(task.images * costs.image_s * factor, size / bandwidth)


def scenarios(costs: Costs) -> dict[str, tuple[Costs, bool]]:
    """Return costs, and whether slow tasks get a second worker, by name."""
    slow = replace(costs, slow_workers=0.02, hang=0.001)
    return {
        'even workers': (costs, True),
        'slow workers and tasks': (slow, True),
        'the same without second copies': (slow, False),
        'slow, and each worker dies once in 6 h': (replace(slow, life_s=6 * HOUR), True),
        'storage of 40 GB/s instead of 10': (replace(costs, storage=40e9), True),
        'the same, all bags split': (replace(costs, storage=40e9, always_split=True), True)}


def main() -> int:
    """Simulate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--bags', type=int, default=10_000)
    parser.add_argument('--workers', type=int, nargs='+', default=[1, 3, 10, 30, 100, 200, 300, 500, 700, 1000])
    parser.add_argument('--image-ms', type=float, default=1e3 * Costs.image_s)
    parser.add_argument('--storage-gb-s', type=float, default=Costs.storage / 1e9)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--plot', type=Path)
    options = parser.parse_args()
    costs = replace(Costs(), image_s=options.image_ms / 1e3, storage=options.storage_gb_s * 1e9)
    results: dict[str, list[dict[str, float]]] = {}
    for name, (given, backups) in scenarios(costs).items():
        results[name] = []
        for workers in options.workers:
            found = simulate(options.bags, workers, given, backups, options.seed)
            results[name].append({'workers': workers, **found})
            print(f'{name}: {workers} workers, {json.dumps({key: round(value, 3) for key, value in found.items()})}',
                  flush=True)
    if options.plot:
        plot(results, options.bags * (costs.images * costs.image_s) / HOUR, options.plot)
    return 0


def plot(results: dict[str, list[dict[str, float]]], hours: float, path: Path) -> None:
    """Draw the hours against the workers. hours: of one worker for the network alone"""
    import matplotlib

    matplotlib.use('svg')
    matplotlib.rcParams['svg.hashsalt'] = 'fleet'
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 4.6), layout='constrained')
    workers = [entry['workers'] for entry in next(iter(results.values()))]
    axes.plot(
        workers, [hours / number for number in workers], color='0.6', linestyle='--', label='images alone / workers')
    styles: list[dict[str, Any]] = [
        {'color': '#1d4ed8', 'marker': 'o'}, {'color': '#b45309', 'marker': 's'},
        {'color': '#b45309', 'marker': 's', 'linestyle': ':', 'markerfacecolor': 'white'},
        {'color': '#be123c', 'marker': '^'}, {'color': '#15803d', 'marker': 'D'},
        {'color': '#15803d', 'marker': 'D', 'linestyle': ':', 'markerfacecolor': 'white'}]
    for (name, entries), style in zip(results.items(), styles):
        axes.plot(workers, [entry['hours'] for entry in entries], label=name, markersize=4, linewidth=1.4, **style)
    axes.set(xscale='log', yscale='log', xlabel='workers', ylabel='hours')
    axes.grid(True, which='both', linewidth=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, metadata={'Date': None} if path.suffix == '.svg' else None)


if __name__ == '__main__':
    raise SystemExit(main())
