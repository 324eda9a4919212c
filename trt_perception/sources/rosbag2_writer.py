# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes serialized messages as a rosbag2 with one MCAP file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..dependencies import require
from .bag_metadata import METADATA
from .mcap_definitions import McapChannel, McapSchema
from .mcap_writer import McapWriter

# The newest that `ros2 bag` of Humble reads. From 9 on, QoS profiles are a list with names instead of a text with
# numbers.
_VERSION, _VERSION_WITH_NAMES = 8, 9
_QOS = 'offered_qos_profiles'


@dataclass(frozen=True)
class WrittenTopic:
    """A topic of a bag.

    channel: as it is in the MCAP file
    qos: profiles as metadata.yaml has them, as JSON: a text up to version 8 of its format, a list from 9 on
    type_hash: such as RIHS01_...; '' if it is unknown
    """

    channel: McapChannel
    qos: str = '""'
    type_hash: str = ''


def new_topic(name: str, kind: str, definition: str, type_hash: str) -> WrittenTopic:
    """Return a topic without QoS profiles. definition: the text of the message definition with those that it uses."""
    return WrittenTopic(
        McapChannel(name, McapSchema(kind, 'ros2msg', definition.encode()), 'cdr', ((_QOS, ''),)), type_hash=type_hash)


class Rosbag2Writer:
    """A new bag. The messages keep both times; write them in the order of time."""

    def __init__(self, folder: Path, library: str, custom: Mapping[str, str]) -> None:
        """Create the folder. library: the program that writes it; custom: custom_data of metadata.yaml.

        Raises OSError.
        """
        folder.mkdir()
        self._folder = folder
        self._file = f'{folder.name}.mcap'
        self._library = library
        self._custom = custom
        self._mcap = McapWriter(folder / self._file, library)
        self._topics: dict[WrittenTopic, int] = {}
        self._counts: dict[WrittenTopic, int] = {}
        self._times: tuple[int, int] | None = None

    def write(
        self, topic: WrittenTopic, log_ns: int, publish_ns: int, data: bytes, sequence: int = 0, packed: bool = False,
    ) -> None:
        """Append a message; its topic is added if it is new.

        packed: into a chunk that is compressed
        Raises OSError.
        """
        # SQLite may have times before 1970, MCAP cannot.
        log_ns, publish_ns = max(log_ns, 0), max(publish_ns, 0)
        self._mcap.write(self.add(topic), sequence, log_ns, publish_ns, data, packed)
        self._counts[topic] += 1
        first, last = self._times or (log_ns, log_ns)
        self._times = min(first, log_ns), max(last, log_ns)

    def add(self, topic: WrittenTopic) -> int:
        """Add a topic, if it is new; return its number."""
        number = self._topics.get(topic)
        if number is None:
            number = self._topics[topic] = self._mcap.channel(topic.channel)
            self._counts[topic] = 0
        return number

    def finish(self) -> None:
        """Write the index and metadata.yaml. Raises OSError."""
        yaml = require('yaml')
        information = self._information()
        self._mcap.finish({'rosbag2': (('serialized_metadata', yaml.safe_dump(information, sort_keys=False).strip()),)})
        (self._folder / METADATA).write_text(
            yaml.safe_dump({'rosbag2_bagfile_information': information}, sort_keys=False), encoding='utf-8')

    def abort(self) -> None:
        """Close the file without an end. Raises nothing."""
        self._mcap.abort()

    def _information(self) -> dict[str, Any]:
        profiles = {topic: json.loads(topic.qos) for topic in self._topics}
        with_names = any(isinstance(profile, list) for profile in profiles.values())
        first, last = self._times or (0, 0)
        count = sum(self._counts.values())
        start, duration = {'nanoseconds_since_epoch': first}, {'nanoseconds': last - first}
        return {
            'version': _VERSION_WITH_NAMES if with_names else _VERSION,
            'storage_identifier': 'mcap',
            'relative_file_paths': [self._file],
            'duration': dict(duration),
            'starting_time': dict(start),
            'message_count': count,
            'topics_with_message_count': [{
                'topic_metadata': {
                    'name': topic.channel.topic, 'type': topic.channel.schema.name,
                    'serialization_format': topic.channel.encoding,
                    # Those without profiles have a text.
                    _QOS: profiles[topic] or ([] if with_names else ''),
                    'type_description_hash': topic.type_hash},
                'message_count': number} for topic, number in self._counts.items()],
            'compression_format': '', 'compression_mode': '',
            'files': [{'path': self._file, 'starting_time': start, 'duration': duration, 'message_count': count}],
            'custom_data': dict(self._custom) or None,
            'ros_distro': self._library,
        }
