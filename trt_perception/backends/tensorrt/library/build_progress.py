# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The progress of a build for a ProgressCallback, from the phases that TensorRT reports (IProgressMonitor)."""

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
    """The running phases: a tree, because a phase runs within one step of its parent."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # TensorRT reports on several threads.
        self._phases: dict[str, _Phase] = {}
        self._fraction = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> tuple[str, float, float]:
        """Enter a phase with this many steps; return its name, the fraction done of the build (0..1), and 1.0."""
        with self._lock:
            self._phases[name] = _Phase(name, parent or None, max(1, steps))
            return self._state(name)

    def step(self, name: str, step: int) -> tuple[str, float, float]:
        """Record that step number `step` (from 0) of a phase is done; return the same as start."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                phase.done = min(phase.steps, step + 1)
            return self._state(name)

    def finish(self, name: str) -> tuple[str, float, float]:
        """Leave a phase; return the same as start."""
        with self._lock:
            phase = self._phases.pop(name, None)
            if phase is not None and phase.parent is None:
                self._fraction = 1.0
            return self._state(name)

    def _state(self, name: str) -> tuple[str, float, float]:
        roots = [phase for phase in self._phases.values() if phase.parent not in self._phases]
        if roots:
            # A build may have several root phases in sequence, and phases may repeat: progress must never decrease.
            self._fraction = max(self._fraction, min(1.0, self._part(roots[0], 0)))
        return name, self._fraction, 1.0

    def _part(self, phase: _Phase, depth: int) -> float:
        children = [child for child in self._phases.values() if child.parent == phase.name]
        within = max((self._part(child, depth + 1) for child in children), default=0.0) if depth < 16 else 0.0
        return min(1.0, (phase.done + min(1.0, within)) / phase.steps)
