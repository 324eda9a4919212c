# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""All that can be read of several image topics of a bag, also of a damaged one, with the times of publishing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..errors import SourceError, listed, reason
from .bag_messages import ImageMessage
from .bag_metadata import BagTopic
from .bag_reader import BagReader
from .bag_storage import MCAP, ROS1, is_compressed_storage_file
from .decompression import zstd_unpacked
from .mcap_damage import unpacked_message
from .mcap_definitions import McapDamage
from .mcap_records import McapMessage, McapPlace, McapScan
from .ros1_bag import ros1_images

OnDamage = Callable[[SourceError], None]


@dataclass(frozen=True)
class BagPlace:
    """A message of an MCAP bag.

    file: number of its storage file; record: the message, or its chunk; skip: wanted messages of the chunk before it
    """

    file: int
    record: McapPlace
    skip: int


@dataclass(frozen=True)
class BagPart:
    """A part of a bag: the messages of `recorded` from `start` on, up to `stop`, which is not in it.

    start, stop: places in MCAP, times of recording in nanoseconds in SQLite; None for the begin and the end of the bag
    first: how many messages of each topic are before it
    """

    start: BagPlace | int | None = None
    stop: BagPlace | int | None = None
    first: Mapping[str, int] = field(default_factory=dict)


WHOLE = BagPart()


def recorded(
    bag: BagReader, topics: Collection[BagTopic], on_error: OnDamage, part: BagPart = WHOLE,
) -> Iterator[ImageMessage]:
    """Yield the messages of several topics of a bag that was opened with `cut_off`.

    on_error: called with each place that is damaged, which is left out
    part: of the bag (bag_parts.py)

    The order is that of the file for MCAP and ROS 1, and that of the times of recording for SQLite. `publish_ns` is
    None for SQLite and ROS 1, which do not have it. Memory: one chunk.

    That the bag has fewer messages than its index is not reported: `bag.missing` says it of all parts together.
    Raises SourceError if none can be read although there should be some, and for a reason that may pass, such as a full
    disk where a compressed file is unpacked.
    """
    found = 0
    damages: list[SourceError] = []

    def damaged(error: SourceError) -> None:
        if not found and not damages:
            damages.append(error)
        on_error(error)

    for message in _messages(bag, topics, damaged, part):
        found += 1
        yield message
    missing = None if found or part != WHOLE else bag.missing(topics, 0)
    if missing is not None and damages:
        names = listed([topic.name for topic in topics])
        raise SourceError(f'{damages[0]}; no message of {names} can be read') from damages[0]
    if missing is not None:
        raise missing


def _messages(
    bag: BagReader, topics: Collection[BagTopic], on_error: OnDamage, part: BagPart,
) -> Iterator[ImageMessage]:
    if bag.storage == MCAP:
        wanted = {(topic.name, topic.type) for topic in topics}
        for found, _, _ in from_mcap(bag, lambda *topic: topic in wanted, on_error, part):
            yield ImageMessage(found.topic, found.type, found.log_ns, found.data, found.publish_ns)
    elif bag.storage == ROS1:
        yield from _from_ros1(bag, topics, on_error)
    else:
        yield from from_sqlite(bag, topics, on_error, part)


def mcap_messages_of(
    bag: BagReader, wanted: Callable[[str, str], bool], on_error: OnDamage,
) -> Iterator[McapMessage]:
    """Yield the messages of some topics of a bag of MCAP files, decompressed. Arguments and errors as `recorded`.

    wanted: whether the messages of a topic and a type are wanted
    """
    for found, _, _ in from_mcap(bag, wanted, on_error):
        yield found


def from_mcap(
    bag: BagReader, wanted: Callable[[str, str], bool], on_error: OnDamage, part: BagPart = WHOLE, data: bool = True,
) -> Iterator[tuple[McapMessage, int, McapScan]]:
    """Yield the same of a part of a bag, each with the number of its file and with the scan.

    data: as in mcap_messages
    """
    start = part.start if isinstance(part.start, BagPlace) else None
    stop = part.stop if isinstance(part.stop, BagPlace) else None
    for number, file in enumerate(bag.storage_files):
        if (start is not None and number < start.file) or (stop is not None and number > stop.file):
            continue

        def damaged(damage: Exception, file: Path = file) -> None:
            what = 'the file' if file.name == bag.path.name else f'its file {file.name}'
            on_error(SourceError(f'{bag.path}: {what} {damage}'))

        begin = start if start is not None and number == start.file else None
        end = stop if stop is not None and number == stop.file else None
        try:
            with zstd_unpacked(file) if is_compressed_storage_file(file) else nullcontext(file) as opened:
                scan = McapScan(opened, wanted, damaged, data)
                for found in _between(scan, begin, end):
                    if bag.packs_messages:
                        try:
                            yield replace(found, data=unpacked_message(found.topic, found.data)), number, scan
                        except McapDamage as damage:
                            damaged(damage)
                    else:
                        yield found, number, scan
        except OSError as error:
            raise SourceError(f'{bag.path}: {file.name} cannot be read: {reason(error)}') from error


def _between(scan: McapScan, begin: BagPlace | None, end: BagPlace | None) -> Iterator[McapMessage]:
    """Yield the messages of a file from one place up to another."""
    messages = scan.messages(
        None if begin is None else begin.record, None if end is None else end.record.at)
    for message in messages:
        if end is not None and message.record_at == end.record.at and message.in_record >= end.skip:
            return
        if begin is None or message.record_at != begin.record.at or message.in_record >= begin.skip:
            yield message


def from_sqlite(
    bag: BagReader, topics: Collection[BagTopic], on_error: OnDamage, part: BagPart = WHOLE,
) -> Iterator[ImageMessage]:
    """Yield the messages of a bag with SQLite files."""
    start, stop = (time if isinstance(time, int) else None for time in (part.start, part.stop))
    found = 0
    try:
        for message in bag.messages(*topics, start_ns=start, stop_ns=stop, on_missing=lambda missing: None):
            found += 1
            yield message
    except SourceError as error:
        # SQLite does not open a file that is cut off: then nothing is found. An OSError may pass.
        if not found or isinstance(error.__cause__, OSError):
            raise
        on_error(error)


def _from_ros1(bag: BagReader, topics: Collection[BagTopic], on_error: OnDamage) -> Iterator[ImageMessage]:
    try:
        yield from ros1_images(
            bag.path, topics, lambda damage: on_error(SourceError(f'{bag.path}: the file {damage}')))
    except OSError as error:
        raise SourceError(f'{bag.path}: cannot be read: {reason(error)}') from error
