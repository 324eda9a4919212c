# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The names of files for the images of a topic."""

from __future__ import annotations

import os
from collections.abc import Iterable

# A file name has at most 255 bytes, and ROS has topics of 247: there is room for a number and the ending.
_MOST_BYTES = 200
# In UTF-8, the bytes of a letter behind its first one.
_MIDDLE = bytes(range(0x80, 0xc0))


def topic_file_names(topics: Iterable[str]) -> dict[str, str]:
    """Return a name for each topic of a bag, such as front_image_raw for /front/image_raw; no two are the same.

    /a/b and /a_b would have the same name, and on some file systems /a and /A: the second one gets a number. Of a long
    name, the end stays.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for topic in sorted(topics):
        plain = name = _shortened(topic.strip('/').replace('/', '_'))
        number = 0
        while name.casefold() in taken:
            number += 1
            name = f'{plain}_{number}'
        taken.add(name.casefold())
        found[topic] = name
    return found


def image_name(name: str, index: int) -> str:
    """Return the name of an image in coco/images. name: of its topic; index: number of the message in its topic"""
    return f'{name}_{index:06d}.jpg'


def _shortened(name: str) -> str:
    encoded = os.fsencode(name)
    if len(encoded) <= _MOST_BYTES:
        return name
    return os.fsdecode(encoded[-_MOST_BYTES:].lstrip(_MIDDLE))
