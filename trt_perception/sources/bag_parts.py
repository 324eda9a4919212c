# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Splits a bag into parts, which several processes can read at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..errors import SourceError
from .bag_metadata import BagTopic
from .bag_reader import BagReader
from .bag_recording import WHOLE, BagPart, BagPlace, from_mcap, from_sqlite
from .bag_storage import MCAP, SQLITE, is_compressed_storage_file

# The place, and how many messages of each topic are before it.
_Border = tuple[BagPlace | int, dict[str, int]]


def parts_of(bag: BagReader, topics: Sequence[BagTopic], size: int, multiple: int = 1) -> list[BagPart]:
    """Return parts of a bag: together, they have the messages and the damaged places of the whole, in the same order.

    size: messages of a part; it may have more, because not every message can be the first of a part
    multiple: the first message of each part is one of this many (for batches)

    Reads the bag once. A part of MCAP begins anywhere in a file, or with a file if the files are compressed. SQLite is
    split only if all times of recording are different and rise: else the order could change. Raises as `recorded`.
    """
    if sum(topic.count for topic in topics) <= size:
        return [WHOLE]
    if bag.storage == MCAP:
        borders = list(_in_mcap(bag, topics, size, multiple))
    elif bag.storage == SQLITE:
        borders = _in_sqlite(bag, topics, size, multiple)
    else:
        borders = []
    starts: list[tuple[BagPlace | int | None, dict[str, int]]] = [(None, {}), *borders]
    stops = [place for place, _ in borders]
    return [BagPart(start, stop, first) for (start, first), stop in zip(starts, [*stops, None])]


def _in_mcap(bag: BagReader, topics: Sequence[BagTopic], size: int, multiple: int) -> Iterator[_Border]:
    counts: Counter[str] = Counter()
    last = 0
    last_file = -1
    # Messages that are compressed one by one must be unpacked to know whether they count.
    wanted = {(topic.name, topic.type) for topic in topics}
    for total, (message, file, scan) in enumerate(
            from_mcap(bag, lambda *topic: topic in wanted, lambda error: None, data=bag.packs_messages)):
        can_begin = file != last_file or not is_compressed_storage_file(bag.storage_files[file])
        last_file = file
        if total - last >= size and total % multiple == 0 and can_begin:
            last = total
            yield BagPlace(file, scan.place(), message.in_record), dict(counts)
        counts[message.topic] += 1


def _in_sqlite(bag: BagReader, topics: Sequence[BagTopic], size: int, multiple: int) -> list[_Border]:
    borders: list[_Border] = []
    counts: Counter[str] = Counter()
    problems: list[SourceError] = []
    last = 0
    before_ns = -1
    for total, message in enumerate(from_sqlite(bag, topics, problems.append)):
        if message.stamp_ns <= before_ns:
            return []
        before_ns = message.stamp_ns
        if total - last >= size and total % multiple == 0:
            last = total
            borders.append((message.stamp_ns, dict(counts)))
        counts[message.topic] += 1
    # Behind a damaged place, a part could find messages that the whole does not.
    return [] if problems else borders
