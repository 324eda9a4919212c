# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the publishers of an image topic, and those that cannot match the subscription."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from rclpy.qos import QoSCompatibility, QoSProfile, ReliabilityPolicy, qos_check_compatible

from ...image.transports import COMPRESSED, COMPRESSED_IMAGE, IMAGE, republish, transport_of

# The node name before DDS has discovered the node of a publisher. A publisher outside ROS never has one.
UNDISCOVERED = ('', '_NODE_NAME_UNKNOWN_')
_UNNAMED = 'a publisher whose node is not discovered yet'
# Seconds to wait for the name before logging. Discovery takes a fraction of that.
_DISCOVERY_S = 5.0


@dataclass(frozen=True)
class Publishers:
    """The publishers of a topic at one moment.

    names: full names of their nodes, one for each publisher
    incompatible: a sentence for each publisher that cannot match the subscription
    unnamed: the sentences of `incompatible` that cannot name the node yet
    """

    names: tuple[str, ...]
    incompatible: tuple[str, ...]
    unnamed: frozenset[str]


def publishers_of(endpoints: Iterable[Any], topic: str, message_type: str, reliable: bool) -> Publishers:
    """Compare publishers with a subscription.

    endpoints: rclpy's TopicEndpointInfo of each publisher of `topic`, a resolved name
    message_type: type of the subscription, such as 'sensor_msgs/msg/Image'; reliable: whether it requests reliability
    """
    names, incompatible, unnamed = [], [], set()
    for endpoint in endpoints:
        named = endpoint.node_name not in UNDISCOVERED
        name = f'{endpoint.node_namespace.rstrip("/")}/{endpoint.node_name}' if named else _UNNAMED
        names.append(name)
        reason = _mismatch(endpoint, name, topic, message_type, reliable)
        if reason:
            incompatible.append(reason)
            if not named:
                unnamed.add(reason)
    return Publishers(tuple(names), tuple(incompatible), frozenset(unnamed))


def _mismatch(endpoint: Any, name: str, topic: str, message_type: str, reliable: bool) -> str:
    if endpoint.topic_type != message_type:
        return (
            f'{name} publishes {topic} as {endpoint.topic_type}, but this node subscribes to {message_type}: '
            f'{_remedy(topic, endpoint.topic_type)}')
    # The middleware decides: for Zenoh all are compatible.
    wanted = QoSProfile(
        depth=1, reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT)
    compatibility, reason = qos_check_compatible(endpoint.qos_profile, wanted)
    if compatibility != QoSCompatibility.ERROR:
        return ''
    if reliable and endpoint.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT:
        return (
            f'{name} offers reliability best_effort on {topic}, but this node requests reliable: set image_reliability '
            'to best_effort')
    return f'{name} publishes {topic} with a QoS that this node cannot receive: {reason.strip().rstrip(";")}'


def _remedy(topic: str, found: str) -> str:
    transport = transport_of(topic, found)
    if transport is not None:
        return republish(transport, topic)
    if found == COMPRESSED_IMAGE:
        if topic.endswith(COMPRESSED):
            return 'set image_transport to compressed'
        return f'set image_transport to compressed and remap image/compressed to {topic}'
    if found == IMAGE:
        return f'set image_transport to raw and remap image to {topic}'
    return 'this type has no images: set image_topic to the topic of the images'


class MismatchLog:
    """Logs once why a publisher cannot match, with the name of its node if it is discovered soon."""

    def __init__(self, log: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._logged: set[str] = set()
        # When each sentence without a name was first seen.
        self._since: dict[str, float] = {}

    def update(self, publishers: Publishers) -> None:
        """Log the new mismatches among the current publishers."""
        now = self._clock()
        self._since = {reason: self._since.get(reason, now) for reason in publishers.unnamed}
        for reason in publishers.incompatible:
            waiting = reason in self._since and now - self._since[reason] < _DISCOVERY_S
            if reason not in self._logged and not waiting:
                self._logged.add(reason)
                self._log(reason)
