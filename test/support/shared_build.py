# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""annotate in several processes that share a cache: they write into a file who builds and who waits.

The process that builds goes on only when all others wait for its lock, or build too, so the tests need no times. What
it builds, and how the others wait, is the package's own.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from trt_perception import file_cache
from trt_perception.cli import annotate
from trt_perception.cli.main import main
from trt_perception.fleet.worker import Opened
from trt_perception.openvino_runtime import compiled_model
from trt_perception.precision import prepare

BUILDS, BUILT, WAITS = 'builds', 'built', 'waits'
# Then a process that never came ends the test.
_LONGEST_S = 600.0
# What makes the int8 file, and the compiled model of OpenVINO.
_BUILDERS = (prepare, 'quantize'), (compiled_model.CompiledModel, '_compiled')


def program(log: Path, processes: int, arguments: Sequence[str]) -> list[str]:
    """Return the command line of one of so many processes; with --ray its workers are the processes."""
    return [sys.executable, '-c', 'import sys; from support.shared_build import run; sys.exit(run(*sys.argv[1:]))',
            str(log), str(processes), *arguments]


def run(log: str, processes: str, *arguments: str) -> int:
    """Run a command of trt_perception and return its exit code."""
    # A worker of Ray gets it by its name, and finds the package there as it is.
    with mock.patch.object(annotate, 'opened_worker', functools.partial(_opened_worker, Path(log), int(processes))), \
            _watched(Path(log), int(processes)):
        return main(list(arguments))


def events(log: Path) -> list[tuple[str, int]]:
    """Return what happened, in order: BUILDS, BUILT or WAITS, and the process id."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [(what, int(process)) for what, process in map(str.split, lines)]


@contextlib.contextmanager
def _opened_worker(log: Path, processes: int, options: Any) -> Iterator[Opened]:
    with contextlib.ExitStack() as stack:
        with _watched(log, processes):
            opened = stack.enter_context(annotate.opened_worker(options))
        yield opened


@contextlib.contextmanager
def _watched(log: Path, processes: int) -> Iterator[None]:
    hold_lock = file_cache.hold_lock

    @contextlib.contextmanager
    def hold(path: Path, waiting: Callable[[float], None], *rest: Any) -> Iterator[None]:
        def tell(seconds: float) -> None:
            if (WAITS, os.getpid()) not in events(log):
                _tell(log, WAITS)
            waiting(seconds)

        with hold_lock(path, tell, *rest):
            yield

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(file_cache, 'hold_lock', hold))
        for place, name in _BUILDERS:
            stack.enter_context(mock.patch.object(place, name, _building(log, processes, getattr(place, name))))
        yield


def _building(log: Path, processes: int, real: Callable[..., Any]) -> Callable[..., Any]:
    def build(*arguments: Any) -> Any:
        _tell(log, BUILDS)
        until = time.monotonic() + _LONGEST_S
        while len({process for _, process in events(log)}) < processes and time.monotonic() < until:
            time.sleep(0.02)
        made = real(*arguments)
        _tell(log, BUILT)
        return made

    return build


def _tell(log: Path, what: str) -> None:
    # One write at the end of the file: lines of two processes do not mix.
    with log.open('a') as file:
        file.write(f'{what} {os.getpid()}\n')
