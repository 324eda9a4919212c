# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the first damaged place of MCAP files that rosbags does not read as a whole, for the words of all commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from ..errors import SourceError
from .bag_storage import is_compressed_storage_file
from .decompression import zstd_decompressed, zstd_unpacked
from .mcap_definitions import McapDamage
from .mcap_records import MOST_BYTES, mcap_messages


def unpacked_message(topic: str, data: bytes) -> bytes:
    """Return the content of a message that is compressed with zstandard. Raises McapDamage."""
    try:
        return zstd_decompressed(data, MOST_BYTES)
    except SourceError as error:
        raise McapDamage(f'has a message of {topic} that cannot be read: {error}') from error


@dataclass(frozen=True)
class Examined:
    """What a scan of files found.

    messages: that can be read before the damage
    damaged: the file with the first damage, None if all can be read; fault: the reason, as the rest of a sentence
    """

    messages: int
    damaged: Path | None = None
    fault: str = ''


def examine(files: Sequence[Path], wanted: Callable[[str, str], bool], packs_messages: bool) -> Examined:
    """Read files without their index up to the first damage.

    wanted: whether the messages of a topic and a type are read; packs_messages: each is compressed with zstandard

    Raises OSError; MissingDependencyError.
    """
    def found(damage: McapDamage) -> None:
        raise damage

    count = 0
    for file in files:
        try:
            with zstd_unpacked(file) if is_compressed_storage_file(file) else nullcontext(file) as opened:
                for message in mcap_messages(opened, wanted, found):
                    count += 1
                    if packs_messages:
                        unpacked_message(message.topic, message.data)
        except McapDamage as damage:
            return Examined(count, file, str(damage))
    return Examined(count)
