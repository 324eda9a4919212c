# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes and counts the frames of one camera, from the arrival of an image to the published result."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from rclpy.node import Node

from ..advice.packages import install_line
from ..advice.platform import this_platform
from ..errors import DamagedImageError, EngineError, FrameError, one_line
from ..image.frame import Frame
from ..image.jpeg import jpeg_decoder
from ..image.watch import ImageWatch, depth_warning
from ..parameters.settings import Settings
from .camera import Arrival, Camera
from .frame_types import FrameParts, FrameReport
from .liveness import Liveness, Progress
from .reading import frame_of
from .stamps import RosTime, Stamps
from .statistics import Statistics

# After this many failed inferences in a row, the node goes through error processing.
_FAILURES_TO_GIVE_UP = 10
_THROTTLE_S = 5.0
# A dark room stays dark for hours.
_NOTE_THROTTLE_S = 60.0
# Characters of a failure reason: an image message may contain any text, and diagnostics repeat the reason every second.
_LONGEST_REASON = 1000
# If the process is about to end, a frame gets this time to finish.
_ENDING_S = 0.4


class FrameLoop:
    """One camera's subscription, statistics and failures. It lives as long as the node.

    connect() on configure, start() on activate, stop() on deactivate, disconnect() on cleanup.
    """

    def __init__(
        self, node: Node, settings: Callable[[], Settings | None], on_give_up: Callable[[], None],
        on_device_lost: Callable[[EngineError], None],
    ) -> None:
        """Prepare.

        settings: returns the current values; called once for each frame
        on_give_up: called in the worker's thread when `failing` becomes true
        on_device_lost: called in the worker's thread if this process can no longer use its device
        """
        self._node = node
        self._settings = settings
        self._on_give_up = on_give_up
        self._on_device_lost = on_device_lost
        self._statistics = Statistics()
        self._stamps = Stamps()
        self._liveness: Liveness | None = None
        # The frame that stop() did not wait for any longer.
        self._given_up_frame = 0
        self._parts: FrameParts | None = None
        self._camera: Camera | None = None
        self._last_failure = ''
        self._failures_in_a_row = 0
        self._failures_expected = False
        self._watch = ImageWatch()
        self._image_note = ''
        self._depth_seen = False

    @property
    def failing(self) -> bool:
        """Whether so many inferences in a row have failed that the node should give up."""
        return self._failures_in_a_row >= _FAILURES_TO_GIVE_UP

    @property
    def why_failing(self) -> str:
        """One line for the log and the diagnostics of a node that gives up."""
        return f'{_FAILURES_TO_GIVE_UP} inferences in a row failed: {self._last_failure}'

    def connect(self, parts: FrameParts) -> None:
        """Use these parts from now on. Call it only while no image can arrive."""
        self._parts = parts

    @property
    def progress(self) -> Progress:
        """The progress of the frames now."""
        liveness = self._liveness
        return Progress() if liveness is None else liveness.report()

    def start(self, settings: Settings) -> str:
        """Reset the counts and subscribe. Returns the topic."""
        assert self._parts is not None
        self._statistics.reset()
        self._stamps = Stamps()
        self._liveness = Liveness(self._parts.first_s)
        self._given_up_frame = 0
        self._failures_in_a_row = 0
        self._watch = ImageWatch()
        self._image_note = ''
        if settings.image_transport == 'compressed' and jpeg_decoder() == 'opencv':
            self._node.get_logger().warning(
                'damaged JPEG images are not noticed, because the Python package simplejpeg is not installed: '
                f'{install_line("simplejpeg", this_platform())}')
        self._camera = Camera(
            self._node, settings.image_transport, settings.image_reliability, settings.image_depth, self._arrived,
            settings.image_taking)
        return self._camera.topic

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
            if self._parts.worker.clear(_ENDING_S if self._failures_expected else progress.patience_s):
                self._statistics.count('replaced')
        except FutureTimeoutError:
            progress = self.progress
            self._given_up_frame = progress.frame
            raise EngineError(progress.reason) from None

    def unsubscribe(self) -> None:
        """End the subscription: no more frames arrive."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()

    def disconnect(self) -> None:
        """Forget the parts. Call it after stop(). A frame that is still in work is not published or counted."""
        self._parts = None
        self._liveness = None

    def expect_failures(self) -> None:
        """Do not count or log failed inferences: the process is about to end, and resources may be gone already."""
        self._failures_expected = True

    def report(self) -> FrameReport:
        """Return the state now. Logs each publisher that cannot match, once."""
        camera, liveness = self._camera, self._liveness
        return FrameReport(
            camera.report() if camera is not None else None, self._statistics.snapshot(), self._last_failure,
            None if liveness is None else liveness.report(), self._stamps.report(), self._ros_time(),
            self._image_note if camera is not None else '')

    def process(self, arrival: Arrival) -> None:
        """Turn one image into a published result. Runs in the worker's thread."""
        settings, parts, camera, liveness = self._settings(), self._parts, self._camera, self._liveness
        if camera is None or settings is None or parts is None or liveness is None:
            # The node is being deactivated: the frame counts as replaced by a newer one.
            self._statistics.count('replaced')
            return
        liveness.begin('reading the image')
        outcome = 'failed'
        try:
            outcome = self._processed(arrival, settings, parts, camera, liveness)
        except Exception:
            if self._is_present(parts):
                raise
        finally:
            liveness.end(outcome)

    def _processed(
        self, arrival: Arrival, settings: Settings, parts: FrameParts, camera: Camera, liveness: Liveness,
    ) -> str:
        """Process and count an image. Returns its outcome, the name of the count."""
        if settings.max_age_ms and self._age_ms(arrival) > settings.max_age_ms:
            self._statistics.count('stale')
            return 'stale'
        started = time.perf_counter()
        try:
            message = camera.message_of(arrival)
            frame = frame_of(message, settings, camera.topic)
            self._look_at(frame)
            converted = time.perf_counter()
            liveness.step('inference')
            output = parts.pipeline.run(frame)
        except FrameError as error:
            if self._is_present(parts):
                if isinstance(error, DamagedImageError):
                    self._statistics.count('damaged')
                self._bad(error)
            return 'bad'
        except EngineError as error:
            if self._is_present(parts):
                self._failed(error)
            return 'failed'
        if not self._is_present(parts):
            # The node did not wait for this frame. Its publishers are gone.
            return 'failed'
        self._failures_in_a_row = 0
        publishing = time.perf_counter()
        liveness.step('publishing the result')
        parts.outputs.publish(output.result, message.header)
        published = time.perf_counter()
        self._statistics.record({
            'convert': (converted - started) * 1e3, **output.timings_ms,
            'publish': (published - publishing) * 1e3,
            'total': (time.monotonic() - arrival.received) * 1e3,
            'stamp_to_publish': self._age_ms(arrival)})
        self._statistics.count('processed')
        if settings.publish_debug_image:
            parts.outputs.draw(frame, output.result, message.header)
        return 'processed'

    def _is_present(self, parts: FrameParts) -> bool:
        """Whether the node still uses these parts."""
        return self._parts is parts

    def failed_unexpectedly(self, error: Exception) -> None:
        """Handle an unexpected error of `process` like a failed inference. Runs in the worker's thread."""
        self._failed(EngineError(f'{type(error).__name__}: {error}'))

    def _arrived(self, arrival: Arrival) -> None:
        """Hand an image to the worker. Runs in the camera's thread."""
        parts, liveness = self._parts, self._liveness
        if parts is None or liveness is None:
            return
        self._statistics.count('received')
        now_ns = self._now_ns()
        self._statistics.record({'receive_age': (now_ns - arrival.stamp_ns) / 1e6})
        self._stamps.add(arrival.stamp_ns, now_ns)
        liveness.arrived()
        if parts.worker.offer(arrival):
            self._statistics.count('replaced')

    def _look_at(self, frame: Frame) -> None:
        """Count a damaged image, and warn of images that a model hardly recognises."""
        log = self._node.get_logger()
        if frame.damage:
            self._statistics.count('damaged')
            self._last_failure = one_line(frame.damage, _LONGEST_REASON)
            log.warning(f'damaged image processed: {self._last_failure}', throttle_duration_sec=_THROTTLE_S)
        self._image_note = self._watch.look(frame)
        if self._image_note:
            log.warning(self._image_note, throttle_duration_sec=_NOTE_THROTTLE_S)
        if not self._depth_seen and depth_warning(frame):
            self._depth_seen = True
            log.warning(depth_warning(frame))

    def _bad(self, error: FrameError) -> None:
        self._statistics.count('bad')
        self._last_failure = one_line(error, _LONGEST_REASON)
        self._node.get_logger().warning(
            f'bad image dropped: {self._last_failure}', throttle_duration_sec=_THROTTLE_S)

    def _failed(self, error: EngineError) -> None:
        if self._failures_expected:
            return
        self._statistics.count('failed')
        self._last_failure = one_line(error, _LONGEST_REASON)
        self._failures_in_a_row += 1
        self._node.get_logger().error(
            f'inference failed: {self._last_failure}', throttle_duration_sec=_THROTTLE_S)
        if error.fatal:
            self._on_device_lost(error)
        elif self._failures_in_a_row == _FAILURES_TO_GIVE_UP:
            self._on_give_up()

    def _age_ms(self, arrival: Arrival) -> float:
        return (self._now_ns() - arrival.stamp_ns) / 1e6

    def _now_ns(self) -> int:
        now_ns: int = self._node.get_clock().now().nanoseconds
        return now_ns

    def _ros_time(self) -> RosTime:
        # Any: rclpy declares a Clock, but a node has a ROSClock.
        clock: Any = self._node.get_clock()
        return RosTime(
            simulated=clock.ros_time_is_active, running=clock.now().nanoseconds > 0,
            published=self._node.count_publishers('/clock') > 0)
