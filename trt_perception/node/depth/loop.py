# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections and depth images on their way to boxes in space."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, Detection3DArray

from ...depth.boxes import Core, Mask, measure
from ...depth.camera import Pinhole, require_inside, require_same_size, scale_to_depth
from ...depth.image import depth_image, label_image
from ...errors import FrameError, one_line
from ...parameters.depth_table import DepthSettings
from ..image_topics.serialized_image import CutOff, NotPlainCdr, SerializedImage, read_image
from ..monitoring.statistics import Snapshot, Statistics
from ..process.throttle import at_most_every
from ..process.worker import LatestWorker
from .health import Input
from .inputs import Inputs
from .messages import corners_of, detections_3d_message, pinhole_of
from .pairing import MaskJoin, Outcome, Pair, Pairing, Stamped

_THROTTLE_S = 5.0
# An image message may contain any text, and diagnostics repeat the reason every second.
_LONGEST_REASON = 1000


class DepthLoop:
    """Created on configure, closed on cleanup; start() on activate, stop() on deactivate.

    received = processed + replaced + unmatched + bad (+ a few waiting and one in work while the node is active)
    """

    def __init__(self, node: Any, settings: DepthSettings) -> None:
        self._node = node
        self._settings = settings
        self._core = Core(settings.core_fraction, settings.min_depth, settings.max_depth, settings.min_known)
        self._statistics = Statistics()
        self._pairing = self._new_pairing()
        self._join = self._new_join()
        self._publisher = node.create_lifecycle_publisher(Detection3DArray, 'detections_3d', 10)
        self._worker: LatestWorker[Pair] = LatestWorker('depth', self._process, self._unexpected)
        self._inputs: Inputs | None = None
        self.last_failure = ''
        self.difference_s: float | None = None

    def start(self) -> str:
        """Reset the counts and subscribe. Returns the topics."""
        self._statistics.reset()
        self._pairing, self._join = self._new_pairing(), self._new_join()
        self.last_failure, self.difference_s = '', None
        self._inputs = Inputs(
            self._node, self._settings.reliability, self._settings.depth_queue, self._add_detections, self._add_depth,
            self._add_masks if self._settings.use_masks else None)
        return self._inputs.topics

    def stop(self) -> None:
        """Unsubscribe and finish what is in work. May be called in any state."""
        inputs, self._inputs = self._inputs, None
        if inputs is not None:
            inputs.close()
            for _ in range(self._join.drop() + self._pairing.drop()):
                self._statistics.count('unmatched')
            for _ in self._worker.clear():
                self._statistics.count('replaced')

    def close(self) -> None:
        """Stop, and destroy the publisher."""
        self.stop()
        self._worker.close()
        self._node.destroy_lifecycle_publisher(self._publisher)

    @property
    def snapshot(self) -> Snapshot:
        """Counts, rates and times until now."""
        return self._statistics.snapshot()

    def report(self) -> tuple[Input, ...]:
        """Return the state of each topic now, () if the node is not active."""
        inputs = self._inputs
        return () if inputs is None else inputs.report()

    def _new_pairing(self) -> Pairing:
        return Pairing(round(self._settings.max_stamp_difference * 1e9), self._settings.depth_queue)

    def _new_join(self) -> MaskJoin:
        return MaskJoin(self._settings.depth_queue)

    # In the executor

    def _add_detections(self, message: Stamped) -> None:
        self._statistics.count('received')
        if not self._settings.use_masks:
            self._settle(self._pairing.add_detections(message))
            return
        joined, lost = self._join.add_detections(message)
        if lost:
            self._statistics.count('unmatched')
        if joined is not None:
            self._settle(self._pairing.add_detections(joined))

    def _add_masks(self, message: Stamped) -> None:
        joined = self._join.add_masks(message)
        if joined is not None:
            self._settle(self._pairing.add_detections(joined))

    def _add_depth(self, message: Stamped) -> None:
        self._statistics.count('depth_images')
        self._settle(self._pairing.add_depth(message))

    def _settle(self, outcome: Outcome) -> None:
        for _ in range(outcome.unmatched):
            self._statistics.count('unmatched')
        if outcome.unmatched:
            self.difference_s = None if outcome.difference_ns is None else outcome.difference_ns / 1e9
        if outcome.pair is not None and self._worker.offer(outcome.pair):
            self._statistics.count('replaced')

    # In the worker's thread

    def _process(self, pair: Pair) -> None:
        started = time.perf_counter()
        inputs = self._inputs
        if inputs is None:
            self._statistics.count('replaced')
            return
        try:
            message, missing = self._placed(pair, inputs)
        except FrameError as error:
            self._bad(str(error))
            return
        self._publisher.publish(message)
        self._statistics.count('processed')
        for _ in message.detections:
            self._statistics.count('placed')
        for _ in range(missing):
            self._statistics.count('without_depth')
        now_ns = self._node.get_clock().now().nanoseconds
        self._statistics.record({
            'total': (time.perf_counter() - started) * 1e3,
            'stamp_to_publish': (now_ns - pair.detections.stamp_ns) / 1e6})

    def _placed(self, pair: Pair, inputs: Inputs) -> tuple[Detection3DArray, int]:
        """Return the message, and the number of objects without a place."""
        info = inputs.camera_info
        if info is None:
            raise FrameError(
                f'no camera_info was received yet on {inputs.camera_info_topic}: expected the camera_info of the '
                'image that the detections are from; check the name of the topic (ros2 topic list)')
        camera = pinhole_of(info)
        detections = _deserialized(pair.detections.data)
        message = _image_of(pair.depth.data, 'the depth image')
        depth, frame_id = depth_image(*_fields(message)), message.header.frame_id
        labels = _labels_of(pair.detections.masks, camera)
        scale = scale_to_depth(camera, depth)
        boxes = [corners_of(detection) for detection in detections.detections]
        if boxes:
            require_inside(camera, max(box[2] for box in boxes), max(box[3] for box in boxes))
        found = [
            (detection, place) for number, (detection, box) in enumerate(zip(detections.detections, boxes), 1)
            if (place := measure(
                box, depth, camera, scale, self._core, None if labels is None else Mask(labels, number))) is not None]
        header = Header(stamp=detections.header.stamp, frame_id=frame_id or detections.header.frame_id)
        return detections_3d_message(header, found), len(boxes) - len(found)

    def _bad(self, reason: str) -> None:
        self._statistics.count('bad')
        self.last_failure = one_line(reason, _LONGEST_REASON)
        self._node.get_logger().warning(
            f'detections not placed: {self.last_failure}', **at_most_every(_THROTTLE_S))

    def _unexpected(self, error: Exception) -> None:
        self._bad(f'{type(error).__name__}: {error}')


def _deserialized(data: bytes) -> Any:
    try:
        return deserialize_message(data, Detection2DArray)
    except Exception as error:  # RMWError or UnicodeDecodeError, depending on the middleware
        raise FrameError(f'the detections cannot be deserialized: {error}') from error


def _labels_of(data: bytes | None, camera: Pinhole) -> np.ndarray | None:
    """Return the number of the object of each pixel, (H, W); None without masks."""
    if data is None:
        return None
    labels = label_image(*_fields(_image_of(data, 'the image of masks')))
    require_same_size(camera, labels)
    return labels


def _image_of(data: bytes, what: str) -> SerializedImage:
    try:
        return read_image(data, lambda sec, nanosec, frame_id: Header(
            stamp=Time(sec=sec, nanosec=nanosec), frame_id=frame_id))
    except (CutOff, NotPlainCdr) as error:
        raise FrameError(f'{what} cannot be deserialized: {error}') from error


def _fields(message: SerializedImage) -> tuple[str, int, int, int, int, memoryview]:
    return (
        message.encoding, message.is_bigendian, message.width, message.height, message.step, message.data)
