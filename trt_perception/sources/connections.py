# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The connections (topics) that rosbags has to be asked for to get all messages of a bag."""

from __future__ import annotations

from typing import Any


def connections_of(reader: Any) -> list[Any]:
    """Return the connections of a reader of rosbags, with those of its files that metadata.yaml describes otherwise.

    rosbags leaves messages out if the QoS profiles in the file and in metadata.yaml differ. They do not matter here.
    """
    found = list(reader.connections)
    # A reader of one file has none.
    for storage in getattr(getattr(reader, 'storage', None), 'storages', ()):
        for stored in storage.connections:
            if not any(_takes(known, stored) for known in found):
                found.append(stored)
    return found


def _takes(known: Any, stored: Any) -> bool:
    """Return whether rosbags takes messages of a connection of a file for one of the bag."""
    return (known.topic, known.msgtype, known.ext) == (stored.topic, stored.msgtype, stored.ext) and (
        not known.digest or not stored.digest or known.digest == stored.digest)
