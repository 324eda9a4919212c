# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of image topics: the remappings for the node, its transport, and the image topic of a bag."""

from __future__ import annotations

from pathlib import Path

from ..errors import MissingDependencyError, SourceError
from ..image.transports import COMPRESSED, COMPRESSED_IMAGE
from ..sources.bag_metadata import BagTopic
from ..sources.bag_reader import BagReader
from .values import LaunchArgumentError


def image_remappings(image_topic: str) -> list[tuple[str, str]]:
    """Return the remappings with which the node subscribes to this topic.

    A compressed topic may be given with or without image_transport's /compressed.
    """
    base = image_topic.removesuffix(COMPRESSED)
    return [('image', base), ('image/compressed', f'{base}{COMPRESSED}')]


def several_topics(image_topics: str, image_topic: str) -> list[str]:
    """Return the topics of the launch argument image_topics, [] if it is empty.

    image_topics: names separated by commas, also in brackets; image_topic: the other argument, 'image' by default
    Raises LaunchArgumentError if both are given, or for an empty name.
    """
    if not image_topics.strip():
        return []
    names = [name.strip().strip('\'"') for name in image_topics.strip().strip('[]').split(',')]
    if not all(names):
        raise LaunchArgumentError(
            f'image_topics:={image_topics}: expected topics separated by commas, such as /front/image_raw,'
            '/rear/image_raw')
    if image_topic != 'image':
        raise LaunchArgumentError(
            f'image_topic:={image_topic} and image_topics:={image_topics} are both given: leave one of them out')
    return names


def chosen_transport(image_topic: str, image_transport: str) -> tuple[str, str]:
    """Return the node's image_transport, '' for the one of its parameters, and a text to log, or ''.

    A name that ends with /compressed chooses compressed, unless the launch argument image_transport is given.
    """
    if not image_topic.endswith(COMPRESSED):
        return image_transport, ''
    if not image_transport:
        return 'compressed', ''
    if image_transport != 'raw':
        return image_transport, ''
    return image_transport, (
        f'image_transport:=raw: the node subscribes to {image_topic.removesuffix(COMPRESSED)}, not to {image_topic}; '
        'leave image_transport out for the compressed images')


def image_transport(topic: BagTopic) -> str:
    """Return the node's image_transport for an image topic of a bag: 'raw' or 'compressed'."""
    return 'compressed' if topic.type == COMPRESSED_IMAGE else 'raw'


def played_as(topic: BagTopic) -> str:
    """Return the topic on which to play a topic of a bag; for compressed images it must end with /compressed."""
    if topic.type == COMPRESSED_IMAGE and not topic.name.endswith(COMPRESSED):
        return f'{topic.name}{COMPRESSED}'
    return topic.name


def open_bag_argument(path: Path, image_topic: str, transport: str = '') -> tuple[BagReader, BagTopic]:
    """Return the bag of the launch argument `bag`, and its image topic of this name; '' chooses the only one.

    transport: the launch argument image_transport. As for a camera, it chooses between X and X/compressed

    Raises LaunchArgumentError, with the message of the other commands, if there is no such bag or topic.
    """
    try:
        bag = BagReader(path)
        return bag, bag.choose_image_topic(_name_in(bag, image_topic, transport) or None)
    except SourceError as error:
        raise LaunchArgumentError(f'bag:={error}') from error
    except MissingDependencyError as error:
        raise LaunchArgumentError(f'bag:={path}: {error}') from error


def _name_in(bag: BagReader, image_topic: str, transport: str) -> str:
    """Return the name of the topic that both launch arguments choose, `image_topic` if the bag does not have it."""
    if not transport:
        return image_topic
    fitting = [topic for topic in bag.image_topics if topic.count and image_transport(topic) == transport]
    if not image_topic:
        return fitting[0].name if len(fitting) == 1 else ''
    base = image_topic.lstrip('/').removesuffix(COMPRESSED)
    names = [topic.name for topic in fitting if topic.name.lstrip('/').removesuffix(COMPRESSED) == base]
    return names[0] if names else image_topic
