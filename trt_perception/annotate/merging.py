# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Copies the messages of a recording between the results of its images.

The recording is read a second time, close behind the reader of the images: what it reads is in the page cache. So the
images that wait for the network are not kept as bytes too, and messages of other topics do not wait with them.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Collection

from ..errors import SourceError
from ..sources.bag_copy import copied
from ..sources.bag_faults import MissingMessages
from ..sources.bag_reader import BagReader
from ..sources.bag_storage import ROS1
from ..sources.rosbag2_writer import Rosbag2Writer


def require_mergeable(bag: BagReader) -> None:
    """Raise SourceError if the messages of a bag cannot be copied."""
    if bag.storage == ROS1:
        raise SourceError(
            f'{bag.path}: --merge copies messages as they are, and these are of ROS 1: leave --merge out, or convert '
            f'the bag first: rosbags-convert --src {bag.path} --dst {bag.path.with_suffix("")}')


class Merging:
    """A copy of all messages of a bag that is written up to one image after the other. One thread at a time uses it."""

    def __init__(self, bag: BagReader, writer: Rosbag2Writer, report: Callable[[SourceError], None]) -> None:
        """Prepare. report: called with each part of the bag that cannot be read."""
        self._bag = bag
        self._messages = copied(bag, report)
        self._writer = writer
        self._counts: Counter[str] = Counter()

    def copy_to(self, topic: str, index: int) -> None:
        """Copy up to the message of a topic with this number, from 0. Raises OSError, SourceError."""
        # It may be damaged only for this reader: then all that can be copied is.
        while self._counts[topic] <= index and self._copy_one():
            pass

    def copy_rest(self) -> None:
        """Copy what is left. Raises OSError, SourceError."""
        while self._copy_one():
            pass

    def missing(self, others: Collection[str]) -> MissingMessages | None:
        """Return an error if the bag has fewer messages than its index, of all topics but these."""
        topics = [topic for topic in self._bag.topics if topic.name not in others]
        return self._bag.missing(topics, sum(self._counts[name] for name in {topic.name for topic in topics}))

    def close(self) -> None:
        """Close the files of the bag. Raises nothing."""
        with contextlib.suppress(Exception):
            self._messages.close()

    def _copy_one(self) -> bool:
        message = next(self._messages, None)
        if message is None:
            return False
        self._writer.write(
            message.topic, message.log_ns, message.publish_ns, message.data, message.sequence, message.packed)
        self._counts[message.topic.channel.topic] += 1
        return True


class Losses:
    """Counts what several readers of the same bag cannot read: what two of them find is one loss."""

    def __init__(self, report: Callable[[SourceError], None]) -> None:
        """Prepare. report: called with each loss, by one thread at a time."""
        self._report = report
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self.count = 0

    def reader(self) -> Callable[[SourceError], None]:
        """Return what another reader calls with each loss."""
        found: Counter[str] = Counter()

        def lost(error: SourceError) -> None:
            text = str(error)
            with self._lock:
                found[text] += 1
                if found[text] <= self._counts[text]:
                    return
                self._counts[text] += 1
                self.count += 1
                self._report(error)

        return lost
