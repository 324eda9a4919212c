# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The pipeline: one call from a frame to its result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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
    """Settings that may change between two frames; see DetectionSettings and ClassificationSettings.

    shown_score: detections with a lower score are only for a tracker; None if there is none, so all are shown
    """

    detection: DetectionSettings = field(default_factory=DetectionSettings)
    classification: ClassificationSettings = field(default_factory=ClassificationSettings)
    shown_score: float | None = None

    @classmethod
    def of_model(cls, spec: ModelSpec) -> PostprocessSettings:
        """Return the settings for a user who sets nothing: the model's own thresholds."""
        return cls(DetectionSettings(spec.thresholds.score, spec.thresholds.iou))

    def down_to(self, score: float) -> PostprocessSettings:
        """Return these settings with detections down to this score too. Those above the threshold stay the same."""
        shown = self.detection.score_threshold
        return replace(
            self, detection=replace(self.detection, score_threshold=min(score, shown)), shown_score=shown)


@dataclass(frozen=True)
class PipelineOutput:
    """The result of one frame and the time of each stage.

    timings_ms: preprocess, infer, postprocess, in milliseconds
    settings: those of this result; the pipeline may have others by now
    """

    result: Result
    timings_ms: dict[str, float]
    settings: PostprocessSettings


class Backend(Protocol):
    """Runs a network on an input tensor; one thread opens, uses and closes it."""

    name: str

    def open(self) -> None:
        """Load the model and allocate all resources for inference."""

    def infer(self, input_name: str, tensor: np.ndarray) -> dict[str, np.ndarray]:
        """Run once; returns each output by name."""

    def describe(self) -> dict[str, str]:
        """Return backend, backend_version, device."""

    def close(self) -> None:
        """Free everything."""


class Pipeline(Protocol):
    """The interface between the node and inference. One thread owns a pipeline and calls open, run and close.

    If `concurrent_runs` is larger than 1, so many threads may call run and run_batch at the same time. Then the reading
    of one frame and the decoding of another overlap with the network of a third.
    """

    spec: ModelSpec
    settings: PostprocessSettings

    @property
    def concurrent_runs(self) -> int:
        """How many threads may call run and run_batch at the same time; known when the pipeline is open."""

    @property
    def frames_of_camera(self) -> int:
        """How many frames of one camera may usefully be in work at the same time; known when the pipeline is open.

        2 if the CPU works on one frame while a GPU works on the one before, for more frames a second.
        """

    @property
    def max_batch(self) -> int:
        """The largest number of frames for run_batch, 1 for a network that takes one; known when it is open."""

    def open(self) -> None:
        """Load, allocate and run once to warm up; ModelError or EngineError."""

    def run(self, frame: Frame, masks: bool = False) -> PipelineOutput:
        """Process one frame; FrameError for a bad frame, EngineError if the backend fails.

        masks: with instance masks, if the model has them (ModelSpec.has_masks); they take time for each object
        """

    def run_batch(self, frames: Sequence[Frame], masks: bool = False) -> list[PipelineOutput]:
        """Process frames, of one size or of several, in one run of the network; the errors of `run`.

        frames: 1 to max_batch; masks: as in `run`
        Returns their outputs in the same order; the times are those of the whole batch.
        """

    def describe(self) -> dict[str, str]:
        """Return values for diagnostics: backend, versions, device, precision."""

    def close(self) -> None:
        """Free everything; callable in any state and more than once."""

    def __enter__(self) -> Pipeline:
        """Open."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None,
    ) -> None:
        """Close."""
