# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The serialised messages (CDR) of a bag, with the name of their type."""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import Any

from ..dependencies import require
from ..errors import SourceError
from ..image.transports import COMPRESSED_IMAGE as COMPRESSED_IMAGE
from ..image.transports import IMAGE as IMAGE


@dataclass(frozen=True)
class ImageMessage:
    """One recorded message.

    type: IMAGE or COMPRESSED_IMAGE
    stamp_ns: time of recording in nanoseconds (not the header's stamp)
    cdr: the serialised message with its encapsulation header, as rclpy's publish() takes it
    publish_ns: time of publishing in nanoseconds, if the bag has it and the reader gives it (BagReader.recorded)
    """

    topic: str
    type: str
    stamp_ns: int
    cdr: bytes
    publish_ns: int | None = None


def deserialize(message: ImageMessage) -> Any:
    """Return the message with the fields of its type; the image data is an ndarray.

    Raises SourceError if the bytes are not such a message.
    """
    try:
        return typestore().deserialize_cdr(message.cdr, message.type)
    except Exception as error:  # The decoder raises errors of many types for damaged bytes.
        raise SourceError(f'not a {message.type}: {error!r}') from error


def with_stamp(cdr: bytes, stamp_ns: int) -> bytes:
    """Return a copy of a serialised message whose header.stamp is `stamp_ns` nanoseconds.

    Players use it to publish recorded messages as if they were live. The message's type must begin with a
    std_msgs/Header, as Image and CompressedImage do: four bytes of CDR encapsulation, then int32 sec, uint32 nanosec.
    """
    order = '<' if cdr[1] & 1 else '>'  # OMG DDS-RTPS: CDR_BE is {0, 0}, CDR_LE is {0, 1}.
    stamp = struct.pack(f'{order}iI', *divmod(stamp_ns, 1_000_000_000))
    return b''.join((cdr[:4], stamp, memoryview(cdr)[12:]))


@functools.lru_cache(maxsize=1)
def typestore() -> Any:
    """Return the rosbags type store of Jazzy.

    Image and CompressedImage are the same in every ROS 2 distribution, so this store reads all bags. The definitions in
    the bag are not needed, so broken definitions of other topics do no harm.
    """
    typesys = require('rosbags.typesys')
    return typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
