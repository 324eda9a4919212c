# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The debug image of a camera, raw and as JPEG, drawn in a thread of its own while someone subscribes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ...image.frame import Frame
from ...results.draw import draw_classifications, draw_detections
from ...results.results import Detections, Result
from ..process.throttle import at_most_every
from ..process.worker import LatestWorker
from .messages import compressed_image_message, image_message

TOPIC = 'debug_image'


class DebugImage:
    """Draws results. Results must not wait for it, so it has a thread, which is started by the first image."""

    def __init__(self, node: Any, create: Any, names: Sequence[str]) -> None:
        """Create the publishers. create: called with type, topic and QoS; names: of the classes"""
        self._node = node
        self._names = names
        self._raw: Any = create(Image, TOPIC, 1)
        # As image_transport's compressed plugin names it, also if debug_image is remapped.
        self._compressed: Any = create(CompressedImage, f'{self._raw.topic_name}/compressed', 1)
        self._artist: LatestWorker[tuple[Frame, Result, Header]] | None = LatestWorker(
            'debug_image', self._draw, self._drawing_failed)

    @property
    def publishers(self) -> tuple[Any, Any]:
        """Both publishers."""
        return self._raw, self._compressed

    def has_subscriber(self) -> bool:
        """Whether someone subscribes to one of the topics."""
        return any(publisher.get_subscription_count() > 0 for publisher in self.publishers)

    def draw(self, frame: Frame, result: Result, header: Header) -> None:
        """Draw the frame in the thread if there is a subscriber. It replaces a frame that is still waiting."""
        if self._artist is not None and self.has_subscriber():
            self._artist.offer((frame, result, header))

    def close(self) -> None:
        """End the thread. The publishers are not destroyed."""
        artist, self._artist = self._artist, None
        if artist is not None:
            artist.close()

    def _draw(self, item: tuple[Frame, Result, Header]) -> None:
        frame, result, header = item
        picture: np.ndarray
        if isinstance(result, Detections):
            picture = draw_detections(frame.bgr(), result, self._names)
        else:
            picture = draw_classifications(frame.bgr(), result, self._names)
        if self._raw.get_subscription_count() > 0:
            self._raw.publish(image_message(picture, header))
        if self._compressed.get_subscription_count() > 0:
            self._compressed.publish(compressed_image_message(picture, header))

    def _drawing_failed(self, error: Exception) -> None:
        self._node.get_logger().warning(
            f'debug image not drawn: {error}', **at_most_every(5.0))
