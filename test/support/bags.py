# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags written by rosbags itself, not by the code under test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# (type, time of recording in ns, header's stamp in ns, fields of the message)
Message = tuple[str, int, int, dict[str, Any]]
IMAGE = 'sensor_msgs/msg/Image'


def grey_image(
    value: int, recorded: int, header: int, size: tuple[int, int] = (32, 24), **changes: Any,
) -> Message:
    """Return a mono8 image of one value. changes: other values for fields of the message."""
    width, height = size
    fields = {'height': height, 'width': width, 'encoding': 'mono8', 'is_bigendian': 0, 'step': width,
              'data': np.full(width * height, value, np.uint8), **changes}
    return IMAGE, recorded, header, fields


GREY_IMAGE = [grey_image(128, 1, 1)]


def write_bag(
    path: Path, topics: Mapping[str, Sequence[Message] | None], storage: str = 'mcap', compress: str = '',
    distro: str = 'ROS2_HUMBLE', version: int = 8,
) -> None:
    """Write a rosbag2.

    topics: messages by topic, whose fields may have the frame_id of the header too; None creates a topic of
        std_msgs/String without messages
    storage: 'mcap' or 'sqlite3'
    compress: '' for no compression, or 'file' or 'message'
    """
    from rosbags import rosbag2
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores[distro])
    types = store.types
    writer = rosbag2.Writer(path, version=version, storage_plugin=rosbag2.StoragePlugin[storage.upper()])
    if compress:
        writer.set_compression(rosbag2.CompressionMode[compress.upper()], rosbag2.CompressionFormat.ZSTD)
    with writer:
        for topic, messages in topics.items():
            kind = messages[0][0] if messages else 'std_msgs/msg/String'
            connection = writer.add_connection(topic, kind, typestore=store)
            for kind, recorded, header, given in messages or ():
                fields = {'frame_id': 'camera', **given}
                stamp = types['builtin_interfaces/msg/Time'](*divmod(header, 10**9))
                message = types[kind](header=types['std_msgs/msg/Header'](stamp, fields.pop('frame_id')), **fields)
                writer.write(connection, recorded, store.serialize_cdr(message, kind))


def edit_metadata(bag: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit the mapping rosbag2_bagfile_information in a bag's metadata.yaml."""
    import yaml

    file = bag / 'metadata.yaml'
    document = yaml.safe_load(file.read_text())
    edit(document['rosbag2_bagfile_information'])
    file.write_text(yaml.safe_dump(document))
