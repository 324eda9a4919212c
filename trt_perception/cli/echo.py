# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Print the messages of a topic, one line each, without the ros2 command.

Detections: stamp, frame, number of objects, and for each class, score and [x_min y_min x_max y_max] in pixels.
Classifications, diagnostics, label_info and vision_info have lines of their own; of images, size and encoding. Every
publisher matches, reliable or best effort. Ctrl-C ends it.
"""

from __future__ import annotations

import argparse
import difflib
import os
import time
from collections.abc import Callable
from typing import Any

from ..dependencies import require
from ..errors import ParameterError, listed, printable
from .message_lines import RECORDS, json_line, line
from .numbers import duration, whole
from .ros_session import Listener, checked_topic, listening

_POLL_S = 0.2
_MOST = 1_000_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    parser.add_argument('topic', metavar='TOPIC', help='such as /detections')
    parser.add_argument('--json', action='store_true', help='print one JSON object for each message, in one line')
    end = parser.add_mutually_exclusive_group()
    end.add_argument('--once', action='store_true', help='end after one message')
    end.add_argument('--count', type=whole(1, _MOST), metavar='N', help='end after N messages')
    parser.add_argument(
        '--wait', type=duration, default=10.0, metavar='SECONDS',
        help='wait for the topic, and with --once or --count for each message, for at most this time '
        '(default: %(default)s)')


def run(options: argparse.Namespace) -> int:
    """Print messages."""
    topic = options.topic if options.topic.startswith('/') else f'/{options.topic}'
    wanted = 1 if options.once else options.count
    with listening('trt_perception_echo') as listener:
        kind, latched = _find(listener, topic, options.wait)
        records = RECORDS[kind]
        package, _, name = kind.split('/')
        received = 0
        last = time.monotonic()

        def show(message: Any) -> None:
            nonlocal received, last
            if wanted is not None and received >= wanted:
                return
            received, last = received + 1, time.monotonic()
            for record in records(message):
                print(json_line(record) if options.json else printable(line(record)), flush=True)

        listener.subscribe(getattr(require(f'{package}.msg'), name), topic, show, latched)
        while wanted is None or received < wanted:
            listener.spin(_POLL_S)
            if wanted is not None and time.monotonic() - last > options.wait:
                raise ParameterError(
                    f'received {received} of {wanted} messages of {topic}: nothing was published for {options.wait:g} '
                    's; check that the publisher is active, or raise --wait')
    return 0


def _find(listener: Listener, topic: str, seconds: float) -> tuple[str, bool]:
    """Wait until the topic is published; return its type, and whether its publishers keep the last message."""
    from rclpy.qos import DurabilityPolicy

    def publishers() -> list[Any]:
        return list(listener.node.get_publishers_info_by_topic(topic))

    with checked_topic('TOPIC', topic):
        found = _wait(publishers, listener, seconds)
    if not found:
        raise ParameterError(_nothing(listener, topic, seconds))
    kinds = sorted({endpoint.topic_type for endpoint in found})
    known = [kind for kind in kinds if kind in RECORDS]
    if not known:
        raise ParameterError(
            f'{topic} has the type {listed(kinds)}: expected one of '
            f'{", ".join(kind.replace("/msg/", "/") for kind in RECORDS)}; ros2 topic echo shows all types')
    return known[0], all(e.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL for e in found)


def _wait(condition: Callable[[], Any], listener: Listener, seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        listener.spin(_POLL_S)
    return value


def _nothing(listener: Listener, topic: str, seconds: float) -> str:
    topics = sorted(
        name for name, kinds in listener.node.get_topic_names_and_types()
        if not RECORDS.keys().isdisjoint(kinds) and listener.node.count_publishers(name))
    alike = [name for name in topics if name.rpartition('/')[2] == topic.rpartition('/')[2]]
    alike = alike or difflib.get_close_matches(topic, topics, 3)
    start = f'no node publishes {topic} within {seconds:g} s'
    if alike:
        return f'{start}: did you mean {listed(alike, 3, " or ")}?'
    if topics:
        return f'{start}; these topics are there: {listed(topics)}'
    domain = os.environ.get('ROS_DOMAIN_ID') or '0'
    return (
        f'{start}, nor any other topic of this package: check that the node runs and is active, in the same network '
        f'and with ROS_DOMAIN_ID {domain}')
