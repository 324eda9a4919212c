# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a float model on ONNX Runtime and measures tensors inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import CalibrationError
from .ranges import Histogram
from .running import load, run, session_options

# Yields all samples at each call. The argument is the progress text of the work on them.
Samples = Callable[[str], Iterable[dict[str, np.ndarray]]]
# Receives the tensors of one sample: name -> array.
Look = Callable[[dict[str, np.ndarray]], None]


def largest_values(
    model: Any, tensors: Sequence[str], inputs: Samples, name: str, text: str = 'finding the largest values',
    infinities: bool = False,
) -> dict[str, float]:
    """Return the largest absolute value of each tensor.

    name: of the model, for error messages; text: progress text for `inputs`
    infinities: whether values may be infinite, as in masks; such values are then left out
    Raises CalibrationError if a value is NaN, or infinite without `infinities`; ModelError or EngineError if ONNX
    Runtime does not load or run the model.
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
                    f"expected finite values, found NaN or infinity in float32 already (tensor '{tensor}'): the "
                    'weights are damaged, or the samples are unlike the training data; check both')
            largest[tensor] = max(largest[tensor], peak)

    _watch(model, tensors, inputs(text), look, name)
    return largest


def histograms(model: Any, tensors: Sequence[str], inputs: Samples, name: str) -> dict[str, Histogram]:
    """Return the histogram of the absolute values of each tensor; raises as `largest_values`."""
    result = {tensor: Histogram(peak) for tensor, peak in largest_values(model, tensors, inputs, name).items()}

    def look(values: dict[str, np.ndarray]) -> None:
        for tensor, value in values.items():
            result[tensor].add(value)

    # A second pass uses bins of fixed width, unlike bins that grow: the result does not depend on the samples' order.
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
