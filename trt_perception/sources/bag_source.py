# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Image topics of rosbag2 recordings."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from ..errors import FrameError, SourceError
from ..image.message import frame_from_compressed_image, frame_from_image
from .bag_reader import COMPRESSED_IMAGE, choose_image_topic, deserialize, read_image_messages
from .source import OnError, Source, SourceFrame, report


def open_bag(path: Path, topic: str | None, on_error: OnError | None) -> Source:
    """Return the frames of one image topic; see bag.choose_image_topic for which."""
    chosen = choose_image_topic(path, topic)
    return Source(_read(path, chosen.name, on_error), chosen.count)


def _read(
    path: Path, topic: str, on_error: OnError | None,
) -> Generator[SourceFrame, None, None]:
    for index, message in enumerate(read_image_messages(path, topic)):
        try:
            image = deserialize(message)
            convert = (
                frame_from_compressed_image if message.type == COMPRESSED_IMAGE
                else frame_from_image)
            frame = convert(image)
        except (FrameError, SourceError) as error:
            report(SourceError(f'{path}: frame {index} of {topic}: {error}'), on_error)
            continue
        stamp = image.header.stamp.sec * 1_000_000_000 + image.header.stamp.nanosec
        # A stamp of 0 means that the driver set none: the time of recording is the best there is.
        yield SourceFrame(str(path), index, frame, stamp or message.stamp_ns)
