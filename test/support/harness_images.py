# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Images with rectangles of pure colours, as sensor_msgs, in many encodings.

The encoders follow the definitions of the encodings in plain NumPy and share no code with the package.
"""

from __future__ import annotations

import array

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

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
    rows = _encode(bgr, encoding)
    if padding:
        rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    data = array.array('B')
    data.frombytes(rows.tobytes())
    return Image(
        header=head, height=bgr.shape[0], width=bgr.shape[1], encoding=encoding,
        is_bigendian=int(encoding.endswith('16') and _BIG_ENDIAN), step=rows.shape[1], data=data)


def compressed(bgr: np.ndarray, head: Header, kind: str) -> CompressedImage:
    """Return the picture as jpeg or png."""
    ok, data = cv2.imencode('.jpg' if kind == 'jpeg' else '.png', bgr)
    assert ok
    message = CompressedImage(header=head, format=f'bgr8; {kind} compressed bgr8')
    message.data = array.array('B', data.tobytes())
    return message


# 16-bit pictures have the other byte order, so the reader must use is_bigendian.
_BIG_ENDIAN = True


def _encode(bgr: np.ndarray, encoding: str) -> np.ndarray:
    """Return the rows of the message's data, (rows, bytes) uint8."""
    height, width = bgr.shape[:2]
    opaque = np.full((height, width, 1), 255, np.uint8)
    if encoding in ('bgr8', '8UC3'):
        pixels = bgr
    elif encoding == 'rgb8':
        pixels = bgr[..., ::-1]
    elif encoding == 'bgra8':
        pixels = np.concatenate([bgr, opaque], axis=2)
    elif encoding == 'rgba8':
        pixels = np.concatenate([bgr[..., ::-1], opaque], axis=2)
    elif encoding == 'bgr16':
        return (bgr.astype('>u2') * 257).astype('>u2').reshape(height, -1).view(np.uint8)
    elif encoding in ('mono8', '8UC1'):
        pixels = bgr.max(axis=2)
    elif encoding.startswith('bayer_'):
        pixels = np.empty((height, width), np.uint8)
        for color, (row, column) in zip(encoding[6:10], ((0, 0), (0, 1), (1, 0), (1, 1))):
            pixels[row::2, column::2] = bgr[row::2, column::2, 'bgr'.index(color)]
    elif encoding in ('yuv422', 'yuv422_yuy2'):
        y, u, v = _yuv(bgr)
        # Two pixels share the chroma of the first.
        pixels = np.empty((height, width, 2), np.uint8)
        luma, chroma = (1, 0) if encoding == 'yuv422' else (0, 1)
        pixels[..., luma] = y
        pixels[:, 0::2, chroma] = u[:, 0::2]
        pixels[:, 1::2, chroma] = v[:, 0::2]
    elif encoding == 'nv12':
        y, u, v = _yuv(bgr)
        pixels = np.empty((height * 3 // 2, width), np.uint8)
        pixels[:height] = y
        pixels[height:, 0::2] = u[0::2, 0::2]
        pixels[height:, 1::2] = v[0::2, 0::2]
        return pixels
    else:
        raise ValueError(encoding)
    return np.ascontiguousarray(pixels).reshape(height, -1)


def _yuv(bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """BT.601, limited range."""
    b, g, r = (bgr[..., channel] / 255.0 for channel in range(3))
    planes = (
        16 + 65.481 * r + 128.553 * g + 24.966 * b,
        128 - 37.797 * r - 74.203 * g + 112.0 * b,
        128 + 112.0 * r - 93.786 * g - 18.214 * b)
    y, u, v = (np.rint(plane).astype(np.uint8) for plane in planes)
    return y, u, v
