# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""All that can be read of several image topics of a bag, also of a damaged one, with the times of publishing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from ..errors import SourceError, listed
from ..unfinished import temporary_folder
from .bag_messages import ImageMessage
from .bag_metadata import BagTopic
from .bag_reader import BagReader
from .bag_storage import MCAP, ROS1, is_compressed_storage_file
from .decompression import zstd_decompressed, zstd_reader
from .mcap_definitions import McapDamage
from .mcap_records import McapMessage, mcap_messages
from .ros1_bag import ros1_images

OnDamage = Callable[[SourceError], None]
# As in mcap_records: no message is larger.
_MOST_BYTES = 2_000_000_000


def recorded(bag: BagReader, topics: Collection[BagTopic], on_error: OnDamage) -> Iterator[ImageMessage]:
    """Yield the messages of several topics of a bag that was opened with `cut_off`.

    on_error: called with each place that is damaged, which is left out

    The order is that of the file for MCAP and ROS 1, and that of the times of recording for SQLite. `publish_ns` is
    None for SQLite and ROS 1, which do not have it. Memory: one chunk.

    Raises SourceError if none can be read although there should be some, and for a reason that may pass, such as a full
    disk where a compressed file is unpacked.
    """
    found = 0
    reader = {MCAP: _from_mcap, ROS1: _from_ros1}.get(bag.storage, _from_sqlite)
    for message in reader(bag, topics, on_error):
        found += 1
        yield message
    expected = sum(topic.count for topic in topics)
    if expected and not found:
        raise SourceError(
            f'{bag.path}: expected {expected} messages of {listed([topic.name for topic in topics])}, but none can be '
            'read')


def mcap_messages_of(
    bag: BagReader, wanted: Callable[[str, str], bool], on_error: OnDamage,
) -> Iterator[McapMessage]:
    """Yield the messages of some topics of a bag of MCAP files, decompressed. Arguments and errors as `recorded`.

    wanted: whether the messages of a topic and a type are wanted
    """
    for file in bag.storage_files:
        def damaged(damage: Exception, file: Path = file) -> None:
            what = 'the file' if file.name == bag.path.name else f'its file {file.name}'
            on_error(SourceError(f'{bag.path}: {what} {damage}'))

        try:
            with _unpacked(file) if is_compressed_storage_file(file) else nullcontext(file) as opened:
                for found in mcap_messages(opened, wanted, damaged):
                    if bag.packs_messages:
                        try:
                            yield replace(found, data=zstd_decompressed(found.data, _MOST_BYTES))
                        except SourceError as error:
                            damaged(McapDamage(f'has a message of {found.topic} that cannot be read: {error}'))
                    else:
                        yield found
        except OSError as error:
            raise SourceError(f'{bag.path}: {file.name} cannot be read: {error.strerror or error}') from error


def _from_mcap(bag: BagReader, topics: Collection[BagTopic], on_error: OnDamage) -> Iterator[ImageMessage]:
    wanted = {(topic.name, topic.type) for topic in topics}
    for found in mcap_messages_of(bag, lambda *topic: topic in wanted, on_error):
        yield ImageMessage(found.topic, found.type, found.log_ns, found.data, found.publish_ns)


def _from_sqlite(bag: BagReader, topics: Collection[BagTopic], on_error: OnDamage) -> Iterator[ImageMessage]:
    found = 0
    try:
        for message in bag.messages(*topics):
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
        raise SourceError(f'{bag.path}: cannot be read: {error.strerror or error}') from error


@contextmanager
def _unpacked(file: Path) -> Iterator[Path]:
    """Yield an uncompressed copy of a storage file in the folder for temporary files (TMPDIR).

    It has all that is before the place where the file is cut off or damaged. Raises OSError for a full disk.
    """
    with temporary_folder() as folder:
        copy = folder / file.stem
        with copy.open('wb') as target, file.open('rb') as packed, zstd_reader(packed) as content:
            while True:
                try:
                    block = content.read(1 << 20)
                except Exception:  # Each library has errors of its own. The reader of the copy says where it ends.
                    break
                if not block:
                    break
                target.write(block)
        yield copy
