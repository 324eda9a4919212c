# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which layers can be int8: found by measuring, on frames that calibration has not seen, what each of them costs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import CalibrationError
from ..frame import Frame
from ..model import ModelSpec
from ..pipeline import HostPipeline, PostprocessSettings
from ..progress import ProgressCallback
from ..results import Result
from .parity import Agreement, loosened
from .quantizer import insert_qdq
from .simulation import SimulationBackend

# Weak boxes count as well: they tell more of what a layer does than the few strong ones alone.
_SCORE_THRESHOLD = 0.15


@dataclass(frozen=True)
class Target:
    """What int8 has to reach against fp32.

    agreement: Agreement.value, at least
    score_difference: mean absolute difference of scores (of boxes, or of each frame's worst class probability), at most
    """

    agreement: float = 0.95
    score_difference: float = 0.02

    def reached(self, agreement: Agreement) -> bool:
        """Tell whether it is reached."""
        return agreement.value >= self.agreement and agreement.mean_score_difference <= self.score_difference


@dataclass(frozen=True)
class Choice:
    """Layers to run in int8, the rest stays in float.

    sensitivity: Agreement.loss of each layer with it alone in int8
    """

    layers: tuple[str, ...]
    agreement: Agreement
    sensitivity: Mapping[str, float]


class Evaluation:
    """Compares variants of one float model with it on fixed frames; the float results are computed once."""

    def __init__(self, spec: ModelSpec, model: Any, frames: Sequence[Frame]) -> None:
        settings = PostprocessSettings()
        self._settings = replace(settings, detection=replace(settings.detection, score_threshold=_SCORE_THRESHOLD))
        self._spec = spec
        self._frames = frames
        self._reference = self._run(model)
        if self.of(model).says_nothing:
            raise CalibrationError(
                f'the model detects nothing in the {len(frames)} frames that int8 would be checked on: give '
                'calibration data that shows what it is to detect')

    def of(self, model: Any) -> Agreement:
        """Return the agreement of a variant."""
        agreement = Agreement(self._spec.task)
        for reference, candidate in zip(self._reference, self._run(model)):
            agreement.add_frame(reference, candidate, _SCORE_THRESHOLD)
        return agreement

    def _run(self, model: Any) -> list[Result]:
        with HostPipeline(self._spec, SimulationBackend(model), loosened(self._settings)) as pipeline:
            return [pipeline.run(frame).result for frame in self._frames]


def choose_layers(
    model: Any, thresholds: Mapping[str, float], candidates: Sequence[str], evaluation: Evaluation,
    target: Target, progress: ProgressCallback | None = None,
) -> Choice:
    """Return as many layers as reach the target, giving up the most sensitive first.

    Each candidate is quantised alone and measured; then, by bisection, the fewest that have to stay in float. Raises
    CalibrationError where not even one layer can be int8.
    """
    def measure(layers: Collection[str]) -> Agreement:
        return evaluation.of(insert_qdq(model, thresholds, layers))

    steps = len(candidates) + max(1, len(candidates).bit_length()) + 1
    report = _counter('measuring what int8 costs in each layer', steps, progress)
    whole = measure(candidates)
    report()
    if target.reached(whole):
        return Choice(tuple(candidates), whole, {})
    sensitivity = {}
    for layer in candidates:
        sensitivity[layer] = measure([layer]).loss
        report()
    # A stable order where losses are equal keeps the result the same from run to run.
    order = sorted(candidates, key=lambda layer: -sensitivity[layer])
    kept_low, kept_high = 0, len(order)  # With kept_low layers in float it is not reached.
    best: Agreement | None = None
    while kept_high - kept_low > 1:
        middle = (kept_low + kept_high) // 2
        agreement = measure(order[middle:])
        report()
        if target.reached(agreement):
            kept_high, best = middle, agreement
        else:
            kept_low = middle
    if best is None:
        raise CalibrationError(
            f'int8 does not reach what is asked (agreement {target.agreement}, mean score difference '
            f'{target.score_difference}) with any of {len(order)} layers; all in int8: {whole.summary()}. '
            'Use fp16, ask for less, or give more calibration data')
    float_layers = set(order[:kept_high])
    return Choice(tuple(name for name in candidates if name not in float_layers), best, sensitivity)


def _counter(text: str, total: int, progress: ProgressCallback | None) -> Callable[[], None]:
    done = 0

    def report() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(text, min(done, total), total)

    return report
