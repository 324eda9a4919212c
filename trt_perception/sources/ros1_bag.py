# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The image messages of a ROS 1 bag, serialized as in ROS 2."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from .bag_messages import ImageMessage, typestore
from .bag_metadata import BagTopic
from .ros1_records import Ros1Damage, ros1_fault, ros1_messages


def ros1_images(
    path: Path, topics: Collection[BagTopic], on_damage: Callable[[Ros1Damage], None],
) -> Iterator[ImageMessage]:
    """Yield the messages of image topics in the order of the file.

    on_damage: called with each place that is damaged, which is left out, and if the recording was not closed. The bytes
        of a message that cannot be converted are empty
    Raises OSError; MissingDependencyError.
    """
    wanted = {(topic.name, topic.type) for topic in topics}
    places = 0

    def damaged(damage: Ros1Damage) -> None:
        nonlocal places
        places += 1
        on_damage(damage)

    for message in ros1_messages(path, lambda *topic: topic in wanted, damaged):
        yield ImageMessage(message.topic, message.type, message.log_ns, _converted(message.data, message.type))
    fault = ros1_fault(path)
    if fault and not places:
        on_damage(Ros1Damage(fault))


def _converted(data: bytes, kind: str) -> bytes:
    try:
        # The header of ROS 1 has a number more, which is left out. The other fields are the same.
        return bytes(typestore().ros1_to_cdr(data, kind))
    except Exception:  # The converter raises errors of many types for damaged bytes.
        return b''
