# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of image topics: remapped, and found in the metadata.yaml of a rosbag2 without a bag library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dependencies import require
from .values import LaunchArgumentError

_TRANSPORTS = {'sensor_msgs/msg/Image': 'raw', 'sensor_msgs/msg/CompressedImage': 'compressed'}


@dataclass(frozen=True)
class BagTopic:
    """An image topic of a bag: its name, 'raw' or 'compressed', the number of messages."""

    name: str
    transport: str
    count: int


def image_remappings(image_topic: str) -> list[tuple[str, str]]:
    """Return the remappings that make the node subscribe this topic.

    A compressed topic may be given with or without image_transport's /compressed.
    """
    base = image_topic.removesuffix('/compressed')
    return [('image', base), ('image/compressed', f'{base}/compressed')]


def played_as(topic: BagTopic) -> str:
    """Return the name under which the node can find the topic: a compressed one ends with /compressed."""
    if topic.transport == 'compressed' and not topic.name.endswith('/compressed'):
        return f'{topic.name}/compressed'
    return topic.name


def bag_image_topic(bag: Path, wanted: str) -> BagTopic:
    """Return the image topic of this name, or the bag's only one if wanted is empty.

    Raises LaunchArgumentError if there is no such bag, no such topic, or several to choose from.
    """
    topics = _image_topics(bag)
    listing = ', '.join(f'{topic.name} ({topic.transport}, {topic.count})' for topic in topics)
    if not topics:
        raise LaunchArgumentError(f'bag:={bag}: no topic of {" or ".join(_TRANSPORTS)} in it')
    if wanted:
        found = [topic for topic in topics if topic.name.lstrip('/') == wanted.lstrip('/')]
        if not found:
            raise LaunchArgumentError(f'image_topic:={wanted}: not in {bag}, which has {listing}')
    else:
        found = [topic for topic in topics if topic.count] or topics
        if len(found) > 1:
            raise LaunchArgumentError(f'bag:={bag}: several image topics, choose one with image_topic:= of {listing}')
    return found[0]


def _image_topics(bag: Path) -> list[BagTopic]:
    yaml = require('yaml')
    if not bag.exists():
        raise LaunchArgumentError(f'bag:={bag}: no such file or folder')
    metadata = (bag if bag.is_dir() else bag.parent) / 'metadata.yaml'
    try:
        information = yaml.safe_load(metadata.read_text(encoding='utf-8'))['rosbag2_bagfile_information']
        topics = [_topic(entry) for entry in information['topics_with_message_count']]
    except FileNotFoundError:
        raise LaunchArgumentError(
            f'bag:={bag}: expected a rosbag2, but there is no {metadata}; if its recording was cut off: '
            f'ros2 bag reindex {metadata.parent}') from None
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise LaunchArgumentError(f'bag:={bag}: {metadata} cannot be read: {error!r}') from error
    return [topic for topic in topics if topic.transport]


def _topic(entry: Any) -> BagTopic:
    metadata = entry['topic_metadata']
    return BagTopic(
        str(metadata['name']), _TRANSPORTS.get(metadata['type'], ''), int(entry['message_count']))
