# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS 1 bags, written by rosbags."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from support.bags import Message


def write_ros1_bag(
    path: Path, topics: Mapping[str, Sequence[Message]], compress: str = '', chunk_bytes: int = 1 << 20,
) -> None:
    """Write a ROS 1 bag in the order of recording. compress: '', 'lz4' or 'bz2'."""
    from rosbags.rosbag1 import Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types
    writer = Writer(path)
    if compress:
        writer.set_compression(Writer.CompressionFormat[compress.upper()])
    writer.chunk_threshold = chunk_bytes
    with writer:
        all_messages = []
        for topic, messages in topics.items():
            connection = writer.add_connection(topic, messages[0][0], typestore=store)
            all_messages += [(message, connection) for message in messages]
        for (kind, recorded, header, fields), connection in sorted(all_messages, key=lambda entry: entry[0][1]):
            stamp = types['builtin_interfaces/msg/Time'](*divmod(header, 10**9))
            message = types[kind](header=types['std_msgs/msg/Header'](77, stamp, 'camera'), **fields)
            writer.write(connection, recorded, store.serialize_ros1(message, kind))
