# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Calibration data: frames as the network gets them at run time, a method, and an identity of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
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
    """Preprocessed frames and the method (of ranges.METHODS, or auto) that turns what they cause into ranges.

    sha256: of the tensors themselves, the method and the preprocessing: the same pixels give the same identity, from
        whatever file they came
    """

    spec: ModelSpec
    frames: Sequence[Frame] = field(repr=False)
    method: str
    sha256: str

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.frames)

    def inputs(self) -> Iterator[dict[str, np.ndarray]]:
        """Give each sample as the network's input, [1, C, H, W] or [1, H, W, C]; valid until the next one."""
        for tensor in _tensors(self.spec, self.frames):
            yield {self.spec.input_name: tensor}

    def reporting(self, progress: ProgressCallback) -> Samples:
        """Return what gives `inputs` and tells `progress` how far they are."""
        return lambda text: counted(self.inputs(), text, len(self), progress)

    def histograms(
        self, model: Any, tensors: Sequence[str], progress: ProgressCallback = silent,
    ) -> dict[str, Histogram]:
        """Return the absolute values that these tensors of the float model take; raises what observe's does."""
        return histograms(model, tensors, self.reporting(progress), self.spec.path.name)


def calibration_of(
    spec: ModelSpec, frames: Sequence[Frame], method: str = AUTO, progress: ProgressCallback = silent,
) -> Calibration:
    """Return the calibration of these frames.

    Raises CalibrationError where there is no frame or the method is unknown: ranges are never guessed.
    """
    if method not in (AUTO, *METHODS):
        raise CalibrationError(f"calibration method '{method}': expected one of {', '.join((AUTO, *METHODS))}")
    if not frames:
        raise CalibrationError('int8 needs calibration data, found no frame: give images of what the camera will see')
    digest = hashlib.sha256()
    for tensor in counted(_tensors(spec, frames), 'preparing frames', len(frames), progress):
        digest.update(np.ascontiguousarray(tensor).tobytes())
    digest.update(json.dumps({
        'method': method, 'preprocessing': asdict(spec.preprocessing), 'samples': len(frames),
        'shape': list(spec.input_shape), 'dtype': str(spec.input_dtype)}, sort_keys=True).encode())
    return Calibration(spec, tuple(frames), method, digest.hexdigest())


def _tensors(spec: ModelSpec, frames: Sequence[Frame]) -> Iterator[np.ndarray]:
    preprocess = Preprocessor(spec)
    for frame in frames:
        yield preprocess(frame)[0]
