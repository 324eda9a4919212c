# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""All messages of a bag with what a copy needs: the bytes, the definition of the type, QoS profiles and times."""

from __future__ import annotations

import functools
import json
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

from ..dependencies import require
from ..errors import SourceError
from ..user_files import load_yaml, read_whole
from .bag_metadata import METADATA
from .bag_reader import BagReader
from .bag_recording import OnDamage, mcap_messages_of
from .bag_storage import MCAP
from .connections import connections_of
from .mcap_definitions import McapChannel, McapSchema
from .rosbag2_writer import WrittenTopic

_QOS = 'offered_qos_profiles'
# As in bag_metadata.py, which has read the file before.
_MOST_BYTES = 32_000_000


@dataclass(frozen=True)
class CopiedMessage:
    """A message as it was recorded.

    publish_ns: the time of recording if the bag has no time of publishing
    packed: whether the recording is compressed
    """

    topic: WrittenTopic
    sequence: int
    log_ns: int
    publish_ns: int
    data: bytes
    packed: bool


def copied(bag: BagReader, on_error: OnDamage) -> Generator[CopiedMessage, None, None]:
    """Yield the messages of all topics of a rosbag2 that was opened with `cut_off`, in the order of `recorded`.

    Those of image topics are the same ones, in the same order. A damaged bag is read as far as `recorded` reads it.
    Raises SourceError for a reason that may pass, such as a full disk.
    """
    described = _described(bag)
    yield from (_of_mcap if bag.storage == MCAP else _of_sqlite)(bag, described, on_error)


# QoS profiles as JSON, and the hash of the type, by topic and type: what metadata.yaml says.
_Described = dict[tuple[str, str], tuple[str, str]]


def _of_mcap(bag: BagReader, described: _Described, on_error: OnDamage) -> Iterator[CopiedMessage]:
    topics: dict[McapChannel, WrittenTopic] = {}
    for found in mcap_messages_of(bag, lambda topic, kind: True, on_error):
        topic = topics.get(found.channel)
        if topic is None:
            pairs = dict(found.channel.metadata)
            qos, type_hash = described.get(
                (found.topic, found.type), (_qos(pairs.get(_QOS, '')), pairs.get('topic_type_hash', '')))
            topic = topics[found.channel] = WrittenTopic(found.channel, qos, type_hash)
        yield CopiedMessage(
            topic, found.sequence, found.log_ns, found.publish_ns, found.data, found.packed or bag.is_compressed)


def _of_sqlite(bag: BagReader, described: _Described, on_error: OnDamage) -> Iterator[CopiedMessage]:
    topics: dict[int, WrittenTopic] = {}
    try:
        with bag.opened() as reader:
            for connection, log_ns, data in reader.messages(connections_of(reader)):
                topic = topics.get(id(connection))
                if topic is None:
                    topic = topics[id(connection)] = _topic(connection, described)
                yield CopiedMessage(topic, 0, log_ns, log_ns, bytes(data), bag.is_compressed)
    except SourceError as error:
        if isinstance(error.__cause__, OSError):
            raise
        on_error(error)


def _topic(connection: Any, described: _Described) -> WrittenTopic:
    """Return the topic of a connection of rosbags."""
    definition, encoding = connection.msgdef.data, ''
    if definition:
        encoding = 'ros2idl' if connection.msgdef.format.name == 'IDL' else 'ros2msg'
    elif connection.msgtype in _humble().fielddefs:
        definition, encoding = _humble().generate_msgdef(connection.msgtype, ros_version=2)[0], 'ros2msg'
    qos, type_hash = described.get((connection.topic, connection.msgtype), ('', connection.digest))
    if not qos:
        qos = json.dumps(require('rosbags.rosbag2.metadata').dump_qos_v8(connection.ext.offered_qos_profiles))
    profiles = json.loads(qos)
    text = profiles if isinstance(profiles, str) else require('yaml').safe_dump(profiles, sort_keys=False).strip()
    return WrittenTopic(
        McapChannel(
            connection.topic, McapSchema(connection.msgtype, encoding, definition.encode()),
            connection.ext.serialization_format, ((_QOS, text),)), qos, type_hash)


@functools.lru_cache(maxsize=1)
def _humble() -> Any:
    """Return the types of Humble's common packages: ROS 2 up to Humble writes no definitions into SQLite."""
    typesys = require('rosbags.typesys')
    return typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)


def _described(bag: BagReader) -> _Described:
    if bag.folder is None:
        return {}
    try:
        text = read_whole(bag.folder / METADATA, _MOST_BYTES).decode('utf-8-sig')
        topics = load_yaml(text)['rosbag2_bagfile_information']['topics_with_message_count']
        return {
            (topic['name'], topic['type']): (
                json.dumps(topic.get(_QOS) or ''), str(topic.get('type_description_hash') or ''))
            for entry in topics for topic in [entry['topic_metadata']]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f'{bag.path}: {METADATA} changed while the bag was read: {error}') from error


def _qos(text: str) -> str:
    """Return the profiles of a channel of MCAP as metadata.yaml has them: a list if they have names, not numbers."""
    try:
        profiles = load_yaml(text)
    except ValueError:
        return json.dumps(text)
    with_names = isinstance(profiles, list) and any(
        isinstance(profile, dict) and isinstance(profile.get('history'), str) for profile in profiles)
    return json.dumps(profiles if with_names else text)
