# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One run of the network: reads the images that it gets, runs them, publishes and counts each result."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import EngineError, FrameError
from ...image.cut import cut_out
from ...image.frame import Frame
from ...parameters.settings import Settings
from ...pipeline.interface import Pipeline, PipelineOutput
from ..image_topics.camera import Arrival, Camera
from ..monitoring.liveness import Liveness
from ..outputs.outputs import Outputs
from .camera_stream import CameraStream
from .inference_failures import InferenceFailures


@dataclass
class FrameWork:
    """An image in work, with what its camera had when the work began: the node may be deactivated meanwhile.

    outcome: the name of its count; '' while it has none
    converting: from when to when it was read (time.perf_counter)
    frame: the whole image, from when it is read on
    usual_s: how long an image may usually be in work
    number: of the frame, in `liveness`
    """

    stream: CameraStream
    arrival: Arrival
    camera: Camera
    liveness: Liveness
    outputs: Outputs
    outcome: str = ''
    converting: tuple[float, float] = (0.0, 0.0)
    header: Any = None
    frame: Frame | None = None
    usual_s: float = 0.0
    number: int = 0


class NetworkRun:
    """Takes images of different cameras through the network together. One object for each run.

    is_present: returns whether the node still waits for the results. If not, nothing is published or counted: the
        publishers may be gone
    wait_for_turn: returns when the results of earlier images of these cameras are published
    """

    def __init__(
        self, pipeline: Pipeline, settings: Settings, failures: InferenceFailures, is_present: Callable[[], bool],
        wait_for_turn: Callable[[], None],
    ) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._failures = failures
        self._is_present = is_present
        self._wait_for_turn = wait_for_turn

    def process(self, works: Sequence[FrameWork]) -> None:
        """Publish and count a result of each image, or count why it has none."""
        for work in works:
            work.usual_s = work.liveness.usual_s()
            work.number = work.liveness.begin('reading the image')
        try:
            self._process(works)
        except Exception as error:
            for work in works:
                if not work.outcome:
                    self._failed(work, EngineError(f'{type(error).__name__}: {error}'))
        finally:
            for work in works:
                work.liveness.end(work.number, work.outcome or 'failed')

    def _process(self, works: Sequence[FrameWork]) -> None:
        readable = [(work, frame) for work in works if (frame := self._read(work)) is not None]
        if len(readable) > 1:
            try:
                wanted = any(self._wants_masks(work) for work, _ in readable)
                frames = [frame for _, frame in readable]
                outputs = self._pipeline.run_batch(frames, masks=True) if wanted else self._pipeline.run_batch(frames)
            except FrameError:
                pass
            except EngineError as error:
                if error.fatal:
                    for work, _ in readable:
                        self._failed(work, error)
                    return
            else:
                for (work, _), output in zip(readable, outputs):
                    self._publish(work, output)
                return
            # One of the images may be the reason: the others still get a result.
        for work, frame in readable:
            try:
                wanted = self._wants_masks(work)
                output = self._pipeline.run(frame, masks=True) if wanted else self._pipeline.run(frame)
            except FrameError as error:
                self._bad(work, error)
            except EngineError as error:
                self._failed(work, error)
            else:
                self._publish(work, output)

    def _wants_masks(self, work: FrameWork) -> bool:
        return work.outputs.wants_masks(self._settings.publish_debug_image)

    def _read(self, work: FrameWork) -> Frame | None:
        """Return what the network sees of an image, None if it cannot be used."""
        stream, settings = work.stream, self._settings
        if self._is_stale(work):
            return None
        started = time.perf_counter()
        try:
            work.header, work.frame = stream.read(work.arrival, work.camera, settings)
            seen = cut_out(work.frame, stream.region)
        except FrameError as error:
            self._bad(work, error)
            return None
        work.converting = started, time.perf_counter()
        work.liveness.step(work.number, 'inference')
        return seen

    def _is_stale(self, work: FrameWork, more_ms: float = 0.0) -> bool:
        """Whether an image is too old by now: then it is counted. more_ms: it may be so much older than max_age_ms."""
        settings = self._settings
        if not settings.max_age_ms or work.stream.age_ms(work.arrival) <= settings.max_age_ms + more_ms:
            return False
        work.stream.statistics.count('stale')
        work.outcome = 'stale'
        return True

    def _publish(self, work: FrameWork, output: PipelineOutput) -> None:
        frame = work.frame
        self._wait_for_turn()
        if frame is None or not self._is_present():
            return
        # The process may have been stopped, or had no processor, while the network ran. Its usual time does not count:
        # an image that was new enough for the network gets its result.
        if self._is_stale(work, work.usual_s * 1e3):
            self._failures.succeeded()
            return
        settings = self._settings
        region = work.stream.region
        result = work.outputs.tracked(
            region.restored(output.result, frame.width, frame.height), frame, work.header, output.settings, region)
        self._failures.succeeded()
        publishing = time.perf_counter()
        work.liveness.step(work.number, 'publishing the result')
        work.outputs.publish(result, work.header)
        published = time.perf_counter()
        started, converted = work.converting
        work.stream.processed(work.arrival, {
            'convert': (converted - started) * 1e3, **output.timings_ms, 'publish': (published - publishing) * 1e3})
        work.outcome = 'processed'
        work.outputs.annotate(result, work.header)
        if settings.publish_debug_image:
            work.outputs.draw(frame, result, work.header)

    def _bad(self, work: FrameWork, error: FrameError) -> None:
        work.outcome = 'bad'
        if self._is_present():
            work.stream.bad(error)

    def _failed(self, work: FrameWork, error: EngineError) -> None:
        work.outcome = 'failed'
        if self._is_present() and not self._failures.expected:
            self._failures.failed(error, work.stream.failed(error))
