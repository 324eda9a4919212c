# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a float model on ONNX Runtime and looks at tensors inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import CalibrationError
from .ranges import Histogram
from .running import load, run, session_options

# Gives the samples, from the first one each time it is called with what is being done with them.
Samples = Callable[[str], Iterable[dict[str, np.ndarray]]]
# Shows tensors of one sample: name -> array.
Look = Callable[[dict[str, np.ndarray]], None]


def largest_values(
    model: Any, tensors: Sequence[str], inputs: Samples, name: str, text: str = 'finding the largest values',
    infinities: bool = False,
) -> dict[str, float]:
    """Return the largest absolute value that each tensor takes.

    name: what an error calls the model; text: what `inputs` is told
    infinities: whether values may be infinite, as in masks; they are left out then
    Raises CalibrationError where a value is NaN, or infinite without `infinities`; ModelError and EngineError where
    ONNX Runtime does not load or run the model.
    """
    largest = dict.fromkeys(tensors, 0.0)

    def look(values: dict[str, np.ndarray]) -> None:
        for tensor, value in values.items():
            absolute = np.abs(value)
            if infinities:
                absolute = absolute[~np.isinf(absolute)]
            peak = float(np.max(absolute)) if absolute.size else 0.0
            if not np.isfinite(peak):
                raise CalibrationError(
                    f"the model computes values that are not finite in float32 already (tensor '{tensor}'): its "
                    'weights are damaged, or the samples are not what it was trained on')
            largest[tensor] = max(largest[tensor], peak)

    _watch(model, tensors, inputs(text), look, name)
    return largest


def histograms(model: Any, tensors: Sequence[str], inputs: Samples, name: str) -> dict[str, Histogram]:
    """Return the histogram of the absolute values of each tensor; raises what `largest_values` does."""
    result = {tensor: Histogram(peak) for tensor, peak in largest_values(model, tensors, inputs, name).items()}

    def look(values: dict[str, np.ndarray]) -> None:
        for tensor, value in values.items():
            result[tensor].add(value)

    # A second pass with bins that fit beats bins that grow: the result does not depend on the order of samples.
    _watch(model, tensors, inputs('counting values'), look, name)
    return result


def _watch(
    model: Any, tensors: Sequence[str], inputs: Iterable[dict[str, np.ndarray]], look: Look, name: str,
) -> None:
    onnx = require('onnx')
    fed = {value.name for value in model.graph.input}
    wanted = [tensor for tensor in dict.fromkeys(tensors) if tensor not in fed]
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    present = {value.name for value in watched.graph.output}
    watched.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in wanted if tensor not in present)
    session = load(watched, session_options(), name)
    for sample in inputs:
        values = dict(zip(wanted, run(session, wanted, sample, name))) if wanted else {}
        values.update((tensor, sample[tensor]) for tensor in tensors if tensor in fed)
        look(values)
