# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Refuses a topic that the node already uses with another message type: a wrong remapping.

Fast DDS refuses it too, with "invalid allocator" and lines of its own. Others accept it, and nothing arrives.
"""

from __future__ import annotations

from typing import Any

from ...errors import ParameterError

PUBLISHES, SUBSCRIBES = 'publishes', 'subscribes to'


def require_one_type(node: Any, does: str, kind: Any, topic: str) -> None:
    """Raise ParameterError if the node itself publishes or subscribes to this topic with another type than `kind`.

    does: PUBLISHES or SUBSCRIBES, what it is about to do
    """
    name, wanted = node.resolve_topic_name(topic), type_name(kind)
    own = node.get_name(), node.get_namespace()
    for already, entries in (
            (PUBLISHES, node.get_publisher_names_and_types_by_node(*own)),
            (SUBSCRIBES, node.get_subscriber_names_and_types_by_node(*own))):
        for found in dict(entries).get(name, ()):
            if found != wanted:
                raise ParameterError(
                    f'{name} would have two types: this node {already} {found} there, and {does} {wanted}; remap one '
                    'of them to another topic')


def type_name(kind: Any) -> str:
    """Return the ROS name of a message class, such as sensor_msgs/msg/Image."""
    package, folder, *_ = kind.__module__.split('.')
    return f'{package}/{folder}/{kind.__name__}'
