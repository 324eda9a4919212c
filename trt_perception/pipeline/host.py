# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""HostPipeline: preprocessing and decoding on the CPU, with any backend."""

from __future__ import annotations

import copy
import time

import numpy as np

from ..closing import Closing
from ..errors import EngineError
from ..image.frame import Frame
from ..model.geometry import Geometry
from ..model.heads.classification import ClassificationHead
from ..model.heads.detection import RawOutput
from ..model.spec import ModelSpec
from ..results.results import Result
from .interface import Backend, PipelineOutput, PostprocessSettings
from .preprocess import Preprocessor
from .probe import checked_spec, probe_frames


class HostPipeline(Closing):
    """Preprocesses with OpenCV and decodes with NumPy, with any backend.

    `settings` may be replaced at any time and from any thread: each frame reads it once.
    `device_fallback` is why the model runs on the CPU although a GPU is wanted, '' if it does not.
    """

    device_fallback = ''

    def __init__(
        self, spec: ModelSpec, backend: Backend, settings: PostprocessSettings | None = None,
    ) -> None:
        self.spec = spec
        self.settings = settings or PostprocessSettings.of_model(spec)
        self._backend = backend
        self._preprocessor: Preprocessor | None = None

    def open(self) -> None:
        """Load the model and run it on test images; ModelError if its outputs cannot be right."""
        self._backend.open()
        try:
            self._preprocessor = Preprocessor(self.spec)
            outputs = []
            for frame in probe_frames(self.spec):
                tensor, geometry = self._input(self._preprocessor, frame)
                # A backend may overwrite its output in the next run.
                outputs.append(copy.deepcopy(self._infer(tensor)))
            outputs = self._accepted(outputs)
            self._decode(outputs[0], geometry, self.settings)
        except BaseException:
            self.close()
            raise

    def run(self, frame: Frame) -> PipelineOutput:
        """Process one frame."""
        if self._preprocessor is None:
            raise EngineError('the pipeline is not open')
        settings = self.settings
        started = time.perf_counter()
        tensor, geometry = self._input(self._preprocessor, frame)
        preprocessed = time.perf_counter()
        output = self._infer(tensor)
        inferred = time.perf_counter()
        result = self._decode(output, geometry, settings)
        finished = time.perf_counter()
        return PipelineOutput(result, {
            'preprocess': (preprocessed - started) * 1e3,
            'infer': (inferred - preprocessed) * 1e3,
            'postprocess': (finished - inferred) * 1e3})

    def _accepted(self, outputs: list[RawOutput]) -> list[RawOutput]:
        """Return the outputs for the test images as the head reads them; ModelError if they cannot be right."""
        self.spec = checked_spec(self.spec, outputs)
        return outputs

    def _input(self, preprocess: Preprocessor, frame: Frame) -> tuple[np.ndarray, Geometry]:
        """Return what the backend takes, and the geometry of the frame."""
        return preprocess(frame)

    def _infer(self, tensor: np.ndarray) -> RawOutput:
        outputs = self._backend.infer(self.spec.input_name, tensor)
        try:
            return self.spec.head.pick(outputs)
        except KeyError as error:
            raise EngineError(
                f"expected the output '{error.args[0]}' from the backend, found {sorted(outputs)}: export "
                'the model again') from None

    def _decode(self, output: RawOutput, geometry: Geometry, settings: PostprocessSettings) -> Result:
        head = self.spec.head
        if isinstance(head, ClassificationHead):
            return head.decode(output, settings.classification)
        return head.decode(output, geometry, settings.detection)

    def describe(self) -> dict[str, str]:
        """Return the backend's description, the pipeline's kind and the precision in which the model runs."""
        return {
            **self._backend.describe(), 'pipeline': 'host',
            'precision_effective': self.spec.stored_precision,
            **({'device_fallback': self.device_fallback} if self.device_fallback else {})}

    def close(self) -> None:
        """Free the backend and the buffers."""
        self._preprocessor = None
        self._backend.close()
