# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Makes a Frame of a message of the image topic."""

from __future__ import annotations

from typing import Any

from ...errors import FrameError
from ...image.codecs import UnreadableCodecError
from ...image.frame import Frame
from ...image.message import frame_from_compressed_image, frame_from_image
from ...image.override import frame_with_encoding, relabelled
from ...image.transports import republish
from ...parameters.settings import Settings


def frame_of(message: Any, settings: Settings, transport: str, topic: str) -> Frame:
    """Return the Frame of a sensor_msgs/Image or CompressedImage.

    transport: raw or compressed; topic: the image topic, for the error message

    Raises FrameError for an image that cannot be used.
    """
    if transport == 'raw':
        if settings.image_encoding:
            return frame_with_encoding(message, settings.image_encoding, settings.image_options())
        return frame_from_image(message, settings.image_options())
    try:
        frame = frame_from_compressed_image(message, settings.image_options())
    except UnreadableCodecError as error:
        if error.transport is None:
            raise
        raise FrameError(f'{error}, or {republish(error.transport, topic)}') from error
    return relabelled(frame, settings.image_encoding) if settings.image_encoding else frame
