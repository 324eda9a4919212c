# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""HostPipeline: preprocessing and decoding on the CPU, with any backend."""

from __future__ import annotations

import contextlib
import copy
import queue
import time
from collections.abc import Iterator, Sequence

import numpy as np

from ..closing import Closing
from ..errors import EngineError
from ..image.frame import Frame
from ..model.geometry import Geometry
from ..model.heads.classification import ClassificationHead
from ..model.heads.detection import RawOutput
from ..model.heads.further_columns import SegmentHead
from ..model.spec import ModelSpec
from ..results.results import Result
from .input_buffers import InputBuffers
from .interface import Backend, PipelineOutput, PostprocessSettings
from .preprocess import Preprocessor
from .probe import checked_spec, probe_frames
from .together import require_independent, require_rows


class HostPipeline(Closing):
    """Preprocesses with OpenCV and decodes with NumPy, with any backend.

    `settings` may be replaced at any time and from any thread: each frame reads it once.

    concurrent_runs: how many threads may call run and run_batch at the same time; more than 1 only with a backend whose
        `infer` several threads may call
    max_batch: largest number of frames of run_batch; more than 1 only with a backend and a model that take so many
    `device_fallback` is why the model runs on the CPU although a GPU is wanted, '' if it does not.
    """

    device_fallback = ''
    frames_of_camera = 1

    def __init__(
        self, spec: ModelSpec, backend: Backend, settings: PostprocessSettings | None = None,
        concurrent_runs: int = 1, max_batch: int = 1,
    ) -> None:
        self.spec = spec
        self.settings = settings or PostprocessSettings.of_model(spec)
        self.concurrent_runs = concurrent_runs
        self.max_batch = max_batch
        self._backend = backend
        # One for each thread: a thread takes one for the time of a run.
        self._buffers: queue.SimpleQueue[InputBuffers] | None = None

    def open(self) -> None:
        """Load the model and run it on test images; ModelError if its outputs cannot be right."""
        self._backend.open()
        try:
            self._buffers = queue.SimpleQueue()
            for _ in range(self.concurrent_runs):
                self._buffers.put(InputBuffers(self.spec, self.max_batch))
            outputs = []
            with self._taken() as buffers:
                for frame in probe_frames(self.spec):
                    tensor, geometry = self._input(buffers.preprocessors[0], frame)
                    # A backend may overwrite its output in the next run.
                    outputs.append(copy.deepcopy(self._infer(tensor)))
            outputs = self._accepted(outputs)
            self._decode(outputs[0], geometry, self.settings)
            if self.max_batch > 1:
                self._check_batch()
        except BaseException:
            self.close()
            raise

    def run(self, frame: Frame, masks: bool = False) -> PipelineOutput:
        """Process one frame; masks: with instance masks, if the model has them."""
        settings = self.settings
        with self._taken() as buffers:
            started = time.perf_counter()
            tensor, geometry = self._input(buffers.preprocessors[0], frame)
            preprocessed = time.perf_counter()
            output = self._infer(tensor)
            inferred = time.perf_counter()
            result = self._decode(output, geometry, settings, masks)
            finished = time.perf_counter()
        return PipelineOutput(result, _timings(started, preprocessed, inferred, finished), settings)

    def run_batch(self, frames: Sequence[Frame], masks: bool = False) -> list[PipelineOutput]:
        """Process frames in one run of the network."""
        if len(frames) == 1:
            return [self.run(frames[0], masks)]
        settings = self.settings
        with self._taken() as buffers:
            started = time.perf_counter()
            geometries = [
                preprocessor(frame)[1] for preprocessor, frame in zip(buffers.preprocessors, frames)]
            preprocessed = time.perf_counter()
            outputs = self._infer_batch(buffers.tensor[:len(frames)])
            inferred = time.perf_counter()
            results = [
                self._decode(output, geometry, settings, masks) for output, geometry in zip(outputs, geometries)]
            finished = time.perf_counter()
        timings = _timings(started, preprocessed, inferred, finished)
        return [PipelineOutput(result, dict(timings), settings) for result in results]

    @contextlib.contextmanager
    def _taken(self) -> Iterator[InputBuffers]:
        buffers = self._buffers
        if buffers is None:
            raise EngineError('the pipeline is not open')
        taken = buffers.get()
        try:
            yield taken
        finally:
            buffers.put(taken)

    def _check_batch(self) -> None:
        """Run two different images together; EngineError if the outputs are not those of the single ones."""
        frames = probe_frames(self.spec)
        with self._taken() as buffers:
            for preprocessor, frame in zip(buffers.preprocessors, frames):
                preprocessor(frame)
            together = self._infer_batch(buffers.tensor[:len(frames)])
            alone = [copy.deepcopy(self._infer(buffers.tensor[index:index + 1])) for index in range(len(frames))]
        require_independent(self.spec, together, alone)

    def _accepted(self, outputs: list[RawOutput]) -> list[RawOutput]:
        """Return the outputs for the test images as the head reads them; ModelError if they cannot be right."""
        self.spec = checked_spec(self.spec, outputs)
        return outputs

    def _input(self, preprocess: Preprocessor, frame: Frame) -> tuple[np.ndarray, Geometry]:
        """Return what the backend takes, and the geometry of the frame."""
        return preprocess(frame)

    def _infer(self, tensor: np.ndarray) -> RawOutput:
        return self._picked(self._backend.infer(self.spec.input_name, tensor))

    def _infer_batch(self, tensor: np.ndarray) -> list[RawOutput]:
        """Return the raw output of each image of the tensor, with a batch of 1."""
        outputs = self._backend.infer(self.spec.input_name, tensor)
        count = len(tensor)
        for name in self.spec.head.output_names:
            found = outputs.get(name)
            if found is not None:
                require_rows(name, found.shape, count)
        return [
            self._picked({name: array[index:index + 1] for name, array in outputs.items()}) for index in range(count)]

    def _picked(self, outputs: dict[str, np.ndarray]) -> RawOutput:
        try:
            return self.spec.head.pick(self.spec.real(outputs))
        except KeyError as error:
            raise EngineError(
                f"expected the output '{error.args[0]}' from the backend, found {sorted(outputs)}: export "
                'the model again') from None

    def _decode(
        self, output: RawOutput, geometry: Geometry, settings: PostprocessSettings, masks: bool = False,
    ) -> Result:
        head = self.spec.head
        if isinstance(head, ClassificationHead):
            return head.decode(output, settings.classification)
        if masks and isinstance(head, SegmentHead) and head.prototypes_name:
            return head.decode_with_masks(output, geometry, settings.detection)
        return head.decode(output, geometry, settings.detection)

    def describe(self) -> dict[str, str]:
        """Return the backend's description, the pipeline's kind and the precision in which the model runs."""
        several = {
            **({'concurrent_inferences': str(self.concurrent_runs)} if self.concurrent_runs > 1 else {}),
            **({'max_batch': str(self.max_batch)} if self.max_batch > 1 else {})}
        return {
            **self._backend.describe(), 'pipeline': 'host',
            'precision_effective': self.spec.stored_precision, **several,
            **({'device_fallback': self.device_fallback} if self.device_fallback else {})}

    def close(self) -> None:
        """Free the backend and the buffers."""
        self._buffers = None
        self._backend.close()


def _timings(started: float, preprocessed: float, inferred: float, finished: float) -> dict[str, float]:
    return {
        'preprocess': (preprocessed - started) * 1e3, 'infer': (inferred - preprocessed) * 1e3,
        'postprocess': (finished - inferred) * 1e3}
