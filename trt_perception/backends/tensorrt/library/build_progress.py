# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""How far a build is, from the phases that TensorRT reports (IProgressMonitor), as a ProgressCallback takes it."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass
class _Phase:
    name: str
    parent: str | None
    steps: int
    done: int = 0


class BuildPhases:
    """The phases under way: a tree, for a phase runs within one step of its parent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # TensorRT builds, and reports, on several threads.
        self._phases: dict[str, _Phase] = {}
        self._fraction = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> tuple[str, float, float]:
        """Enter a phase of so many steps; returns its name, how much of all is done, 0..1, and 1.0."""
        with self._lock:
            self._phases[name] = _Phase(name, parent or None, max(1, steps))
            return self._state(name)

    def step(self, name: str, step: int) -> tuple[str, float, float]:
        """Note that step number `step`, from 0, of a phase is done; returns as start."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                phase.done = min(phase.steps, step + 1)
            return self._state(name)

    def finish(self, name: str) -> tuple[str, float, float]:
        """Leave a phase; returns as start."""
        with self._lock:
            phase = self._phases.pop(name, None)
            if phase is not None and phase.parent is None:
                self._fraction = 1.0
            return self._state(name)

    def _state(self, name: str) -> tuple[str, float, float]:
        roots = [phase for phase in self._phases.values() if phase.parent not in self._phases]
        if roots:
            # A build may have several roots one after the other, and phases come back: never show less than before.
            self._fraction = max(self._fraction, min(1.0, self._part(roots[0], 0)))
        return name, self._fraction, 1.0

    def _part(self, phase: _Phase, depth: int) -> float:
        children = [child for child in self._phases.values() if child.parent == phase.name]
        within = max((self._part(child, depth + 1) for child in children), default=0.0) if depth < 16 else 0.0
        return min(1.0, (phase.done + min(1.0, within)) / phase.steps)
