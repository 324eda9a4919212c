# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Play the images of a bag in real time, without `ros2 bag play`.

Publishes one image topic of the bag (sensor_msgs/Image or CompressedImage) at the speed of its recording. The messages
are sent as they were recorded. --restamp sets each header's stamp to the time of sending, as if a camera took the
picture at that moment. Only such stamps are useful to measure latencies. What cannot be read is reported and not sent;
then the exit code is 1.

This process needs the Fast DDS profile for large images (README, Large images). On Lyrical the variable is
FASTDDS_DEFAULT_PROFILES_FILE:

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
from typing import Any

from ..dependencies import require
from ..errors import ParameterError, SourceError, one_line
from ..node.image_topics.serialized_image import CutOff, NotPlainCdr, read_compressed_image, read_image
from ..sources.bag_messages import IMAGE, ImageMessage, deserialize, with_stamp
from ..sources.bag_metadata import BagTopic
from ..sources.bag_reader import BagReader
from .files import Outputs
from .growing_file import GrowingFile
from .numbers import above_zero, duration
from .ros_session import checked_topic

# For a higher domain the RTPS standard computes ports that do not exist.
HIGHEST_DOMAIN = 232
_POLL_S = 0.02
# The publisher may discover the subscriber before the subscriber discovers the publisher. Images sent then are lost.
_SETTLE_S = 0.5
# The last image must be sent before the publisher's memory is freed.
_LINGER_S = 0.5
# 40 Hz, as ros2 bag play --clock.
_CLOCK_PERIOD_S = 0.025


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this subcommand's arguments."""
    parser.add_argument(
        'bag', type=Path, metavar='BAG', help='a rosbag2 (folder, .mcap or .db3 file) or a ROS 1 .bag file')
    parser.add_argument('--topic', help='image topic of a bag that has several')
    parser.add_argument('--to', metavar='TOPIC', help='publish as this topic instead of the recorded one')
    parser.add_argument(
        '--rate', type=above_zero, default=1.0, metavar='R', help='speed, 2 is twice as fast (default: %(default)s)')
    parser.add_argument('--restamp', action='store_true', help="set each header's stamp to the time of sending")
    parser.add_argument(
        '--clock', action='store_true', help='publish /clock, the time of the recording, for nodes with use_sim_time')
    parser.add_argument('--loop', action='store_true', help='begin again at the end; Ctrl-C ends it')
    parser.add_argument(
        '--wait', type=duration, default=5.0, metavar='SECONDS',
        help='wait for a subscriber for at most this time before the first image (default: %(default)s)')
    parser.add_argument(
        '--sent', type=Path, metavar='FILE',
        help='write a JSON line for each image sent: its index in the bag, time of recording and sent stamp. '
             'An older file stays until the first one is sent')


def run(options: argparse.Namespace) -> int:
    """Play; 0 if all images were sent."""
    bag = BagReader(options.bag)
    Outputs(options.bag).file('--sent', options.sent)
    chosen = bag.choose_image_topic(options.topic)
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
        # Other programs read it while it grows, and with --loop it never ends.
        sent_file = GrowingFile('--sent', options.sent, endless=True) if options.sent else contextlib.nullcontext()
        with sent_file as log:
            started = time.monotonic()
            sent = 0
            problems = _Problems()
            for index, message in _paced(bag, chosen, options.rate, options.loop, tell_time, problems):
                cdr = bytes(with_stamp(message.cdr, time.time_ns())) if options.restamp else message.cdr
                publisher.publish(cdr)
                sent += 1
                if log is not None:
                    log.line(json.dumps({
                        'index': index, 'recorded_ns': message.stamp_ns, 'stamp_ns': _header_stamp(cdr)}))
            print(f'sent {sent} images of {publisher.topic_name} in {time.monotonic() - started:.1f} s')
        time.sleep(_LINGER_S)
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 1 if problems.lines else 0


def _check_domain() -> None:
    """Raise ParameterError for a ROS_DOMAIN_ID that makes Fast DDS or rcl end the process."""
    text = os.environ.get('ROS_DOMAIN_ID', '')
    if text and not (text.strip().isdecimal() and int(text) <= HIGHEST_DOMAIN):
        raise ParameterError(f"ROS_DOMAIN_ID is '{text}': expected a number from 0 to {HIGHEST_DOMAIN}")


def _publisher(node: Any, kind: Any, topic: str) -> Any:
    with checked_topic('--to', topic):
        # Reliable: it matches reliable and best-effort subscribers.
        return node.create_publisher(kind, topic, 5)


def _wait_for_subscriber(publisher: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while publisher.get_subscription_count() == 0:
        if time.monotonic() > deadline:
            print(
                f'trt_perception: {publisher.topic_name} has no subscriber after {seconds:g} s, playing anyway',
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


def _require_image(message: ImageMessage) -> None:
    """Raise SourceError for bytes that no subscriber can read, and that may have no stamp."""
    read = read_image if message.type == IMAGE else read_compressed_image
    try:
        read(message.cdr, lambda sec, nanosec, frame_id: None)
    except (NotPlainCdr, CutOff):
        # It has the words of the other commands, but copies the pixels.
        deserialize(message)


class _Problems:
    """Reports what cannot be read of a bag, in the first of several rounds."""

    def __init__(self) -> None:
        self.lines: set[str] = set()

    def __call__(self, problem: SourceError) -> None:
        line = one_line(problem)
        if line not in self.lines:
            self.lines.add(line)
            print(f'trt_perception: {line}', file=sys.stderr, flush=True)


def _paced(
    bag: BagReader, topic: BagTopic, rate: float, loop: bool, tell_time: Callable[[int], None] | None,
    problems: _Problems,
) -> Iterator[tuple[int, ImageMessage]]:
    """Yield (index in the bag, message) when each message is due. In between, publish the time of the recording."""
    while True:
        started = time.monotonic()
        first_ns: int | None = None
        # A message is read before it is due, so the disk does not delay it.
        for index, message in enumerate(bag.messages(topic, on_missing=problems)):
            try:
                _require_image(message)
            except SourceError as error:
                problems(SourceError(f'{bag.path}: frame {index} of {topic.name}: {error}'))
                continue
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


def _header_stamp(cdr: bytes) -> int:
    """Return the header's stamp of a serialised message in nanoseconds; with_stamp describes the layout."""
    seconds, nanoseconds = struct.unpack_from('<iI' if cdr[1] & 1 else '>iI', cdr, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
