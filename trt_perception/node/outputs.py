# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node's publishers: results, class names, the debug image."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Classification, Detection2DArray, LabelInfo, VisionInfo

from ..image.frame import Frame
from ..model.spec import ModelSpec
from ..parameters.settings import Settings
from ..results.draw import draw_classifications, draw_detections
from ..results.results import Detections, Result
from ..tracking.tracker import Tracker
from .messages import (
    classification_message,
    detections_message,
    image_message,
    label_info_message,
    vision_info_message,
    writes_as_rclpy,
)
from .serialized_detections import DetectionsWriter
from .worker import LatestWorker

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Outputs:
    """Created on configure, closed on cleanup. Publishes while the lifecycle node is active."""

    def __init__(self, node: Any, spec: ModelSpec, settings: Settings) -> None:
        self._node = node
        self._spec = spec
        self._use_names = settings.class_id_format == 'name'
        self._tracker = (
            Tracker(settings.tracking_buffer, settings.tracking_predicted)
            if settings.tracking and spec.task == 'detection' else None)
        # A separate group for their QoS events: the default group is used by the parameter services.
        group = MutuallyExclusiveCallbackGroup()
        create: Any = functools.partial(node.create_lifecycle_publisher, callback_group=group)
        self._results: Any
        if spec.task == 'detection':
            self._results = create(Detection2DArray, 'detections', 10)
        else:
            self._results = create(Classification, 'classifications', 10)
        self._writer = (
            DetectionsWriter(self._class_id) if spec.task == 'detection' and writes_as_rclpy() else None)
        self._label_info = create(LabelInfo, 'label_info', _LATCHED)
        self._vision_info = create(VisionInfo, 'vision_info', _LATCHED)
        self._debug_image = create(Image, 'debug_image', 1)
        # Drawing has a separate thread: results must not wait for it.
        self._artist: LatestWorker[tuple[Frame, Result, Header]] | None = LatestWorker(
            'debug_image', self._draw, self._drawing_failed)

    def announce(self, settings: Settings) -> None:
        """Publish the class names, also for later subscribers."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._label_info.publish(
            label_info_message(self._spec, header, settings.thresholds(self._spec).score))
        self._vision_info.publish(
            vision_info_message(self._spec, header, self._label_info.topic_name))

    def forget(self) -> None:
        """Forget the tracked objects: the next image is not the one after the last."""
        if self._tracker is not None:
            self._tracker.reset()

    def tracked(self, result: Result, frame: Frame, header: Header, settings: Settings) -> Result:
        """Return the result of the next image with ids, the same without tracking."""
        if self._tracker is None or not isinstance(result, Detections):
            return result
        return self._tracker.update(
            result, header.stamp.sec * 1_000_000_000 + header.stamp.nanosec, (frame.width, frame.height),
            settings.thresholds(self._spec).score, header.frame_id)

    def publish(self, result: Result, header: Header) -> None:
        """Publish the result with the image's header, even if it is empty."""
        if isinstance(result, Detections) and self._writer is not None:
            stamp = header.stamp
            # rclpy publishes bytes as a serialized message.
            self._results.publish(self._writer.write(result, stamp.sec, stamp.nanosec, header.frame_id))
        elif isinstance(result, Detections):
            self._results.publish(detections_message(result, header, self._class_id))
        else:
            self._results.publish(classification_message(result, header, self._class_id))

    def draw(self, frame: Frame, result: Result, header: Header) -> None:
        """Draw the frame in another thread if there is a subscriber. It replaces a frame that is still waiting."""
        if self._artist is not None and self._debug_image.get_subscription_count() > 0:
            self._artist.offer((frame, result, header))

    def close(self) -> None:
        """End the drawing and destroy the publishers."""
        artist, self._artist = self._artist, None
        if artist is not None:
            artist.close()
        for publisher in (
                self._results, self._label_info, self._vision_info, self._debug_image):
            self._node.destroy_lifecycle_publisher(publisher)

    def _class_id(self, index: int) -> str:
        return self._spec.name_of(index) if self._use_names else str(index)

    def _draw(self, item: tuple[Frame, Result, Header]) -> None:
        frame, result, header = item
        picture: np.ndarray
        if isinstance(result, Detections):
            picture = draw_detections(frame.bgr(), result, self._spec.names)
        else:
            picture = draw_classifications(frame.bgr(), result, self._spec.names)
        self._debug_image.publish(image_message(picture, header))

    def _drawing_failed(self, error: Exception) -> None:
        self._node.get_logger().warning(
            f'debug image not drawn: {error}', throttle_duration_sec=5.0)
