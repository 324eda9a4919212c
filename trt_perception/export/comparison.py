# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""PyTorch against ONNX Runtime: the same inputs through the network and through the file that was made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..dependencies import require
from ..errors import ModelError, one_line
from ..image.frame import Frame
from ..model.spec import ModelSpec
from ..ort.backend import OnnxRuntimeBackend
from ..pipeline.preprocess import Preprocessor
from .network import Network, tensors_of

# An output of zeros only would make every rounding error large.
_LEAST = 1e-6
# In detections, an error of a score far below this has no effect.
_LEAST_SCORE = 0.01
_SEED = 20261129


@dataclass(frozen=True)
class Comparison:
    """The outputs of both for one input.

    name: of the input
    difference: the largest one, as a fraction of `largest`
    largest: the largest absolute value of the output, or of the attribute (x, y, a score) of a detector's output
    """

    name: str
    difference: float
    largest: float

    @property
    def relative(self) -> float:
        """The difference as a fraction of the largest value."""
        return self.difference / max(self.largest, _LEAST)


def compare(network: Network, spec: ModelSpec, photo: Frame) -> list[Comparison]:
    """Return the comparisons on the photo and on noise, preprocessed as the pipeline does it.

    If the batch is dynamic, both together are a third input. Raises ModelError if PyTorch's output is not finite, or if
    the outputs differ in number or shape.
    """
    preprocess = Preprocessor(spec)
    noise = np.random.default_rng(_SEED).integers(0, 256, (spec.height, spec.width, 3), np.uint8)
    # The preprocessor uses its buffer again.
    inputs = {'photo': preprocess(photo)[0].copy(), 'noise': preprocess(Frame.from_bgr(noise))[0].copy()}
    if spec.dynamic_batch:
        inputs['batch of both'] = np.concatenate(list(inputs.values()))
    backend = OnnxRuntimeBackend(spec.path)
    backend.open()
    try:
        return [
            compare_outputs(name, _with_pytorch(network, tensor), backend.infer(spec.input_name, tensor))
            for name, tensor in inputs.items()]
    finally:
        backend.close()


def _with_pytorch(network: Network, tensor: np.ndarray) -> list[np.ndarray]:
    torch = require('torch')
    try:
        with torch.no_grad():
            return [output.numpy() for output in tensors_of(network.module(torch.from_numpy(tensor.copy())))]
    except ModelError:
        raise
    except Exception as error:  # code of the user
        raise ModelError(
            f'the network does not run with an input of {list(tensor.shape)}: {one_line(error, 300)}') from error


def compare_outputs(
    name: str, expected: Sequence[np.ndarray], found: Mapping[str, np.ndarray], runner: str = 'ONNX Runtime',
) -> Comparison:
    """Return the comparison with the largest relative difference.

    name: of the input; runner: what returned `found`
    Raises ModelError if the number or the shapes of the outputs differ, or if one of PyTorch's is not finite.
    """
    if len(expected) != len(found):
        raise ModelError(f'the network has {len(expected)} outputs, but the file has {len(found)}: {", ".join(found)}')
    worst = Comparison(name, 0.0, 0.0)
    for (output, values), reference in zip(found.items(), expected):
        if values.shape != reference.shape:
            raise ModelError(
                f'output {output} has the shape {list(values.shape)} with {runner}, and {list(reference.shape)} '
                f'with PyTorch ({name})')
        if not np.isfinite(reference).all():
            raise ModelError(f'output {output} of PyTorch is not finite ({name}): check the weights and the input size')
        for part, difference in zip(_parts(reference), _parts(values.astype(np.float64) - reference)):
            largest = float(np.abs(part).max(initial=0.0))
            most = float(np.abs(difference).max(initial=0.0))
            compared = Comparison(
                name, np.inf if np.isnan(most) else most, max(largest, _LEAST_SCORE) if reference.ndim > 2 else largest)
            if compared.relative >= worst.relative:
                worst = compared
    return worst


def _parts(values: np.ndarray) -> list[np.ndarray]:
    """Split the output of a detector by attribute: an error of a score is small beside boxes in pixels.

    A detector has more boxes than attributes: [1, attributes, boxes] or [1, boxes, attributes].
    """
    if values.ndim < 3 or min(values.shape) == 0:
        return [values]
    axis = -2 if values.shape[-2] <= values.shape[-1] else -1
    return [np.take(values, index, axis) for index in range(values.shape[axis])]
