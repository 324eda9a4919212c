# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Calibration data: frames preprocessed as at run time, a method, and a digest of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import CalibrationError
from ..image.frame import Frame
from ..model.spec import ModelSpec
from ..pipeline.preprocess import Preprocessor
from ..progress import ProgressCallback, counted, silent
from .observe import Samples, histograms
from .ranges import AUTO, METHODS, Histogram


@dataclass(frozen=True)
class Calibration:
    """Frames and the method (of ranges.METHODS, or auto) that computes ranges from the activations they cause.

    sha256: digest of the input tensors, the method and the preprocessing. The same pixels give the same digest,
        whatever file they are from
    """

    spec: ModelSpec
    frames: Sequence[Frame] = field(repr=False)
    method: str
    sha256: str

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.frames)

    def inputs(self) -> Iterator[dict[str, np.ndarray]]:
        """Yield each sample as the network's input, [1, C, H, W] or [1, H, W, C]; valid until the next one."""
        for tensor in _tensors(self.spec, self.frames):
            yield {self.spec.input_name: tensor}

    def reporting(self, progress: ProgressCallback) -> Samples:
        """Return a function that yields `inputs` and reports each one to `progress`."""
        return lambda text: counted(self.inputs(), text, len(self), progress)

    def histograms(
        self, model: Any, tensors: Sequence[str], progress: ProgressCallback = silent,
    ) -> dict[str, Histogram]:
        """Return histograms of these tensors' absolute values in the float model; raises as observe.histograms."""
        return histograms(model, tensors, self.reporting(progress), self.spec.path.name)


def calibration_of(
    spec: ModelSpec, frames: Sequence[Frame], method: str = AUTO, progress: ProgressCallback = silent,
) -> Calibration:
    """Return the calibration of these frames.

    Raises CalibrationError if there is no frame or if the method is unknown: ranges are never guessed.
    """
    if method not in (AUTO, *METHODS):
        raise CalibrationError(f"calibration method '{method}': expected one of {', '.join((AUTO, *METHODS))}")
    if not frames:
        raise CalibrationError('int8 needs calibration data, found no frames: give images of what the camera will see')
    digest = hashlib.sha256()
    for tensor in counted(_tensors(spec, frames), 'preparing frames', len(frames), progress):
        digest.update(np.ascontiguousarray(tensor).tobytes())
    digest.update(json.dumps({
        'method': method, 'preprocessing': spec.preprocessing.identity(), 'samples': len(frames),
        'shape': list(spec.input_shape), 'dtype': str(spec.input_dtype)}, sort_keys=True).encode())
    return Calibration(spec, tuple(frames), method, digest.hexdigest())


def _tensors(spec: ModelSpec, frames: Sequence[Frame]) -> Iterator[np.ndarray]:
    preprocess = Preprocessor(spec)
    for frame in frames:
        yield preprocess(frame)[0]
