# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The publishers of one camera: results, masks, class names, annotations, the debug image."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Classification, Detection2DArray, LabelInfo, VisionInfo

from ...image.frame import Frame
from ...model.spec import ModelSpec
from ...parameters.camera_names import CameraName
from ...parameters.settings import Settings
from ...pipeline.interface import PostprocessSettings
from ...results.regions import Region
from ...results.results import Detections, Result
from ...results.serialized_detections import DetectionsWriter
from ...tracking.tracker import Tracker
from ..process.throttle import at_most_every
from .debug_image import DebugImage
from .image_annotations import annotations_message, annotations_type
from .messages import (
    classification_message,
    detections_message,
    instances_message,
    label_info_message,
    masks_message,
    vision_info_message,
    writes_as_rclpy,
)

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Outputs:
    """Of one camera. Created on configure, closed on cleanup. Publishes while the lifecycle node is active."""

    def __init__(self, node: Any, spec: ModelSpec, settings: Settings, camera: CameraName) -> None:
        self._node = node
        self._spec = spec
        self._use_names = settings.class_id_format == 'name'
        self._tracker = (
            Tracker(settings.tracking_buffer, settings.tracking_predicted)
            if settings.tracking and spec.task == 'detection' else None)
        # A separate group for their QoS events: the default group is used by the parameter services.
        group = MutuallyExclusiveCallbackGroup()

        def create(kind: Any, topic: str, qos: Any) -> Any:
            name = topic if topic.startswith('/') else camera.output(topic)
            return node.create_lifecycle_publisher(kind, name, qos, callback_group=group)

        self._results: Any
        if spec.task == 'detection':
            self._results = create(Detection2DArray, 'detections', 10)
        else:
            self._results = create(Classification, 'classifications', 10)
        self._writer = (
            DetectionsWriter(self._class_id) if spec.task == 'detection' and writes_as_rclpy() else None)
        self._label_info = create(LabelInfo, 'label_info', _LATCHED)
        self._vision_info = create(VisionInfo, 'vision_info', _LATCHED)
        # Only of a model that has masks.
        self._masks = create(Image, 'masks', 1) if spec.has_masks else None
        self._instances = create(Image, 'mask_instances', 1) if spec.has_masks else None
        self._debug_image = DebugImage(node, create, spec.names)
        kind = annotations_type()
        self._annotations: Any | None = None if kind is None else create(kind, 'image_annotations', 10)

    def announce(self, settings: Settings) -> None:
        """Publish the class names, also for later subscribers."""
        header = Header(stamp=self._node.get_clock().now().to_msg())
        self._label_info.publish(
            label_info_message(self._spec, header, settings.thresholds(self._spec).score))
        self._vision_info.publish(
            vision_info_message(self._spec, header, self._label_info.topic_name))

    def wants_masks(self, draws: bool) -> bool:
        """Return whether somebody receives what needs the masks of the next frame.

        draws: whether the debug image is published
        """
        return self._masks is not None and (
            self._receives_masks() or (draws and self._debug_image.has_subscriber()))

    def has_subscriber(self, settings: Settings) -> bool:
        """Whether someone subscribes to an output that needs the network."""
        return (
            self._results.get_subscription_count() > 0 or self._annotates() or self._receives_masks()
            or (settings.publish_debug_image and self._debug_image.has_subscriber()))

    def _receives_masks(self) -> bool:
        return any(
            publisher is not None and publisher.get_subscription_count() > 0
            for publisher in (self._masks, self._instances))

    def forget(self) -> None:
        """Forget the tracked objects: the next image is not the one after the last."""
        if self._tracker is not None:
            self._tracker.reset()

    def tracked(
        self, result: Result, frame: Frame, header: Header, settings: PostprocessSettings, region: Region,
    ) -> Result:
        """Return the result of the next image with ids, the same without tracking.

        settings: those of the result. The parameters may have changed since, and a result has either the old or the new
            ones; region: what the network sees
        """
        if self._tracker is None or not isinstance(result, Detections):
            return result
        wanted, score = settings.detection, settings.shown_score or 0.0
        places = max(0, wanted.max_detections - int((result.scores >= score).sum()))

        def reported(predicted: Detections) -> Detections:
            visible = region.within_sight(predicted, frame.width, frame.height)
            if wanted.keep_classes is not None:
                visible = visible.chosen(np.flatnonzero(np.isin(visible.class_indices, list(wanted.keep_classes))))
            return visible.chosen(np.arange(len(visible))[:places])

        return self._tracker.update(
            result, header.stamp.sec * 1_000_000_000 + header.stamp.nanosec, (frame.width, frame.height), score,
            header.frame_id, reported)

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
        if isinstance(result, Detections) and result.masks is not None:
            self._publish_masks(result, header)

    def _publish_masks(self, result: Detections, header: Header) -> None:
        if self._masks is not None and self._masks.get_subscription_count() > 0:
            self._masks.publish(masks_message(result, header, len(self._spec.names)))
        if self._instances is not None and self._instances.get_subscription_count() > 0:
            self._instances.publish(instances_message(result, header))

    def annotate(self, result: Result, header: Header) -> None:
        """Publish the result as annotations if foxglove_msgs is installed and there is a subscriber."""
        if self._annotations is None or not self._annotates():
            return
        try:
            self._annotations.publish(annotations_message(result, header, self._spec))
        except Exception as error:  # Another version of foxglove_msgs must not end the detections.
            self._node.get_logger().warning(
                f'annotations not published: {type(error).__name__}: {error}', **at_most_every(5.0))

    def draw(self, frame: Frame, result: Result, header: Header) -> None:
        """Draw the frame in another thread if there is a subscriber. It replaces a frame that is still waiting."""
        self._debug_image.draw(frame, result, header)

    def close(self) -> None:
        """End the drawing and destroy the publishers."""
        self._debug_image.close()
        for publisher in (
                self._results, self._label_info, self._vision_info, self._masks, self._instances, self._annotations,
                *self._debug_image.publishers):
            if publisher is not None:
                self._node.destroy_lifecycle_publisher(publisher)

    def _annotates(self) -> bool:
        return self._annotations is not None and self._annotations.get_subscription_count() > 0

    def _class_id(self, index: int) -> str:
        return self._spec.name_of(index) if self._use_names else str(index)
