# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The image encodings of sensor_msgs/image_encodings.hpp that Frame reads without cv_bridge."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Encoding:
    """The byte layout of one encoding.

    layout: 'packed' (all channels of a pixel together), 'bayer' (one sample per pixel),
        'yuv422' (packed 4:2:2, two pixels share four bytes) or 'nv' (4:2:0, a luma plane followed
        by a plane of interleaved chroma pairs)
    order: channel order of the pixels that `Frame.view` returns: bgr, rgb, bgra, rgba or mono
    channels: samples per pixel ('packed'), 1 for the other layouts
    sample_bytes: 1, or 2 for the 16-bit encodings
    conversion: name of the cv2 constant that converts to BGR; '' if not needed
    """

    layout: str
    order: str
    channels: int = 1
    sample_bytes: int = 1
    conversion: str = ''

    def row_bytes(self, width: int) -> int:
        """Return the minimum number of bytes of a row of `width` pixels."""
        if self.layout == 'yuv422':
            return 2 * width
        if self.layout == 'nv':
            # The chroma row of an odd width still holds a full pair for its last column.
            return width + width % 2
        return width * self.channels * self.sample_bytes

    def rows(self, height: int) -> int:
        """Return the number of rows of `step` bytes in an image of `height` pixels."""
        return height + (height + 1) // 2 if self.layout == 'nv' else height


def _table() -> dict[str, Encoding]:
    table = {
        '8UC1': Encoding('packed', 'mono'),
        '16UC1': Encoding('packed', 'mono', 1, 2),
        # Generic types define no colours; OpenCV and cv_bridge users expect BGR.
        '8UC3': Encoding('packed', 'bgr', 3),
        '8UC4': Encoding('packed', 'bgra', 4),
        'uyvy': Encoding('yuv422', 'bgr', conversion='COLOR_YUV2BGR_UYVY'),
        'yuyv': Encoding('yuv422', 'bgr', conversion='COLOR_YUV2BGR_YUY2'),
        'nv12': Encoding('nv', 'bgr', conversion='COLOR_YUV2BGR_NV12'),
        'nv21': Encoding('nv', 'bgr', conversion='COLOR_YUV2BGR_NV21'),
    }
    table['yuv422'] = table['uyvy']
    table['yuv422_yuy2'] = table['yuyv']
    for bits, sample_bytes in ((8, 1), (16, 2)):
        table[f'mono{bits}'] = Encoding('packed', 'mono', 1, sample_bytes)
        for order in ('bgr', 'rgb', 'bgra', 'rgba'):
            table[f'{order}{bits}'] = Encoding('packed', order, len(order), sample_bytes)
        # ROS names the pattern by the pixels (0,0) (0,1) (1,0) (1,1). OpenCV names it by (1,1)
        # and (1,2), so RGGB is BG in OpenCV. The same table as in cv_bridge.cpp.
        for ros, opencv in (('rggb', 'BG'), ('bggr', 'RG'), ('gbrg', 'GR'), ('grbg', 'GB')):
            table[f'bayer_{ros}{bits}'] = Encoding(
                'bayer', 'bgr', 1, sample_bytes, f'COLOR_Bayer{opencv}2BGR')
    return table


ENCODINGS: dict[str, Encoding] = _table()


def supported() -> str:
    """Return the names of all supported encodings, for error messages."""
    return ', '.join(sorted(ENCODINGS, key=str.lower))
