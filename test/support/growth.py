# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether a process grows: samples of its memory, descriptors and threads, and the line through them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

# At the beginning the pools of the allocator, of DDS and of NumPy fill: a third of the samples, but at least these.
_WARM_UP, _FEWEST = 1 / 3, 15
# A pool that fills late, or a thread that the executor's pool starts late.
_MIB, _DESCRIPTORS, _THREADS = 4.0, 4.0, 3.0
# Fast DDS keeps the shared memory of participants that left mapped for a while: of up to four at once, 3.6 MiB each
# with four cameras. So this part goes up and down, and the least of the second half is judged in place of a line.
_SHARED_MIB = 16.0


@dataclass
class Growth:
    """Samples of a process over steps, such as frames or cycles.

    step_kib: memory in KiB that a step may keep
    mib: the resident memory of the process itself
    shared_mib: files and shared memory, which the process maps
    """

    step_kib: float
    steps: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)
    shared_mib: list[float] = field(default_factory=list)
    descriptors: list[float] = field(default_factory=list)
    threads: list[float] = field(default_factory=list)

    def sample(self, step: float, process: Any) -> None:
        """Add a sample of a NodeProcess after this many steps."""
        self.steps.append(step)
        shared = process.shared_mib()
        self.mib.append(process.resident_mib() - shared)
        self.shared_mib.append(shared)
        self.descriptors.append(process.descriptors())
        self.threads.append(process.threads())

    def summary(self) -> dict[str, float]:
        """Return the steps after the warm-up, and the growth over them, as the least-squares lines give it.

        shared_mib: how much the least of the second half of all samples is above the first
        """
        second_half = self.shared_mib[len(self.shared_mib) // 2:]
        return {
            'steps': self._measured()[1],
            'first_mib': round(self.mib[0] + self.shared_mib[0], 1),
            'last_mib': round(self.mib[-1] + self.shared_mib[-1], 1),
            'mib': round(self._grown(self.mib), 2),
            'shared_mib': round(min(second_half) - self.shared_mib[0], 2),
            'descriptors': round(self._grown(self.descriptors), 2),
            'threads': round(self._grown(self.threads), 2)}

    def faults(self) -> list[str]:
        """Return a line for each resource that grows."""
        found, steps = self.summary(), self._measured()[1]
        most = {
            'mib': _MIB + steps * self.step_kib / 1024, 'shared_mib': _SHARED_MIB, 'descriptors': _DESCRIPTORS,
            'threads': _THREADS}
        return [f'{name} grew by {found[name]} in {steps:g} steps, expected at most {limit:.2f}'
                for name, limit in most.items() if found[name] > limit]

    def _measured(self) -> tuple[int, float]:
        """Return the first sample after the warm-up, and the steps from there on."""
        start = max(_FEWEST, round(len(self.steps) * _WARM_UP))
        assert len(self.steps) > start + 3, f'{len(self.steps)} samples are too few'
        return start, self.steps[-1] - self.steps[start]

    def _grown(self, values: list[float]) -> float:
        start, steps = self._measured()
        slope = np.polyfit(self.steps[start:], values[start:], 1)[0]
        return float(slope * steps)
