# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline: one call from a frame to its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

import numpy as np

from ..image.frame import Frame
from ..model.heads.classification import ClassificationSettings
from ..model.heads.yolo import DetectionSettings
from ..model.spec import ModelSpec
from ..results.results import Result


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
