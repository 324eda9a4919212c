# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline: one call from a frame to its result."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

import numpy as np

from ..closing import Closing
from ..errors import EngineError
from ..image.frame import Frame
from ..model.geometry import Geometry
from ..model.heads.classification import ClassificationHead, ClassificationSettings
from ..model.heads.yolo import DetectionSettings, YoloHead
from ..model.spec import ModelSpec
from ..results.results import Result
from .preprocess import Preprocessor, grey_frame


@dataclass(frozen=True)
class PostprocessSettings:
    """What may change between two frames; see DetectionSettings and ClassificationSettings."""

    detection: DetectionSettings = field(default_factory=DetectionSettings)
    classification: ClassificationSettings = field(default_factory=ClassificationSettings)


@dataclass(frozen=True)
class PipelineOutput:
    """The result of one frame and what each stage took, in milliseconds.

    timings_ms: preprocess, infer, postprocess
    """

    result: Result
    timings_ms: dict[str, float]


class Backend(Protocol):
    """Runs a network on an input tensor; opened, used and closed by one thread."""

    name: str

    def open(self) -> None:
        """Load the model and allocate all that inference needs."""

    def infer(self, input_name: str, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run once; the outputs by name."""

    def describe(self) -> dict[str, str]:
        """Return backend, backend_version, device."""

    def close(self) -> None:
        """Free everything."""


class Pipeline(Protocol):
    """What the node knows of inference. One thread owns it: open, run and close come from there."""

    spec: ModelSpec
    settings: PostprocessSettings

    def open(self) -> None:
        """Load, allocate and run once to warm up; ModelError or EngineError."""

    def run(self, frame: Frame) -> PipelineOutput:
        """Process one frame; FrameError for a bad frame, EngineError if the backend fails."""

    def describe(self) -> dict[str, str]:
        """Return provenance for diagnostics: backend, versions, device, precision."""

    def close(self) -> None:
        """Free everything; may be called in any state, any number of times."""

    def __enter__(self) -> Pipeline:
        """Open."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        """Close."""


class HostPipeline(Closing):
    """OpenCV and NumPy around any backend.

    `settings` may be replaced at any time, from any thread: a frame reads it once.
    """

    def __init__(
        self, spec: ModelSpec, backend: Backend, settings: PostprocessSettings | None = None,
    ) -> None:
        self.spec = spec
        self.settings = settings or PostprocessSettings()
        self._backend = backend
        self._preprocessor: Preprocessor | None = None

    def open(self) -> None:
        """Load the model and run it once on a grey frame."""
        self._backend.open()
        try:
            self._preprocessor = Preprocessor(self.spec)
            tensor, geometry = self._preprocessor(grey_frame(self.spec))
            output = self._infer(tensor)
            if isinstance(self.spec.head, YoloHead):
                self.spec.head.require_decoded(output, self.spec.width, self.spec.height)
            self._decode(output, geometry, self.settings)
        except BaseException:
            self.close()
            raise

    def run(self, frame: Frame) -> PipelineOutput:
        """Process one frame."""
        if self._preprocessor is None:
            raise EngineError('the pipeline is not open')
        settings = self.settings
        started = time.perf_counter()
        tensor, geometry = self._preprocessor(frame)
        preprocessed = time.perf_counter()
        output = self._infer(tensor)
        inferred = time.perf_counter()
        result = self._decode(output, geometry, settings)
        finished = time.perf_counter()
        return PipelineOutput(result, {
            'preprocess': (preprocessed - started) * 1e3,
            'infer': (inferred - preprocessed) * 1e3,
            'postprocess': (finished - inferred) * 1e3})

    def _infer(self, tensor: np.ndarray) -> np.ndarray:
        outputs = self._backend.infer(self.spec.input_name, tensor)
        try:
            return outputs[self.spec.head.output_name]
        except KeyError:
            raise EngineError(
                f"the backend gave no output '{self.spec.head.output_name}', only {sorted(outputs)}") from None

    def _decode(self, output: np.ndarray, geometry: Geometry, settings: PostprocessSettings) -> Result:
        head = self.spec.head
        if isinstance(head, ClassificationHead):
            return head.decode(output, settings.classification)
        return head.decode(output, geometry, settings.detection)

    def describe(self) -> dict[str, str]:
        """Return the backend's description, the pipeline's kind and the precision it really runs in."""
        return {
            **self._backend.describe(), 'pipeline': 'host',
            'precision_effective': self.spec.stored_precision}

    def close(self) -> None:
        """Free the backend and the buffers."""
        self._preprocessor = None
        self._backend.close()
