# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The frames of one image topic of a rosbag2."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from ..errors import FrameError, SourceError
from ..image.message import frame_from_compressed_image, frame_from_image
from ..image.options import DEFAULT, ImageOptions
from .bag_messages import COMPRESSED_IMAGE, deserialize
from .bag_metadata import BagTopic
from .bag_reader import BagReader
from .source import OnError, Source, SourceFrame, report


def open_bag(path: Path, topic: str | None, on_error: OnError | None, options: ImageOptions = DEFAULT) -> Source:
    """Return the frames of one image topic. BagReader.choose_image_topic chooses it.

    Raises SourceError if the bag cannot be used or has no such topic.
    """
    bag = BagReader(path)
    chosen = bag.choose_image_topic(topic)
    return Source(_read(bag, chosen, on_error, options), chosen.count)


def _read(
    bag: BagReader, topic: BagTopic, on_error: OnError | None, options: ImageOptions,
) -> Generator[SourceFrame, None, None]:
    messages = bag.messages(topic, on_missing=lambda missing: report(missing, on_error))
    for index, message in enumerate(messages):
        try:
            image = deserialize(message)
            convert = frame_from_compressed_image if message.type == COMPRESSED_IMAGE else frame_from_image
            frame = convert(image, options)
        except (FrameError, SourceError) as error:
            report(SourceError(f'{bag.path}: frame {index} of {topic.name}: {error}'), on_error)
            continue
        stamp = image.header.stamp.sec * 1_000_000_000 + image.header.stamp.nanosec
        # A stamp of 0 means that the driver set none; the time of recording is the best estimate then.
        yield SourceFrame(str(bag.path), index, frame, stamp or message.stamp_ns)
