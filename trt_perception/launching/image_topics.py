# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of image topics: the remappings for the node, and the image topic of a bag."""

from __future__ import annotations

from pathlib import Path

from ..errors import MissingDependencyError, SourceError
from ..sources.bag_messages import COMPRESSED_IMAGE
from ..sources.bag_metadata import BagTopic
from ..sources.bag_reader import BagReader
from .values import LaunchArgumentError

_COMPRESSED = '/compressed'


def image_remappings(image_topic: str) -> list[tuple[str, str]]:
    """Return the remappings with which the node subscribes to this topic.

    A compressed topic may be given with or without image_transport's /compressed.
    """
    base = image_topic.removesuffix(_COMPRESSED)
    return [('image', base), ('image/compressed', f'{base}{_COMPRESSED}')]


def image_transport(topic: BagTopic) -> str:
    """Return the node's image_transport for an image topic of a bag: 'raw' or 'compressed'."""
    return 'compressed' if topic.type == COMPRESSED_IMAGE else 'raw'


def played_as(topic: BagTopic) -> str:
    """Return the topic on which to play a topic of a bag; for compressed images it must end with /compressed."""
    if topic.type == COMPRESSED_IMAGE and not topic.name.endswith(_COMPRESSED):
        return f'{topic.name}{_COMPRESSED}'
    return topic.name


def open_bag_argument(path: Path, image_topic: str) -> tuple[BagReader, BagTopic]:
    """Return the bag of the launch argument `bag`, and its image topic of this name; '' chooses the only one.

    Raises LaunchArgumentError, with the message of the other commands, if there is no such bag or topic.
    """
    try:
        bag = BagReader(path)
        return bag, bag.choose_image_topic(image_topic or None)
    except SourceError as error:
        raise LaunchArgumentError(f'bag:={error}') from error
    except MissingDependencyError as error:
        raise LaunchArgumentError(f'bag:={path}: {error}') from error
