# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Arguments of the preprocessing kernels: a frame's memory layout, and where the network's pixels sample it.

Mirrors kernels/sampling.h and kernels/source.h.
"""

from __future__ import annotations

import ctypes
import functools
from typing import NamedTuple

import numpy as np

from ....image.encodings import ENCODINGS
from ....image.frame import Frame
from ....model.geometry import Geometry
from ....model.spec import ModelSpec
from ....pipeline.preprocess import PADDING, normalisation

# kernels/numeric.h: ElementType
ELEMENT_TYPES = {np.dtype(np.float32): 0, np.dtype(np.float16): 1, np.dtype(np.uint8): 2}
# One column or row of the target: two source indices and their weights in units of 1/2048.
TAPS = np.dtype([
    ('first', np.int32), ('second', np.int32), ('first_weight', np.int32), ('second_weight', np.int32)])
_WEIGHT_UNITS = 2048
# kernels/sampling.h: PIXELS_OF_THREAD
_PIXELS_OF_THREAD = 2
_PACKED_KERNELS = {1: 'preprocess_packed1', 3: 'preprocess_packed3', 4: 'preprocess_packed4'}
_YUV_KERNELS = {
    'COLOR_YUV2BGR_UYVY': 'preprocess_uyvy', 'COLOR_YUV2BGR_YUY2': 'preprocess_yuyv',
    'COLOR_YUV2BGR_NV12': 'preprocess_nv12', 'COLOR_YUV2BGR_NV21': 'preprocess_nv21'}
# Their chroma lies in separate rows.
_PLANAR_KERNELS = ('preprocess_nv12', 'preprocess_nv21')
# Copying single rows costs a little more for each byte than copying the whole frame with one thread.
_WORTHWHILE = 0.9
_ENCODING_OF_ORDER = {'mono': 'mono8', 'bgr': 'bgr8', 'rgb': 'rgb8', 'bgra': 'bgra8', 'rgba': 'rgba8'}


class Sampling(ctypes.Structure):
    """kernels/sampling.h: Sampling."""

    _fields_ = [
        ('source', ctypes.c_uint64), ('columns', ctypes.c_uint64), ('rows', ctypes.c_uint64),
        ('tensor', ctypes.c_uint64), ('candidates', ctypes.c_uint64),
        ('source_width', ctypes.c_int), ('source_height', ctypes.c_int), ('source_step', ctypes.c_int),
        ('network_width', ctypes.c_int), ('network_height', ctypes.c_int),
        ('target_x', ctypes.c_int), ('target_y', ctypes.c_int),
        ('target_width', ctypes.c_int), ('target_height', ctypes.c_int),
        ('channels', ctypes.c_int), ('element_type', ctypes.c_int), ('nhwc', ctypes.c_int),
        ('reversed', ctypes.c_int), ('red', ctypes.c_int), ('source_is_grey', ctypes.c_int),
        ('padding', ctypes.c_int), ('gain', ctypes.c_float * 3), ('bias', ctypes.c_float * 3)]


class FrameFormat(NamedTuple):
    """Everything about a frame except its pixels; a captured graph works for one format.

    kernel: name of the kernel that reads this encoding
    order: channel order of the sampled pixels: mono, bgr, rgb, bgra, rgba
    step: bytes from one row to the next; size: bytes of the whole frame
    """

    kernel: str
    order: str
    width: int
    height: int
    step: int
    size: int


def device_frame(frame: Frame) -> tuple[FrameFormat, Frame]:
    """Return the format and the frame to upload, which is `frame` itself if a kernel reads its encoding.

    Bayer and 16-bit frames are converted to 8-bit packed pixels here, on the host.
    """
    form = _format(frame.encoding, frame.width, frame.height, frame.step)
    if form is not None:
        return form, frame
    pixels, order = frame.view()
    pixels = np.ascontiguousarray(pixels)
    return device_frame(Frame(
        _ENCODING_OF_ORDER[order], frame.width, frame.height, pixels.nbytes // frame.height, False,
        pixels.reshape(-1)))


# All frames of a camera have one format.
@functools.lru_cache(maxsize=16)
def _format(encoding: str, width: int, height: int, step: int) -> FrameFormat | None:
    """Return the format of such a frame, None if no kernel reads the encoding."""
    layout = ENCODINGS[encoding]
    if layout.layout in ('yuv422', 'nv'):
        kernel = _YUV_KERNELS[layout.conversion]
    elif layout.layout == 'packed' and layout.sample_bytes == 1:
        kernel = _PACKED_KERNELS[layout.channels]
    else:
        return None
    return FrameFormat(kernel, layout.order, width, height, step, step * layout.rows(height))


def taps(source_size: int, target_size: int, offset: int = 0) -> np.ndarray:
    """Return the taps of `target_size` columns (or rows) on `source_size`, as in OpenCV's INTER_LINEAR.

    offset: index of the source's first column in the frame
    Returns (target_size,) of TAPS. From modules/imgproc/src/resize.cpp: float32 positions, and weights rounded
    to 11 bits.
    """
    scale = 1.0 / (target_size / source_size)
    position = ((np.arange(target_size) + 0.5) * scale - 0.5).astype(np.float32)
    first = np.floor(position)
    fraction = position - first
    index = first.astype(np.int64)
    result = np.empty(target_size, TAPS)
    result['first'] = np.clip(index, 0, source_size - 1) + offset
    result['second'] = np.clip(index + 1, 0, source_size - 1) + offset
    result['first_weight'] = np.rint((np.float32(1.0) - fraction) * np.float32(_WEIGHT_UNITS))
    result['second_weight'] = np.rint(fraction * np.float32(_WEIGHT_UNITS))
    return result


def column_taps(geometry: Geometry) -> np.ndarray:
    """Return the taps of the target's columns.

    At the edges OpenCV gives a single column the full weight.
    """
    result = taps(geometry.crop_width, geometry.target_width, geometry.crop_x)
    single = result['first'] == result['second']
    result['first_weight'][single] = _WEIGHT_UNITS
    result['second_weight'][single] = 0
    return result


def row_taps(geometry: Geometry) -> np.ndarray:
    """Return the taps of the target's rows.

    At the edges OpenCV blends a row with itself, with the weights of the position.
    """
    return taps(geometry.crop_height, geometry.target_height, geometry.crop_y)


def used_rows(form: FrameFormat, rows: np.ndarray, copying_speedup: int = 1) -> np.ndarray | None:
    """Return the indices of the sampled rows of the frame, or None if it is faster to copy all rows.

    rows: taps of the target's rows; shrinking to less than half, and cropping, leave out rows
    copying_speedup: how many times faster the whole frame is copied than single rows
    """
    if form.kernel in _PLANAR_KERNELS:
        return None
    used = np.unique(np.concatenate([rows['first'], rows['second']])).astype(np.intp)
    return used if len(used) <= _WORTHWHILE * form.height / copying_speedup else None


def renumbered(rows: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return the taps for a frame that has only the rows `used` (sorted)."""
    result: np.ndarray = rows.copy()
    for name in ('first', 'second'):
        result[name] = np.searchsorted(used, rows[name])
    return result


def reads_once(geometry: Geometry) -> bool:
    """Return whether the kernel reads each byte about once, because the frame shrinks or keeps its size."""
    return geometry.target_width <= geometry.crop_width and geometry.target_height <= geometry.crop_height


def sampling_threads(sampling: Sampling) -> tuple[int, int]:
    """Return the number of threads (x, y) that the kernel needs."""
    return -(-sampling.network_width // _PIXELS_OF_THREAD), sampling.network_height


def sampling_of(spec: ModelSpec, form: FrameFormat, geometry: Geometry) -> Sampling:
    """Return the kernel's argument without its pointers, which the caller fills in."""
    wanted = spec.preprocessing.color_order
    source_is_grey = form.order == 'mono'
    gain, bias = normalisation(spec)
    return Sampling(
        source_width=form.width, source_height=form.height, source_step=form.step,
        network_width=spec.width, network_height=spec.height,
        target_x=geometry.target_x, target_y=geometry.target_y,
        target_width=geometry.target_width, target_height=geometry.target_height,
        channels=spec.channels, element_type=ELEMENT_TYPES[np.dtype(spec.input_dtype)],
        nhwc=spec.layout == 'nhwc',
        reversed=not source_is_grey and form.order[:3] != wanted,
        red=0 if form.order[:3] == 'rgb' else 2, source_is_grey=source_is_grey, padding=PADDING,
        gain=tuple(gain) + (0.0,) * (3 - len(gain)), bias=tuple(bias) + (0.0,) * (3 - len(bias)))
