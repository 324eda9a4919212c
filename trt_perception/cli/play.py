# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Play the images of a rosbag2 in real time, where `ros2 bag play` is not installed.

Publishes one image topic of the bag (sensor_msgs/Image or CompressedImage) at the pace of its recording. The messages
leave as they were recorded; --restamp gives each header the time of sending instead, as if a camera took the picture at
that moment: only so can latencies be measured from the stamp.

Images need the Fast DDS profile in this process (README, Large images; FASTDDS_DEFAULT_PROFILES_FILE from Kilted on):

  FASTRTPS_DEFAULT_PROFILES_FILE=config/fastdds_large_images.xml trt_perception play BAG --restamp
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from ..dependencies import require
from ..errors import ParameterError, SourceError
from ..sources.bag_reader import IMAGE, ImageMessage, choose_image_topic, is_bag, read_image_messages, with_stamp
from .files import check_report
from .numbers import above_zero, duration

# Above it the ports that the RTPS standard computes do not exist.
HIGHEST_DOMAIN = 232
_POLL_S = 0.02
# Both sides must know of each other; the publisher may know first, and what it then sends goes nowhere.
_SETTLE_S = 0.5
# What was sent last must be out before the publisher's memory goes.
_LINGER_S = 0.5
# As ros2 bag play --clock does: 40 Hz.
_CLOCK_PERIOD_S = 0.025


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    parser.add_argument('bag', type=Path, metavar='BAG', help='a rosbag2: its folder, or an .mcap or .db3 file')
    parser.add_argument('--topic', help='image topic of a bag that has several')
    parser.add_argument('--to', metavar='TOPIC', help='publish as this topic instead of the recorded one')
    parser.add_argument(
        '--rate', type=above_zero, default=1.0, metavar='R', help='speed, 2 is twice as fast (default: %(default)s)')
    parser.add_argument('--restamp', action='store_true', help="set each header's stamp to the time of sending")
    parser.add_argument(
        '--clock', action='store_true', help='publish /clock, the time of the recording, for nodes with use_sim_time')
    parser.add_argument('--loop', action='store_true', help='begin again at the end, until Ctrl-C')
    parser.add_argument(
        '--wait', type=duration, default=5.0, metavar='SECONDS',
        help='wait so long for a subscriber before the first image (default: %(default)s)')
    parser.add_argument(
        '--sent', type=Path, metavar='FILE',
        help='write a JSON line for each image sent: its index in the bag, when it was recorded, its stamp as sent')


def run(options: argparse.Namespace) -> int:
    """Play; 0 when all was sent."""
    if not options.bag.exists():
        raise SourceError(f'{options.bag}: no such file or folder')
    if not is_bag(options.bag):
        raise SourceError(f'{options.bag}: not a rosbag2')
    check_report('--sent', options.sent)
    chosen = choose_image_topic(options.bag, options.topic)
    rclpy: Any = require('rclpy')
    messages: Any = require('sensor_msgs.msg')
    from rclpy.signals import SignalHandlerOptions

    _check_domain()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('bag_player')
    try:
        topic = chosen.name if options.to is None else options.to
        publisher = _publisher(node, messages.Image if chosen.type == IMAGE else messages.CompressedImage, topic)
        tell_time = _clock(node) if options.clock else None
        _wait_for_subscriber(publisher, options.wait)
        with _log(options.sent) as log:
            started = time.monotonic()
            sent = 0
            for index, message in _paced(
                    options.bag, chosen.name, options.rate, options.loop, tell_time):
                cdr = bytes(with_stamp(message.cdr, time.time_ns())) if options.restamp else message.cdr
                publisher.publish(cdr)
                sent += 1
                if log is not None:
                    log.write(json.dumps({
                        'index': index, 'recorded_ns': message.stamp_ns, 'stamp_ns': _header_stamp(cdr)}) + '\n')
            print(f'sent {sent} images of {publisher.topic_name} in {time.monotonic() - started:.1f} s')
        time.sleep(_LINGER_S)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _check_domain() -> None:
    """Raise ParameterError for a ROS_DOMAIN_ID with which Fast DDS or rcl ends the process."""
    text = os.environ.get('ROS_DOMAIN_ID', '')
    if text and not (text.strip().isdecimal() and int(text) <= HIGHEST_DOMAIN):
        raise ParameterError(f"ROS_DOMAIN_ID is '{text}': expected a number from 0 to {HIGHEST_DOMAIN}")


def _publisher(node: Any, kind: Any, topic: str) -> Any:
    from rclpy.exceptions import InvalidTopicNameException

    try:
        # Reliable, which serves subscribers of both kinds.
        return node.create_publisher(kind, topic, 5)
    except InvalidTopicNameException as error:
        # Its lines point at the character with an arrow.
        reason = str(error).splitlines()[0].rstrip(': ')
        raise ParameterError(f"--to '{topic}': {reason}; expected a name such as /camera/image_raw") from error


def _wait_for_subscriber(publisher: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while publisher.get_subscription_count() == 0:
        if time.monotonic() > deadline:
            print(
                f'trt_perception: nobody has subscribed {publisher.topic_name} in {seconds:g} s, playing anyway',
                file=sys.stderr)
            return
        time.sleep(_POLL_S)
    time.sleep(_SETTLE_S)


def _clock(node: Any) -> Callable[[int], None]:
    """Return a function that publishes nanoseconds as /clock."""
    clock_type: Any = require('rosgraph_msgs.msg').Clock
    publisher = node.create_publisher(clock_type, '/clock', 1)

    def tell(time_ns: int) -> None:
        message = clock_type()
        message.clock.sec, message.clock.nanosec = divmod(time_ns, 1_000_000_000)
        publisher.publish(message)

    return tell


def _paced(
    bag: Path, topic: str, rate: float, loop: bool, tell_time: Callable[[int], None] | None,
) -> Iterator[tuple[int, ImageMessage]]:
    """Yield (index in the bag, message) when each is due; tell the recording's time meanwhile."""
    while True:
        started = time.monotonic()
        first_ns: int | None = None
        # A message is read before its time comes: the disk does not delay it.
        for index, message in enumerate(read_image_messages(bag, topic)):
            first_ns = message.stamp_ns if first_ns is None else first_ns
            due = started + (message.stamp_ns - first_ns) / 1e9 / rate
            while (pause := due - time.monotonic()) > 0:
                if tell_time is not None:
                    tell_time(message.stamp_ns - int(pause * rate * 1e9))
                    pause = min(pause, _CLOCK_PERIOD_S)
                time.sleep(pause)
            if tell_time is not None:
                tell_time(message.stamp_ns)
            yield index, message
        if not loop:
            return


@contextlib.contextmanager
def _log(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    try:
        # Line by line, for a reader that follows it.
        file = path.open('w', encoding='utf-8', buffering=1)
    except OSError as error:
        raise SourceError(f'--sent {path}: {error.strerror}') from error
    with file:
        yield file


def _header_stamp(cdr: bytes) -> int:
    """Return the header's stamp of a serialised message in nanoseconds; see bag.with_stamp for the layout."""
    seconds, nanoseconds = struct.unpack_from('<iI' if cdr[1] & 1 else '>iI', cdr, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


