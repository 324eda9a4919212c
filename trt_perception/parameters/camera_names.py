# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The cameras of a node: from the parameter image_topics to their subscriptions and the names of their outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import ParameterError
from ..image.transports import COMPRESSED, base_of


@dataclass(frozen=True)
class CameraName:
    """One camera.

    given: its topic as image_topics has it; transport: raw or compressed
    subscribed: the name to subscribe to, before remapping; topic: its resolved name
    namespace: of its outputs, such as /front; '' if they are in the namespace of the node
    """

    given: str
    transport: str
    subscribed: str
    topic: str
    namespace: str = ''

    def output(self, name: str) -> str:
        """Return the topic of an output, such as detections."""
        return f'{self.namespace.rstrip("/")}/{name}' if self.namespace else name


def cameras_of(node: Any, topics: Sequence[str], transport: str) -> tuple[CameraName, ...]:
    """Return the cameras of image_topics, in its order. `node` is rclpy's Node, whose remappings apply.

    transport: the parameter image_transport; a topic that ends with /compressed is compressed anyway

    The outputs of one camera are in the namespace of the node. Those of several are beside their image topics:
    /front/image_raw has /front/detections. If topics are in the same folder, each has the outputs under its own name:
    /left has /left/detections.

    Raises ParameterError for a name that ROS does not allow, and for a topic that is there twice.
    """
    cameras = [_camera(node, topic, transport) for topic in topics]
    for topic, times in Counter(camera.topic for camera in cameras).items():
        if times > 1:
            raise ParameterError(
                f'image_topics is {list(topics)}: expected each topic once, but {times} of them are {topic}')
    if len(cameras) == 1:
        return tuple(cameras)
    bases = [base_of(camera.topic) for camera in cameras]
    for base in bases:
        if bases.count(base) > 1:
            raise ParameterError(
                f'image_topics is {list(topics)}: expected one form of each image, but {base} is there raw and '
                'compressed')
    namespaces = namespaces_of(bases)
    return tuple(replace(camera, namespace=namespace) for camera, namespace in zip(cameras, namespaces))


def namespaces_of(topics: Sequence[str]) -> list[str]:
    """Return the namespaces of the outputs of several image topics: their folders if they differ, else their names.

    topics: resolved; a transport at the end does not count
    """
    bases = [base_of(topic) for topic in topics]
    folders = Counter(base.rpartition('/')[0] for base in bases)
    namespaces = [
        folder if folder and folders[folder] == 1 else base
        for base in bases for folder in [base.rpartition('/')[0]]]
    # Such as /a and /a/image.
    return bases if len(set(namespaces)) < len(bases) else namespaces


def _camera(node: Any, topic: str, transport: str) -> CameraName:
    if topic.endswith(COMPRESSED):
        transport = 'compressed'
    try:
        name = image_topic(node, transport, topic)
        return CameraName(topic, transport, name, node.resolve_topic_name(name))
    except Exception as error:  # rclpy's exceptions for invalid names share no public base
        raise ParameterError(
            f"image_topics names '{topic}': expected the name of a topic, such as /front/image_raw: "
            f'{str(error).splitlines()[0]}') from error


def image_topic(node: Any, transport: str, topic: str = 'image') -> str:
    """Return the name to subscribe to: the topic, or topic/compressed, as the node's remappings give it.

    As in image_transport, X/compressed belongs to X: if only X is remapped, the compressed topic follows it.
    """
    if transport == 'raw' or topic.endswith(COMPRESSED):
        return topic
    name = f'{topic}{COMPRESSED}'
    if node.resolve_topic_name(name) != node.resolve_topic_name(name, only_expand=True):
        return name
    # Without remappings this is the same topic.
    base: str = node.resolve_topic_name(topic)
    return base if base.endswith(COMPRESSED) else f'{base}{COMPRESSED}'
