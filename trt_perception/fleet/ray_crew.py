# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Workers as actors of Ray."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dependencies import require
from ..errors import ParameterError, one_line
from .crew import Died, Event
from .worker import Order, Worker

# A cluster of its own on this machine, and one that is found by Ray.
LOCAL, AUTO = 'local', 'auto'
_LOOK_AGAIN_S = 5.0
_CONNECT_S = 10.0
# Bytes; only paths and numbers are sent.
_OBJECT_STORE = 100_000_000


@dataclass(frozen=True)
class Share:
    """What a worker gets. workers: how many, 0 for as many as fit; cpus: cores of each; gpus: a part of one, or several

    gpus of None: one if the cluster has GPUs and `may_use_gpu`, otherwise none
    cpus of 0: 1, or if it has a GPU, its part of the cores of the cluster
    """

    workers: int = 0
    cpus: int = 0
    gpus: float | None = None
    may_use_gpu: bool = False

    def of(self, resources: dict[str, float]) -> Share:
        """Return it for a cluster, with all numbers known but `workers`."""
        in_cluster = resources.get('GPU', 0.0)
        gpus = self.gpus if self.gpus is not None else float(self.may_use_gpu and in_cluster > 0)
        cpus = self.cpus
        if not cpus:
            each = resources.get('CPU', 1.0) * gpus / in_cluster if gpus and in_cluster else 1.0
            cpus = max(1, int(each))
        return Share(self.workers, cpus, gpus, self.may_use_gpu)

    def fitting(self, nodes: Sequence[dict[str, float]]) -> int:
        """Return how many such workers machines have room for."""
        needs = {'CPU': float(self.cpus), **({'GPU': self.gpus} if self.gpus else {})}
        return sum(min(int(node.get(kind, 0.0) / need) for kind, need in needs.items()) for node in nodes)


@contextlib.contextmanager
def connected(address: str) -> Iterator[dict[str, float]]:
    """Connect to a cluster, or start one; yields its resources, such as CPU and GPU.

    address: LOCAL, AUTO, or host:port. Raises ParameterError if there is none.
    """
    ray = require('ray')
    own = address == LOCAL
    if ':' in address:
        _answers(address)
    with contextlib.ExitStack() as stack:
        # Ray prints what it hears of other machines, in colours, from a thread of its own.
        stack.enter_context(contextlib.redirect_stdout(stack.enter_context(Path(os.devnull).open('w'))))
        try:
            ray.init(
                address=LOCAL if own else address, log_to_driver=False, logging_level='ERROR',
                **({'include_dashboard': False, 'object_store_memory': _OBJECT_STORE} if own else {}))
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise ParameterError(
                f'--ray {address}: expected a Ray cluster that answers: {one_line(error, 300)}; start one with '
                '`ray start --head`, or leave the address out') from error
        stack.callback(ray.shutdown)
        yield dict(ray.cluster_resources())


def _answers(address: str) -> None:
    """Raise ParameterError if nothing listens at host:port. Ray itself would try it for minutes."""
    host, _, port = address.rpartition(':')
    try:
        with socket.create_connection((host, int(port)), _CONNECT_S):
            pass
    except (OSError, ValueError) as error:
        raise ParameterError(
            f'--ray {address}: expected a Ray cluster that answers at host:port: {one_line(error)}; start one with '
            '`ray start --head`, or leave the address out') from error


class RayCrew:
    """A Crew of actors. Use it in a block of `connected`."""

    def __init__(self, order: Order, share: Share) -> None:
        """Start nothing yet. share: with numbers for cpus and gpus"""
        self._ray = require('ray')
        self._order = order
        self._share = share
        self._actors: dict[int, Any] = {}
        self._answers: dict[Any, int] = {}
        self._started = 0
        self._fitting = 0
        self._looked_at = float('-inf')

    def wanted(self) -> int:
        """Return the number that was asked for, or how many the machines have room for."""
        if self._share.workers:
            return self._share.workers
        if time.monotonic() - self._looked_at > _LOOK_AGAIN_S:
            self._looked_at = time.monotonic()
            self._fitting = self._share.fitting(
                [node['Resources'] for node in self._ray.nodes() if node['Alive']])
        # One waits for a machine that an autoscaler may start.
        return max(1, self._fitting)

    def start(self) -> int:
        """Start an actor, on the machine with the most room."""
        number = self._started
        self._started += 1
        actor = self._ray.remote(Worker).options(
            num_cpus=self._share.cpus, num_gpus=self._share.gpus or 0, scheduling_strategy='SPREAD',
            max_restarts=0).remote(self._order)
        self._actors[number] = actor
        self._answers[actor.open.remote()] = number
        return number

    def submit(self, worker: int, method: str, arguments: Sequence[Any]) -> None:
        """Call a method of an actor."""
        self._answers[getattr(self._actors[worker], method).remote(*arguments)] = worker

    def wait(self, seconds: float) -> list[Event]:
        """Return the answers that are there."""
        if not self._answers:
            time.sleep(seconds)
            return []
        first, rest = self._ray.wait(list(self._answers), num_returns=1, timeout=seconds)
        if first and rest:
            more, _ = self._ray.wait(rest, num_returns=len(rest), timeout=0)
            first = [*first, *more]
        events = []
        for reference in first:
            worker = self._answers.pop(reference)
            try:
                events.append(Event(worker, self._ray.get(reference)))
            except self._ray.exceptions.RayError as error:
                self.stop(worker)
                events.append(Event(worker, Died(one_line(error, 200))))
        return events

    def stop(self, worker: int) -> None:
        """Kill the actor."""
        actor = self._actors.pop(worker, None)
        self._answers = {reference: other for reference, other in self._answers.items() if other != worker}
        if actor is not None:
            self._ray.kill(actor, no_restart=True)
