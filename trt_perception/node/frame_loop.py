# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes the frames of the camera through the pipeline, from the arrival of an image to the published result."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError

from rclpy.node import Node

from ..errors import EngineError, FrameError
from ..image.jpeg import jpeg_decoder
from ..parameters.settings import Settings
from .camera import Arrival, Camera
from .camera_stream import CameraStream
from .frame_types import FrameParts, FrameReport
from .inference_failures import InferenceFailures
from .liveness import Liveness, Progress

# If the process is about to end, a frame gets this time to finish.
_ENDING_S = 0.4


class FrameLoop:
    """The images of a node on their way through the pipeline. It lives as long as the node.

    connect() on configure, start() on activate, stop() on deactivate, disconnect() on cleanup.
    """

    def __init__(
        self, node: Node, settings: Callable[[], Settings | None], on_give_up: Callable[[], None],
        on_device_lost: Callable[[EngineError], None],
    ) -> None:
        """Prepare.

        settings: returns the current values; called once for each frame
        on_give_up: called in the worker's thread when so many inferences in a row have failed that the node should
            give up
        on_device_lost: called in the worker's thread if this process can no longer use its device
        """
        self._node = node
        self._settings = settings
        self.failures = InferenceFailures(on_give_up, on_device_lost)
        self._stream = CameraStream(node)
        # The frame that stop() did not wait for any longer.
        self._given_up_frame = 0
        self._parts: FrameParts | None = None

    def connect(self, parts: FrameParts) -> None:
        """Use these parts from now on. Call it only while no image can arrive."""
        self._parts = parts

    @property
    def progress(self) -> Progress:
        """The progress of the frames now."""
        liveness = self._stream.liveness
        return Progress() if liveness is None else liveness.report()

    def start(self, settings: Settings) -> str:
        """Reset the counts and subscribe. Returns the topic."""
        assert self._parts is not None
        self._given_up_frame = 0
        self.failures.reset()
        if settings.image_transport == 'compressed' and jpeg_decoder() == 'opencv':
            self._node.get_logger().warning(
                'damaged JPEG images are not noticed, because the Python package simplejpeg is not installed: '
                "PIP_BREAK_SYSTEM_PACKAGES=1 pip install simplejpeg 'numpy<2'")
        return self._stream.start(settings, self._parts.first_s, self._arrived)

    def stop(self) -> None:
        """End the subscription and wait until the current frame is processed. May be called in any state.

        Raises EngineError if the frame takes so long that it may never end. The worker is still busy then.
        """
        self.unsubscribe()
        if self._parts is None:
            return
        progress = self.progress
        if progress.frame and progress.frame == self._given_up_frame:
            raise EngineError(progress.reason)
        try:
            if self._parts.worker.clear(_ENDING_S if self.failures.expected else progress.patience_s):
                self._stream.statistics.count('replaced')
        except FutureTimeoutError:
            progress = self.progress
            self._given_up_frame = progress.frame
            raise EngineError(progress.reason) from None

    def unsubscribe(self) -> None:
        """End the subscription: no more frames arrive."""
        self._stream.unsubscribe()

    def disconnect(self) -> None:
        """Forget the parts. Call it after stop(). A frame that is still in work is not published or counted."""
        self._parts = None
        self._stream.liveness = None

    def report(self) -> FrameReport:
        """Return the state now. Logs each publisher that cannot match, once."""
        return self._stream.report()

    def process(self, arrival: Arrival) -> None:
        """Turn one image into a published result. Runs in the worker's thread."""
        stream = self._stream
        settings, parts, camera, liveness = self._settings(), self._parts, stream.camera, stream.liveness
        if camera is None or settings is None or parts is None or liveness is None:
            # The node is being deactivated: the frame counts as replaced by a newer one.
            stream.statistics.count('replaced')
            return
        liveness.begin('reading the image')
        outcome = 'failed'
        try:
            outcome = self._processed(arrival, settings, parts, stream, camera, liveness)
        except Exception:
            if self._is_present(parts):
                raise
        finally:
            liveness.end(outcome)

    def _processed(
        self, arrival: Arrival, settings: Settings, parts: FrameParts, stream: CameraStream, camera: Camera,
        liveness: Liveness,
    ) -> str:
        """Process and count an image. Returns its outcome, the name of the count."""
        if settings.max_age_ms and stream.age_ms(arrival) > settings.max_age_ms:
            stream.statistics.count('stale')
            return 'stale'
        started = time.perf_counter()
        try:
            header, frame = stream.read(arrival, camera, settings)
            converted = time.perf_counter()
            liveness.step('inference')
            output = parts.pipeline.run(frame)
        except FrameError as error:
            if self._is_present(parts):
                stream.bad(error)
            return 'bad'
        except EngineError as error:
            if self._is_present(parts):
                self._failed(stream, error)
            return 'failed'
        if not self._is_present(parts):
            # The node did not wait for this frame. Its publishers are gone.
            return 'failed'
        self.failures.succeeded()
        publishing = time.perf_counter()
        liveness.step('publishing the result')
        parts.outputs.publish(output.result, header)
        published = time.perf_counter()
        stream.processed(arrival, {
            'convert': (converted - started) * 1e3, **output.timings_ms, 'publish': (published - publishing) * 1e3})
        if settings.publish_debug_image:
            parts.outputs.draw(frame, output.result, header)
        return 'processed'

    def _is_present(self, parts: FrameParts) -> bool:
        """Whether the node still uses these parts."""
        return self._parts is parts

    def failed_unexpectedly(self, error: Exception) -> None:
        """Handle an unexpected error of `process` like a failed inference. Runs in the worker's thread."""
        self._failed(self._stream, EngineError(f'{type(error).__name__}: {error}'))

    def _failed(self, stream: CameraStream, error: EngineError) -> None:
        if not self.failures.expected:
            self.failures.failed(error, stream.failed(error))

    def _arrived(self, arrival: Arrival) -> None:
        """Hand an image to the worker. Runs in the camera's thread."""
        parts, stream = self._parts, self._stream
        if parts is None or stream.liveness is None:
            return
        stream.arrived(arrival)
        if parts.worker.offer(arrival):
            stream.statistics.count('replaced')
