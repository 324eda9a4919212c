# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the layers that can be int8: measures the loss of each one on frames that calibration has not seen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import CalibrationError
from ..image.frame import Frame
from ..model.spec import ModelSpec
from ..pipeline.host import HostPipeline
from ..pipeline.interface import PostprocessSettings
from ..progress import ProgressCallback, counted, silent
from ..results.results import Result
from .parity import Agreement, loosened
from .simulation import SimulationBackend
from .target import Target

# Weak boxes count too: they show the effect of a layer better than only the few strong boxes.
_SCORE_THRESHOLD = 0.15


@dataclass(frozen=True)
class Choice:
    """Layers to run in int8; the other layers stay in float.

    sensitivity: Agreement.loss with only this layer in int8, for each layer
    target: the target that was reached, None without a search
    """

    layers: tuple[str, ...]
    agreement: Agreement
    sensitivity: Mapping[str, float] = field(default_factory=dict)
    target: Target | None = None


class Evaluation:
    """Compares variants of a float model with that model on fixed frames; the float results are computed once.

    Raises CalibrationError if the model detects nothing in the frames; ModelError or EngineError if ONNX Runtime does
    not load or run it.
    """

    def __init__(
        self, spec: ModelSpec, model: Any, frames: Sequence[Frame], progress: ProgressCallback = silent,
    ) -> None:
        settings = PostprocessSettings.of_model(spec)
        self._settings = replace(settings, detection=replace(settings.detection, score_threshold=_SCORE_THRESHOLD))
        self._spec = spec
        self._frames = frames
        self._reference = self._run(model, 'computing float32 results', progress)
        if self._agreement(self._reference).says_nothing:
            raise CalibrationError(
                f'the model detects nothing in the {len(frames)} frames for checking int8: give calibration data that '
                'shows the objects to detect')

    def of(
        self, model: Any, text: str = 'measuring what int8 costs', progress: ProgressCallback = silent,
    ) -> Agreement:
        """Return the agreement of a variant.

        progress: called before each frame with `text`
        """
        return self._agreement(self._run(model, text, progress))

    def _agreement(self, results: Sequence[Result]) -> Agreement:
        agreement = Agreement(self._spec.task)
        for reference, candidate in zip(self._reference, results):
            agreement.add_frame(reference, candidate, _SCORE_THRESHOLD)
        return agreement

    def _run(self, model: Any, text: str, progress: ProgressCallback) -> list[Result]:
        backend = SimulationBackend(model, self._spec.path.name)
        # Loading takes long too. Progress before and after it gives two chances to cancel.
        progress(text, 0, len(self._frames))
        with HostPipeline(self._spec, backend, loosened(self._settings)) as pipeline:
            return [
                pipeline.run(frame).result for frame in counted(self._frames, text, len(self._frames), progress)]


def choose_layers(
    insert: Callable[[Collection[str]], Any], candidates: Sequence[str], evaluation: Evaluation,
    targets: Sequence[Target], progress: ProgressCallback = silent,
) -> Choice:
    """Return as many int8 layers as the first target allows that can be reached; the most sensitive stay in float.

    insert: returns the model with these layers in int8
    If all layers in int8 miss the target, each candidate is quantised alone and measured. Bisection then finds the
    smallest number of layers that must stay in float. Raises CalibrationError if not even one layer can be int8.
    """
    steps = len(candidates) + max(1, len(candidates).bit_length()) + 1
    done = 0

    def report(*_: object) -> None:
        progress('measuring what int8 costs in each layer', min(done, steps), steps)

    def measure(layers: Collection[str]) -> Agreement:
        nonlocal done
        report()
        # A single step takes long with a large model, so each frame is a chance to cancel.
        agreement = evaluation.of(insert(layers), progress=report)
        done += 1
        report()
        return agreement

    whole = measure(candidates)
    if targets[0].reached(whole):
        return Choice(tuple(candidates), whole, target=targets[0])
    sensitivity = {layer: measure([layer]).loss for layer in candidates}
    # A stable order for equal losses keeps the result the same from run to run.
    order = sorted(candidates, key=lambda layer: -sensitivity[layer])
    # Number of layers in float -> agreement: a later target may need the same measurements.
    measured = {0: whole}
    for target in targets:
        kept = _fewest_in_float(target, len(order), measured, lambda kept: measure(order[kept:]))
        if kept < len(order):
            float_layers = set(order[:kept])
            return Choice(
                tuple(name for name in candidates if name not in float_layers), measured[kept], sensitivity, target)
    missed = targets[0].missed(measured[len(order) - 1])
    raise CalibrationError(
        f'int8 does not reach the target with any of {len(order)} layers; with one of them in int8: {missed}; with all '
        f'in int8: {whole.summary()}. Use fp16, give more calibration data, or lower the target: min_agreement of the '
        'node, or --min-agreement and --max-score-difference of trt_perception quantize')


def _fewest_in_float(
    target: Target, count: int, measured: dict[int, Agreement], measure: Callable[[int], Agreement],
) -> int:
    """Return how many of `count` layers must stay in float, found by bisection; `count` if no number is enough.

    measured: earlier results of `measure`, by the number of layers in float, at least that for 0; new ones are added
    """
    if target.reached(measured[0]):
        return 0
    low, high = 0, count  # With `low` layers in float the target is not reached.
    while high - low > 1:
        middle = (low + high) // 2
        if middle not in measured:
            measured[middle] = measure(middle)
        if target.reached(measured[middle]):
            high = middle
        else:
            low = middle
    return high
