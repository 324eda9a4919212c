# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of noise in every encoding."""

import numpy as np

from trt_perception.image.encodings import ENCODINGS
from trt_perception.image.frame import Frame

# Encodings that the CUDA kernels read, and encodings that the host converts first.
READ_BY_KERNELS = (
    'bgr8', 'rgb8', 'bgra8', 'rgba8', 'mono8', '8UC1', '8UC3', '8UC4', 'uyvy', 'yuyv', 'yuv422', 'yuv422_yuy2',
    'nv12', 'nv21')
CONVERTED_FIRST = ('bayer_rggb8', 'bayer_gbrg16', 'mono16', 'rgb16', 'bgra16')


def random_frame(encoding, width, height, padding=0, seed=0):
    layout = ENCODINGS[encoding]
    step = layout.row_bytes(width) + padding
    data = np.random.default_rng(seed).integers(0, 256, step * layout.rows(height), dtype=np.uint8)
    return Frame.from_buffer(encoding, width, height, step, False, data)
