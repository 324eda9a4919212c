# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the metadata.yaml of a rosbag2 folder without a bag library."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SourceError, one_line, reason
from ..user_files import load_yaml, read_whole

METADATA = 'metadata.yaml'
# The first word of the file in every version of rosbag2.
_ROOT = 'rosbag2_bagfile_information'
# Each file of a split recording takes about 300 bytes, so this is enough for 100 000 files.
_MOST_BYTES = 32_000_000
# A file of rosbag2 has this word within the first bytes.
_HEAD_BYTES = 4096
_KINDS = {int: 'a whole number', str: 'a text', list: 'a list', dict: 'a mapping'}


@dataclass(frozen=True)
class BagTopic:
    """A topic of a bag: name, type such as sensor_msgs/msg/Image, number of messages."""

    name: str
    type: str
    count: int


@dataclass(frozen=True)
class BagMetadata:
    """The content of metadata.yaml.

    topics: all topics, each once
    files: names of the storage files in the folder, in the order of recording
    compression: '', or what is compressed: 'file' or 'message'
    """

    topics: tuple[BagTopic, ...]
    files: tuple[str, ...]
    compression: str = ''


def head_of_metadata(folder: Path) -> str:
    """Classify a folder's metadata.yaml by its first bytes.

    Returns 'rosbag2', 'missing', 'damaged' (empty, binary, or cut off in its first word), or 'other': a text file of
    another program, such as the description of a data set.

    Raises OSError if it cannot be read.
    """
    file = folder / METADATA
    if not file.is_file():
        return 'missing'
    with file.open('rb') as opened:
        head = opened.read(_HEAD_BYTES)
    if _ROOT.encode() in head:
        return 'rosbag2'
    if b'\0' in head or _ROOT.encode().startswith(head.strip()):
        return 'damaged'
    try:
        (head if len(head) < _HEAD_BYTES else head[:-3]).decode()  # A character may be cut at the end.
    except UnicodeDecodeError:
        return 'damaged'
    return 'other'


def read_metadata(folder: Path) -> BagMetadata:
    """Read the metadata.yaml of a folder.

    All keys that rosbag2 and rosbags need are checked, so that both of them accept the bag.

    Raises SourceError if the file cannot be read, is not YAML, or has a value that is missing or of a wrong type.
    """
    file = folder / METADATA
    try:
        document = load_yaml(read_whole(file, _MOST_BYTES).decode('utf-8-sig'))
        if document is None:
            raise _Damaged('it is empty')
        information = _value(_typed(document, dict, 'it'), _ROOT, dict)
        for name, kind in (('version', int), ('storage_identifier', str), ('message_count', int)):
            _value(information, name, kind)
        _value(_value(information, 'duration', dict), 'nanoseconds', int, 'duration.')
        _value(_value(information, 'starting_time', dict), 'nanoseconds_since_epoch', int, 'starting_time.')
        files = _value(information, 'relative_file_paths', list)
        # Before version 4 of the format these paths began with the name of the folder.
        names = tuple(
            Path(_typed(item, str, f'relative_file_paths[{index}]')).name for index, item in enumerate(files))
        if not names:
            raise _Damaged('relative_file_paths is an empty list')
        # Before version 3 of the format there was none.
        mode = str(information.get('compression_mode') or '').lower()
        return BagMetadata(
            _topics(_value(information, 'topics_with_message_count', list)), names, '' if mode == 'none' else mode)
    except OSError as error:
        raise SourceError(f'{folder}: {METADATA} cannot be read: {reason(error)}') from error
    except _Damaged as error:
        why = str(error)
    except ValueError as error:
        why = one_line(error, 120)
        if not why.startswith('it is'):
            why = f'it is not YAML: {why}'
    raise SourceError(
        f'{folder}: {METADATA} is damaged: {why}; `ros2 bag reindex {folder}` writes it again, or give the .mcap or '
        '.db3 file itself')


class _Damaged(Exception):
    """The content is wrong; the message says how."""


def _topics(entries: list[Any]) -> tuple[BagTopic, ...]:
    counts: dict[tuple[str, str], int] = {}
    for index, entry in enumerate(entries):
        where = f'topics_with_message_count[{index}]'
        entry = _typed(entry, dict, where)
        topic = _value(entry, 'topic_metadata', dict, f'{where}.')
        name, kind, _ = (
            _value(topic, key, str, f'{where}.topic_metadata.') for key in ('name', 'type', 'serialization_format'))
        count = _value(entry, 'message_count', int, f'{where}.')
        if count < 0:
            raise _Damaged(f'{where}.message_count is negative')
        counts[name, kind] = counts.get((name, kind), 0) + count
    return tuple(BagTopic(name, kind, count) for (name, kind), count in counts.items())


def _value(mapping: dict[Any, Any], key: str, kind: type, where: str = '') -> Any:
    if key not in mapping:
        raise _Damaged(f'{where}{key} is missing')
    return _typed(mapping[key], kind, f'{where}{key}')


def _typed(value: Any, kind: type, where: str) -> Any:
    # The value itself is not shown: with YAML references, a small file can contain a huge value.
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _Damaged(f'{where} is {_KINDS.get(type(value), "of type " + type(value).__name__)}, '
                       f'expected {_KINDS[kind]}')
    return value
