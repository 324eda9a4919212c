# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads images with another encoding than the message names, for drivers that name a wrong one."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..errors import FrameError
from .encodings import ENCODINGS
from .frame import Frame
from .options import DEFAULT, ImageOptions


def frame_with_encoding(message: Any, encoding: str, options: ImageOptions = DEFAULT) -> Frame:
    """Return the Frame of a sensor_msgs/Image as if its encoding were `encoding`, a name in ENCODINGS.

    Raises FrameError if the bytes do not fit this encoding, or if the message is malformed (see Frame.from_buffer).
    """
    _require_fit(encoding, message.encoding, message.width, message.height, message.step, len(message.data))
    return Frame.from_buffer(
        encoding, message.width, message.height, message.step, message.is_bigendian, message.data,
        options)


def relabelled(frame: Frame, encoding: str) -> Frame:
    """Return a decoded frame with the same bytes and another encoding; see frame_with_encoding."""
    _require_fit(encoding, frame.encoding, frame.width, frame.height, frame.step, frame.data.size)
    return dataclasses.replace(frame, encoding=encoding)


def _require_fit(encoding: str, named: str, width: int, height: int, step: int, size: int) -> None:
    """Raise FrameError if the encoding needs more bytes than there are, or much fewer: then it is a wrong one."""
    if min(width, height) <= 0:
        return  # Frame refuses it.
    layout = ENCODINGS[encoding]
    row, rows = layout.row_bytes(width), layout.rows(height)
    too_short = step < row or size < step * rows
    # Rows may have padding, but not as many bytes as pixels. If the named encoding fits without padding, the other one
    # must need the same bytes.
    exact = named in ENCODINGS and step == ENCODINGS[named].row_bytes(width)
    too_long = step >= 2 * row or (exact and step != row) or size - step * rows >= step * max(height // 2, 1)
    if too_short or too_long:
        raise FrameError(
            f'{width}x{height} {named!r} image with a step of {step} bytes and {size} bytes of data: image_encoding '
            f'{encoding} does not fit, because it has {rows} rows of {row} bytes; set image_encoding to the encoding '
            "that the driver sends, or to '' for the one that the message names")
