# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures variants on the same frames, in turns, each in a child process of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import PerceptionError
from ..monitor import Monitor
from ..node.monitoring.statistics import PERCENTILES
from ..precision.parity import Agreement
from ..results.results import Detections, Result
from .child import Child, LeftOutError
from .machine import gpu_memory_mb
from .variant import LeftOut, Variant

WARM_UP = 10
TURNS = 5
# At the start of each turn: the other variants had the caches, and the clocks may have fallen.
TURN_WARM_UP = 2


@dataclass
class Measured:
    """The figures of one variant.

    prepare_s: first opening in a new process: the engine build, the conversion or neither
    load_s: opening in another new process, with the engine and the converted file in their caches
    first_ms: the first frame after that
    times_ms: of each measured frame: the stages, and `wall` around them
    host_mb: largest resident memory of the process; gpu_mb: growth of the GPU's memory by this process, None if unknown
    agreement: with the reference's results on the same frames, None for the reference and without one
    """

    variant: Variant
    description: dict[str, str]
    prepare_s: float
    load_s: float
    first_ms: float
    times_ms: list[dict[str, float]] = field(default_factory=list)
    host_mb: float | None = None
    gpu_mb: float | None = None
    agreement: Agreement | None = None
    warnings: tuple[str, ...] = ()

    def percentiles(self) -> dict[str, list[float]]:
        """Return p50, p95 and p99 of each stage in milliseconds, and of the whole frame as `total`."""
        found: dict[str, list[float]] = {}
        for name in (*(name for name in self.times_ms[0] if name != 'wall'), 'wall'):
            values = np.percentile([times[name] for times in self.times_ms], PERCENTILES)
            found['total' if name == 'wall' else name] = [round(float(value), 3) for value in values]
        return found

    @property
    def frames_per_second(self) -> float:
        """Frames a second, one after the other."""
        return 1e3 * len(self.times_ms) / sum(times['wall'] for times in self.times_ms)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON values, with the time of each frame."""
        return {
            'name': self.variant.name, 'backend': self.variant.backend, 'precision': self.variant.precision,
            'model': self.variant.model.name, 'description': self.description,
            'prepare_s': round(self.prepare_s, 3), 'load_s': round(self.load_s, 3), 'first_ms': round(self.first_ms, 3),
            'stages_ms': self.percentiles(), 'frames_per_second': round(self.frames_per_second, 2),
            'host_mb': self.host_mb, 'gpu_mb': self.gpu_mb,
            'agreement': self.agreement.as_dict() if self.agreement else None, 'warnings': list(self.warnings),
            'total_ms': [round(times['wall'], 3) for times in self.times_ms]}


@dataclass
class Comparison:
    """All figures: those of each variant that ran, and the others with the reason.

    reference: name of the variant that `agreement` compares with, '' without one
    """

    measured: list[Measured] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    reference: str = ''


@dataclass
class _Running:
    child: Child
    measured: Measured


def compare_variants(
    wanted: Sequence[Variant], reference: Variant, frames: Sequence[Path], count: int, log: IO[bytes], monitor: Monitor,
) -> Comparison:
    """Measure the variants on `count` frames each; the files of `frames` are repeated if they are fewer.

    reference: what the results are compared with. It is measured only if it is also in `wanted`
    log: gets what the child processes print
    A variant that cannot be opened, or fails later, is left out with its reason.
    """
    comparison = Comparison()
    with contextlib.ExitStack() as stack:
        running: list[_Running] = []
        for variant in wanted:
            try:
                running.append(_opened(variant, frames[0], stack, log, monitor))
            except LeftOutError as error:
                comparison.left_out.append(LeftOut(variant.name, str(error)))
        order = [frames[index % len(frames)] for index in range(count)]
        for turn, files in enumerate(np.array_split(np.arange(count), min(TURNS, count))):
            monitor.progress('measuring in turns', turn, min(TURNS, count))
            for one in list(running):
                with _leaving_out(one, running, comparison):
                    chosen = [order[index] for index in files]
                    times = one.child.run([chosen[0]] * TURN_WARM_UP + chosen)
                    one.measured.times_ms += times[TURN_WARM_UP:]
        for one in list(running):
            with _leaving_out(one, running, comparison):
                one.measured.host_mb = one.child.memory()
        _compare_results(running, reference, frames[:count], comparison, log, monitor)
        for one in running:
            one.measured.warnings = tuple(dict.fromkeys(one.child.warnings))
        comparison.measured = [one.measured for one in running]
    return comparison


def _opened(
    variant: Variant, frame: Path, stack: contextlib.ExitStack, log: IO[bytes], monitor: Monitor,
) -> _Running:
    # A build or a conversion would raise the peak memory and the load time of the process that is measured.
    with Child(variant, log, monitor) as first:
        prepare_s = first.open()['seconds']
    gpu_before = gpu_memory_mb()
    child = stack.enter_context(Child(variant, log, monitor))
    opened = child.open()
    first_ms = child.run([frame])[0]['wall']
    child.run([frame] * WARM_UP)
    gpu_after = gpu_memory_mb()
    measured = Measured(variant, opened['description'], prepare_s, opened['seconds'], first_ms)
    if gpu_before is not None and gpu_after is not None:
        measured.gpu_mb = round(gpu_after - gpu_before, 1)
    return _Running(child, measured)


@contextlib.contextmanager
def _leaving_out(one: _Running, running: list[_Running], comparison: Comparison) -> Iterator[None]:
    try:
        yield
    except PerceptionError as error:
        # Also results of another task than the reference's, which cannot be compared.
        running.remove(one)
        one.child.close()
        comparison.left_out.append(LeftOut(one.measured.variant.name, str(error)))


def _compare_results(
    running: list[_Running], reference: Variant, frames: Sequence[Path], comparison: Comparison, log: IO[bytes],
    monitor: Monitor,
) -> None:
    """Compare each variant's results with the reference's; the first fp32 variant replaces one that cannot run."""
    monitor.progress('comparing the results', 0, None)
    expected: list[Result] | None = None
    chosen = next((one for one in running if one.measured.variant == reference), None)
    if chosen is None:
        try:
            with Child(reference, log, monitor) as child:
                child.open()
                expected = child.results(list(frames))
                comparison.reference = reference.name
        except LeftOutError:
            chosen = next((one for one in running if one.measured.variant.precision == 'fp32'), None)
    if chosen is not None:
        with _leaving_out(chosen, running, comparison):
            expected = chosen.child.results(list(frames))
            comparison.reference = chosen.measured.variant.name
    if expected is None:
        return
    threshold = reference.settings.detection.score_threshold
    for one in list(running):
        if one is chosen:
            continue
        with _leaving_out(one, running, comparison):
            results = one.child.results(list(frames))
            agreement = Agreement('detection' if isinstance(expected[0], Detections) else 'classification')
            for first, second in zip(expected, results):
                agreement.add_frame(first, second, threshold)
            one.measured.agreement = agreement
