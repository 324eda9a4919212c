# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A bag of one topic in each form in which ros2 bag stores it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from support.bags import Message, edit_metadata, write_bag
from support.mcap_file import image_bytes, write_mcap


def _chunks(compression: str | None) -> Callable[[Path, str, Sequence[Message]], Path]:
    """Return a writer of an MCAP file without metadata.yaml whose chunks are compressed."""
    def write(path: Path, topic: str, messages: Sequence[Message]) -> Path:
        file = path.with_suffix('.mcap')
        write_mcap(file, [
            (topic, kind, recorded, recorded - 1_000_000, image_bytes(fields, header, kind))
            for kind, recorded, header, fields in messages], compression)
        return file

    return write


def _folder(**options: str) -> Callable[[Path, str, Sequence[Message]], Path]:
    def write(path: Path, topic: str, messages: Sequence[Message]) -> Path:
        write_bag(path, {topic: messages, '/tf_static': None}, **options)
        return path

    return write


def _split(path: Path, topic: str, messages: Sequence[Message]) -> Path:
    """Write two storage files, as ros2 bag record --max-bag-duration does."""
    middle = (len(messages) + 1) // 2
    write_bag(path, {topic: messages[:middle]})
    rest = path.with_name(f'{path.name}_1')
    write_bag(rest, {topic: messages[middle:]})
    shutil.move(rest / f'{rest.name}.mcap', path)
    shutil.rmtree(rest)
    edit_metadata(path, lambda info: info['relative_file_paths'].append(f'{rest.name}.mcap'))
    return path


STORAGES: dict[str, Callable[[Path, str, Sequence[Message]], Path]] = {
    'mcap': _folder(), 'mcap-message': _folder(compress='message'), 'mcap-file': _folder(compress='file'),
    'sqlite3': _folder(storage='sqlite3'), 'sqlite3-message': _folder(storage='sqlite3', compress='message'),
    'sqlite3-file': _folder(storage='sqlite3', compress='file'), 'mcap-zstd': _chunks('zstd'),
    'mcap-lz4': _chunks('lz4'), 'mcap-split': _split}


def write_stored(path: Path, topic: str, messages: Sequence[Message], storage: str) -> Path:
    """Write a bag of at least two messages in a form of STORAGES; return its folder or file."""
    return STORAGES[storage](path, topic, messages)
