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
# Fast DDS keeps the shared memory of participants that left mapped for some seconds: the faster they come and go, the
# more at once. So their number rises at first, then goes up and down: the least of each third is judged in place of a
# line.
_SEGMENTS = 4.0


@dataclass
class Growth:
    """Samples of a process over steps, such as frames or cycles.

    step_kib: memory in KiB that a step may keep
    images_mib: what images take that wait or are in work at once: on a busy machine, more do late
    mib: the resident memory of the process itself; file_mib: of mapped files
    segments: shared memory, which the process maps
    """

    step_kib: float
    images_mib: float = 0.0
    steps: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)
    file_mib: list[float] = field(default_factory=list)
    segments: list[float] = field(default_factory=list)
    descriptors: list[float] = field(default_factory=list)
    threads: list[float] = field(default_factory=list)

    def sample(self, step: float, process: Any) -> None:
        """Add a sample of a NodeProcess after this many steps."""
        self.steps.append(step)
        self.mib.append(process.private_mib())
        self.file_mib.append(process.file_mib())
        self.segments.append(process.segments())
        self.descriptors.append(process.descriptors())
        self.threads.append(process.threads())

    def summary(self) -> dict[str, float]:
        """Return the steps after the warm-up, and the growth over them, as the least-squares lines give it.

        segments: how much the least of the last third of all samples is above that of the third before it
        """
        third = len(self.segments) // 3
        return {
            'steps': self._measured()[1],
            'first_mib': round(self.mib[0] + self.file_mib[0], 1),
            'last_mib': round(self.mib[-1] + self.file_mib[-1], 1),
            'mib': round(self._grown(self.mib), 2),
            'file_mib': round(self._grown(self.file_mib), 2),
            'segments': min(self.segments[-third:]) - min(self.segments[-2 * third:-third]),
            'descriptors': round(self._grown(self.descriptors), 2),
            'threads': round(self._grown(self.threads), 2)}

    def faults(self) -> list[str]:
        """Return a line for each resource that grows."""
        found, steps = self.summary(), self._measured()[1]
        memory = _MIB + steps * self.step_kib / 1024
        most = {
            # A step in the middle counts one and a half times in the line.
            'mib': memory + 1.5 * self.images_mib, 'file_mib': memory, 'segments': _SEGMENTS,
            'descriptors': _DESCRIPTORS, 'threads': _THREADS}
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
