# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The parent's side of a variant's child process."""

from __future__ import annotations

import os
import pickle
import subprocess
from pathlib import Path
from typing import IO, Any

from ..child_process import signal_name, start_module
from ..errors import PerceptionError
from ..monitor import Monitor
from ..pipeline.options import STRICT_PRECISION
from ..results.results import Result
from .variant import Variant


class LeftOutError(PerceptionError):
    """A variant that cannot be measured here; the message is the reason."""


class Child:
    """The process of one variant; a context manager that ends it.

    log: gets what the process and its libraries print
    monitor: follows a build or a conversion
    """

    def __init__(self, variant: Variant, log: IO[bytes], monitor: Monitor) -> None:
        self.variant = variant
        self.warnings: list[str] = []
        self._monitor = monitor
        self._process = start_module(
            'trt_perception.measure.worker', str(os.getpid()), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=log)

    def open(self) -> dict[str, Any]:
        """Open the pipeline there; returns its seconds and description. Raises LeftOutError."""
        opened: dict[str, Any] = self._ask('open', self.variant)
        return opened

    def run(self, files: list[Path]) -> list[dict[str, float]]:
        """Return the times of each frame in milliseconds. Raises LeftOutError."""
        times: list[dict[str, float]] = self._ask('run', files)
        return times

    def results(self, files: list[Path]) -> list[Result]:
        """Return the results of each frame for a comparison. Raises LeftOutError."""
        found: list[Result] = self._ask('results', files)
        return found

    def memory(self) -> float | None:
        """Return the largest resident memory in MB. Raises LeftOutError."""
        peak: float | None = self._ask('memory')
        return peak

    def _ask(self, *request: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()
            while True:
                kind, *values = pickle.load(self._process.stdout)
                if kind == 'done':
                    return values[0]
                if kind == 'progress':
                    self._monitor.progress(f'{self.variant.name}: {values[0]}', *values[1:])
                elif kind == 'log':
                    self._monitor.log(values[0], f'{self.variant.name}: {values[1]}')
                    if values[0] == 'warning':
                        self.warnings.append(values[1])
                else:
                    # The user set no such parameter: each row of a comparison has exactly its precision.
                    raise LeftOutError(values[0].removesuffix(STRICT_PRECISION))
        except (EOFError, BrokenPipeError, pickle.UnpicklingError):
            code = self._process.wait()
            ended = f'was ended by {signal_name(-code)}' if code < 0 else f'ended with code {code}'
            raise LeftOutError(
                f'its process {ended}; with --report FOLDER, log.txt there has what it printed') from None

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue

    def __enter__(self) -> Child:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        self.close()
