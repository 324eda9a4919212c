# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the topic that the user probably meant, if no node publishes the image topic."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.qos import ReliabilityPolicy

from ...errors import listed
from ...image.transports import (
    COMPRESSED,
    COMPRESSED_IMAGE,
    IMAGE,
    TRANSPORTS,
    Transport,
    base_of,
    republish,
    transport_of,
)
from .publishers import UNDISCOVERED

_CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
_TYPES = {IMAGE, COMPRESSED_IMAGE, _CAMERA_INFO, *(transport.message_type for transport in TRANSPORTS)}
# difflib's similarity of two names, from 0 to 1.
_SIMILAR = 0.75
# Parts of names that are no images of a camera, or that need another detector.
_UNLIKELY = ('depth', 'disparity', 'debug')
_MOST_NAMES = 5


@dataclass(frozen=True)
class Offer:
    """A topic with an image or a camera_info that another node publishes.

    topic: resolved name; message_type: such as 'sensor_msgs/msg/Image'; best_effort: no publisher is reliable
    node: full name of the node of its first publisher, '' if it is not discovered yet
    """

    topic: str
    message_type: str
    best_effort: bool = False
    node: str = ''


@dataclass(frozen=True)
class Wanted:
    """The subscription.

    transport: raw or compressed; reliable: whether it requests reliability
    several: whether it is one of several in image_topics
    """

    topic: str
    transport: str
    reliable: bool = False
    several: bool = False


def offers_in(node: Any) -> list[Offer]:
    """Return what other nodes publish now, by name. `node` is rclpy's Node; its own topics are left out."""
    own = node.get_fully_qualified_name()
    offers = []
    for topic, types in node.get_topic_names_and_types():
        if _TYPES.isdisjoint(types):
            continue
        by_type: dict[str, list[Any]] = {}
        for endpoint in node.get_publishers_info_by_topic(topic):
            if _name(endpoint) != own:
                by_type.setdefault(endpoint.topic_type, []).append(endpoint)
        for kind, endpoints in by_type.items():
            if kind in _TYPES:
                offers.append(Offer(
                    topic, kind, all(e.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT for e in endpoints),
                    _name(endpoints[0])))
    return sorted(offers, key=lambda offer: (offer.topic, offer.message_type))


def suggestion(wanted: Wanted, offers: Sequence[Offer]) -> str:
    """Return what is there instead of the wanted topic, and what to do."""
    base = base_of(wanted.topic)
    images = [offer for offer in offers if offer.message_type != _CAMERA_INFO]
    siblings = [offer for offer in images if base_of(offer.topic) == base]
    if siblings:
        return _of_sibling(wanted, _best(siblings))
    readable = [offer for offer in images if not _transport(offer)]
    near = _near(base, readable) or _near(base, images)
    infos = [offer for offer in offers if offer.message_type == _CAMERA_INFO]
    if near is None:
        info = next((offer for offer in infos if _folder(offer.topic) == _folder(base)), None)
        if info is not None:
            return (
                f'{info.topic} is there, so the camera is, but no image is beside it: see the log of '
                f'{info.node or "its driver"} and its topics (ros2 node info {info.node or "NAME"})')
        if len({base_of(offer.topic) for offer in images}) == 1:
            near = _best(images)
    if near is not None:
        return _of_other(wanted, near)
    if images:
        names = sorted({offer.topic for offer in (readable or images)})
        how = f'name one of them in image_topics instead of {wanted.topic}' if wanted.several else (
            'set image_topic to one of them')
        return f'these image topics are there: {listed(names, _MOST_NAMES)}: {how}'
    domain = os.environ.get('ROS_DOMAIN_ID') or '0'
    return (
        "no other node publishes an image topic: check that the camera's driver runs, in the same network and with "
        f'ROS_DOMAIN_ID {domain}, and the topic name (ros2 topic list)')


class ChangeLog:
    """Logs a text once, and again only if it changes. An empty text is not logged."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._last = ''

    def update(self, text: str) -> None:
        """Log the text if it is a new one."""
        if text and text != self._last:
            self._last = text
            self._log(text)


def _of_sibling(wanted: Wanted, offer: Offer) -> str:
    """Return what to do to get the wanted images in the form in which they are there."""
    there = f'{offer.topic} is there'
    transport = _transport(offer)
    if transport:
        return f'{there}, but this node cannot read {offer.message_type} ({transport.content}): ' + republish(
            transport, offer.topic)
    if offer.message_type == COMPRESSED_IMAGE and not offer.topic.endswith(COMPRESSED):
        return (
            f'{there} as {COMPRESSED_IMAGE}: remap image/compressed to it '
            f'(--ros-args -r image/compressed:={offer.topic} -p image_transport:=compressed)')
    if offer.message_type == IMAGE and offer.topic.endswith(COMPRESSED):
        return f'{there} as {IMAGE}: remap image to it (--ros-args -r image:={offer.topic} -p image_transport:=raw)'
    wants = 'raw' if offer.message_type == IMAGE else 'compressed'
    # In image_topics a name that ends with /compressed is enough; image_transport is for all cameras.
    if wants == wanted.transport or (wanted.several and wants == 'compressed'):
        return _of_other(wanted, offer)
    return f'{there}: image_transport:={wants}{_and_reliability(wanted, offer)}'


def _of_other(wanted: Wanted, offer: Offer) -> str:
    transport = _transport(offer)
    if transport:
        return (
            f'{offer.topic} is there, but this node cannot read {offer.message_type} ({transport.content}): '
            + republish(transport, offer.topic))
    if offer.message_type == COMPRESSED_IMAGE and not offer.topic.endswith(COMPRESSED):
        return _of_sibling(wanted, offer)
    if wanted.several and not (offer.message_type == IMAGE and wanted.transport == 'compressed'):
        return (
            f'{offer.topic} is there: name it in image_topics instead of {wanted.topic}'
            f'{_and_reliability(wanted, offer)}')
    # A name that ends with /compressed chooses the transport, but not if the user has set image_transport.
    raw = offer.message_type == IMAGE and wanted.transport == 'compressed'
    set_transport = ' image_transport:=raw' if raw else ''
    return f'{offer.topic} is there: image_topic:={offer.topic}{set_transport}{_and_reliability(wanted, offer)}'


def _and_reliability(wanted: Wanted, offer: Offer) -> str:
    if wanted.reliable and offer.best_effort:
        return ', with image_reliability best_effort, because its publisher does not offer reliable'
    return ''


def _best(offers: Sequence[Offer]) -> Offer:
    """Return the offer that is easiest to use: raw, then compressed, then the other transports."""
    return min(offers, key=lambda offer: (bool(_transport(offer)), offer.message_type != IMAGE, offer.topic))


def _near(base: str, offers: Sequence[Offer]) -> Offer | None:
    """Return the offer whose name is most like the wanted one, None if none is like it.

    Alike are a name with small differences, and the same name in another namespace.
    """
    by_base: dict[str, list[Offer]] = {}
    for offer in offers:
        by_base.setdefault(base_of(offer.topic), []).append(offer)
    likeness = {name: difflib.SequenceMatcher(None, base, name).ratio() for name in by_base}
    alike = [
        name for name in by_base
        if (likeness[name] >= _SIMILAR or name.rpartition('/')[2] == base.rpartition('/')[2])
        and (_is_unlikely(base) or not _is_unlikely(name))]
    best = max(alike, key=lambda name: likeness[name], default=None)
    return None if best is None else _best(by_base[best])


def _is_unlikely(name: str) -> bool:
    return any(word in name for word in _UNLIKELY)


def _folder(topic: str) -> str:
    return topic.rpartition('/')[0]


def _transport(offer: Offer) -> Transport | None:
    return transport_of(offer.topic, offer.message_type)


def _name(endpoint: Any) -> str:
    if endpoint.node_name in UNDISCOVERED:
        return ''
    return f'{endpoint.node_namespace.rstrip("/")}/{endpoint.node_name}'
