# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A picture as the data of sensor_msgs/Image, in many encodings.

The encoders follow the definitions of the encodings in plain NumPy and share no code with the package.
"""

from __future__ import annotations

import numpy as np

# ROS's own definition: the mosaic by the colours of the pixels (0,0), (0,1), (1,0), (1,1).
_MOSAIC = ((0, 0), (0, 1), (1, 0), (1, 1))


def encoded_rows(bgr: np.ndarray, encoding: str, big_endian: bool = False) -> np.ndarray:
    """Return the rows of the message's data, (rows, bytes) uint8.

    bgr: HxWx3 uint8; nv12 and nv21 need an even width and height. mono has the brightest channel.
    big_endian: byte order of 16-bit samples; 255 becomes 65535
    Raises ValueError for an encoding that is not known here.
    """
    height, width = bgr.shape[:2]
    if encoding.endswith('16') or encoding == '16UC1':
        name = 'mono8' if encoding == '16UC1' else f'{encoding[:-2]}8'
        samples = encoded_rows(bgr, name).astype('>u2' if big_endian else '<u2') * 257
        return samples.astype('>u2' if big_endian else '<u2').view(np.uint8)
    opaque = np.full((height, width, 1), 255, np.uint8)
    if encoding in ('bgr8', '8UC3'):
        pixels = bgr
    elif encoding == 'rgb8':
        pixels = bgr[..., ::-1]
    elif encoding == 'bgra8':
        pixels = np.concatenate([bgr, opaque], axis=2)
    elif encoding == 'rgba8':
        pixels = np.concatenate([bgr[..., ::-1], opaque], axis=2)
    elif encoding in ('mono8', '8UC1'):
        pixels = bgr.max(axis=2)
    elif encoding.startswith('bayer_'):
        pixels = np.empty((height, width), np.uint8)
        for color, (row, column) in zip(encoding[6:10], _MOSAIC):
            pixels[row::2, column::2] = bgr[row::2, column::2, 'bgr'.index(color)]
    elif encoding in ('yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv'):
        y, u, v = yuv(bgr)
        # Two pixels share the chroma of the first.
        pixels = np.empty((height, width, 2), np.uint8)
        luma, chroma = (1, 0) if encoding in ('yuv422', 'uyvy') else (0, 1)
        pixels[..., luma] = y
        pixels[:, 0::2, chroma] = u[:, 0::2]
        pixels[:, 1::2, chroma] = v[:, 0::2]
    elif encoding in ('nv12', 'nv21'):
        y, u, v = yuv(bgr)
        pixels = np.empty((height * 3 // 2, width), np.uint8)
        pixels[:height] = y
        first, second = (u, v) if encoding == 'nv12' else (v, u)
        pixels[height:, 0::2] = first[0::2, 0::2]
        pixels[height:, 1::2] = second[0::2, 0::2]
    else:
        raise ValueError(encoding)
    return np.ascontiguousarray(pixels).reshape(len(pixels), -1)


def padded(rows: np.ndarray, padding: int) -> np.ndarray:
    """Return rows with some more bytes at their ends, which are no pixels."""
    return np.pad(rows, ((0, 0), (0, padding)), constant_values=255) if padding else rows


def yuv(bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Y, U and V, HxW uint8: BT.601, limited range."""
    b, g, r = (bgr[..., channel] / 255.0 for channel in range(3))
    planes = (
        16 + 65.481 * r + 128.553 * g + 24.966 * b,
        128 - 37.797 * r - 74.203 * g + 112.0 * b,
        128 + 112.0 * r - 93.786 * g - 18.214 * b)
    y, u, v = (np.rint(plane).astype(np.uint8) for plane in planes)
    return y, u, v
