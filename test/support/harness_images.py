# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Images with rectangles of pure colours, as sensor_msgs, in many encodings.

16-bit pictures have the other byte order, so the reader must use is_bigendian.
"""

from __future__ import annotations

import array

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from support.image_encoders import encoded_rows, padded

GREY = 60
BGR = {'red': (0, 0, 255), 'green': (0, 255, 0), 'blue': (255, 0, 0)}
Box = tuple[int, int, int, int]


def picture(width: int, height: int, boxes: dict[str, Box], background: int = GREY) -> np.ndarray:
    """Return HxWx3 uint8 BGR: a rectangle x_min, y_min, x_max, y_max of each colour on grey."""
    bgr = np.full((height, width, 3), background, np.uint8)
    for color, (x_min, y_min, x_max, y_max) in boxes.items():
        bgr[y_min:y_max, x_min:x_max] = BGR[color]
    return bgr


def header(frame_id: str, stamp_ns: int) -> Header:
    """Return a header with the stamp in nanoseconds."""
    return Header(
        stamp=Time(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9), frame_id=frame_id)


def image(bgr: np.ndarray, head: Header, encoding: str = 'bgr8', padding: int = 0) -> Image:
    """Return the picture in this encoding, each row `padding` bytes longer than its pixels."""
    rows = padded(encoded_rows(bgr, encoding, big_endian=True), padding)
    data = array.array('B')
    data.frombytes(rows.tobytes())
    return Image(
        header=head, height=bgr.shape[0], width=bgr.shape[1], encoding=encoding,
        is_bigendian=int(encoding.endswith('16')), step=rows.shape[1], data=data)


def compressed(bgr: np.ndarray, head: Header, kind: str) -> CompressedImage:
    """Return the picture as jpeg or png."""
    ok, data = cv2.imencode('.jpg' if kind == 'jpeg' else '.png', bgr)
    assert ok
    message = CompressedImage(header=head, format=f'bgr8; {kind} compressed bgr8')
    message.data = array.array('B', data.tobytes())
    return message
