# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The image topics of a bag, and its messages as images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import FrameError, SourceError, listed, printable
from ..image.message import frame_from_compressed_image, frame_from_image
from ..image.options import ImageOptions
from ..image.transports import base_of
from ..sources.bag_messages import COMPRESSED_IMAGE, ImageMessage, deserialize
from ..sources.bag_metadata import BagTopic
from ..sources.bag_reader import BagReader
from .item import BagImage

# A time of rosbag2 is a signed number of 64 bits; MCAP's has no sign.
_LATEST_NS = 2**63 - 1


@dataclass(frozen=True)
class Numbered:
    """A message and its number in its topic, from 0."""

    message: ImageMessage
    index: int


def chosen_topics(bag: BagReader, names: Sequence[str]) -> list[BagTopic]:
    """Return the image topics of a bag with these names, or all that have messages, sorted by name.

    Of an image that is there raw and compressed, only the raw one is taken if no names are given.
    Raises SourceError if a topic is missing or without messages, if an image is there twice, or if there are none.
    """
    if names:
        topics = list(dict.fromkeys(bag.choose_image_topic(name) for name in names))
    else:
        topics = [topic for topic in bag.image_topics if topic.count]
        raw = {topic.name for topic in topics if topic.type != COMPRESSED_IMAGE}
        topics = [topic for topic in topics if topic.name in raw or base_of(topic.name) not in raw]
    if not topics:
        # It says why.
        topics = [bag.choose_image_topic()]
    twice = [base for base, count in Counter(base_of(topic.name) for topic in topics).items() if count > 1]
    if twice:
        forms = listed([topic.name for topic in topics if base_of(topic.name) == twice[0]])
        raise SourceError(
            f'{bag.path}: {printable(twice[0])} is there in several forms: choose one by its name (--topic): {forms}')
    return topics


def numbered(messages: Iterator[ImageMessage], first: Mapping[str, int] | None = None) -> Iterator[Numbered]:
    """Yield messages with their numbers. first: of the first message of each topic, None if all are 0."""
    counts = Counter(first or {})
    for message in messages:
        yield Numbered(message, counts[message.topic])
        counts[message.topic] += 1


def read_image(item: Numbered, options: ImageOptions) -> BagImage | SourceError:
    """Return the image of a message, or what is wrong with it."""
    message = item.message
    if message.stamp_ns > _LATEST_NS:
        return SourceError(
            f'frame {item.index} of {message.topic}: its time of recording is {message.stamp_ns} ns; expected at most '
            f'{_LATEST_NS}, the last time of ROS')
    try:
        fields = deserialize(message)
        convert = frame_from_compressed_image if message.type == COMPRESSED_IMAGE else frame_from_image
        frame = convert(fields, options)
    except (FrameError, SourceError) as error:
        return SourceError(f'frame {item.index} of {message.topic}: {error}')
    header = fields.header
    return BagImage(
        message.topic, item.index, message.stamp_ns,
        message.stamp_ns if message.publish_ns is None else message.publish_ns,
        header.stamp.sec, header.stamp.nanosec, header.frame_id, frame)
