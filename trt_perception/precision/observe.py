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

# Shows tensors of one sample: name -> array.
Look = Callable[[dict[str, np.ndarray]], None]


def largest_values(
    model: Any, tensors: Sequence[str], inputs: Callable[[], Iterable[dict[str, np.ndarray]]],
) -> dict[str, float]:
    """Return the largest absolute value that each tensor takes; CalibrationError where one is not finite.

    inputs: gives the samples, from the first one each time it is called
    """
    largest = dict.fromkeys(tensors, 0.0)

    def look(values: dict[str, np.ndarray]) -> None:
        for name, value in values.items():
            peak = float(np.max(np.abs(value))) if value.size else 0.0
            if not np.isfinite(peak):
                raise CalibrationError(
                    f"the model computes values that are not finite in float32 already (tensor '{name}'): its weights "
                    'are damaged, or the samples are not what it was trained on')
            largest[name] = max(largest[name], peak)

    _watch(model, tensors, inputs(), look)
    return largest


def histograms(
    model: Any, tensors: Sequence[str], inputs: Callable[[], Iterable[dict[str, np.ndarray]]],
) -> dict[str, Histogram]:
    """Return the histogram of the absolute values of each tensor."""
    result = {name: Histogram(peak) for name, peak in largest_values(model, tensors, inputs).items()}

    def look(values: dict[str, np.ndarray]) -> None:
        for name, value in values.items():
            result[name].add(value)

    # A second pass with bins that fit beats bins that grow: the result does not depend on the order of samples.
    _watch(model, tensors, inputs(), look)
    return result


def _watch(model: Any, tensors: Sequence[str], inputs: Iterable[dict[str, np.ndarray]], look: Look) -> None:
    onnx, ort = require('onnx'), require('onnxruntime')
    fed = {value.name for value in model.graph.input}
    wanted = [name for name in dict.fromkeys(tensors) if name not in fed]
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    present = {value.name for value in watched.graph.output}
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in present)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(watched.SerializeToString(), options, providers=['CPUExecutionProvider'])
    for sample in inputs:
        values = dict(zip(wanted, session.run(wanted, sample))) if wanted else {}
        values.update((name, sample[name]) for name in tensors if name in fed)
        look(values)
