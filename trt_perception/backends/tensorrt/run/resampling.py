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
from ....pipeline.taps import Spans, column_spans, column_taps, row_spans, row_taps

# kernels/numeric.h: ElementType
ELEMENT_TYPES = {np.dtype(np.float32): 0, np.dtype(np.float16): 1, np.dtype(np.uint8): 2}
# kernels/sampling.h: Span
SPAN = np.dtype([('first', np.int32), ('count', np.int32), ('weights', np.int32)])
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
        ('column_spans', ctypes.c_uint64), ('row_spans', ctypes.c_uint64), ('weights', ctypes.c_uint64),
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


class SamplingTables(NamedTuple):
    """The tables that the kernel reads, one after the other, and the rows of the frame that it needs.

    data: uint8; columns, rows, weights: where they begin in it; weights is 0 without a filter
    used: indices of the frame's rows to copy, None for all
    """

    data: np.ndarray
    columns: int
    rows: int
    weights: int
    used: np.ndarray | None

    def place(self, sampling: Sampling, address: int) -> None:
        """Let the kernel's argument point to the tables, which lie at this device address."""
        if self.weights:
            sampling.column_spans, sampling.row_spans = address + self.columns, address + self.rows
            sampling.weights = address + self.weights
        else:
            sampling.columns, sampling.rows = address + self.columns, address + self.rows


def sampling_tables(
    interpolation: str, form: FrameFormat, geometry: Geometry, copying_speedup: int = 1,
) -> SamplingTables:
    """Return the tables for frames of this format.

    copying_speedup: how many times faster the whole frame is copied than single rows
    """
    if interpolation == 'linear':
        columns, rows = column_taps(geometry), row_taps(geometry)
        used = used_rows(form, np.concatenate([rows['first'], rows['second']]), copying_speedup)
        if used is not None:
            for name in ('first', 'second'):
                rows[name] = np.searchsorted(used, rows[name])
        parts: list[np.ndarray] = [columns, rows]
    else:
        across, down = column_spans(interpolation, geometry), row_spans(interpolation, geometry)
        used = used_rows(
            form, np.arange(down.first.min(), (down.first + down.number).max()), copying_speedup)
        if used is not None:
            down = down._replace(first=down.first - used[0])
        weights = np.concatenate([across.weights.reshape(-1), down.weights.reshape(-1)]).astype(np.int32)
        parts = [_span_records(across, 0), _span_records(down, across.weights.size), weights]
    starts = np.cumsum([0, *(part.nbytes for part in parts)]).tolist()
    data = np.concatenate([part.view(np.uint8) for part in parts])
    return SamplingTables(data, starts[0], starts[1], starts[2] if len(parts) > 2 else 0, used)


def _span_records(spans: Spans, offset: int) -> np.ndarray:
    """Return (n,) of SPAN for weights that begin at `offset` of the table of weights."""
    records = np.empty(len(spans.first), SPAN)
    records['first'], records['count'] = spans.first, spans.number
    records['weights'] = offset + np.arange(len(records)) * spans.weights.shape[1]
    return records


def used_rows(form: FrameFormat, sampled: np.ndarray, copying_speedup: int = 1) -> np.ndarray | None:
    """Return the sorted indices of the sampled rows of the frame, or None if it is faster to copy all rows.

    sampled: indices of rows in any order; shrinking to less than half without a filter, and cropping, leave out rows
    copying_speedup: how many times faster the whole frame is copied than single rows
    """
    if form.kernel in _PLANAR_KERNELS:
        return None
    used = np.unique(sampled).astype(np.intp)
    return used if len(used) <= _WORTHWHILE * form.height / copying_speedup else None


def reads_once(interpolation: str, geometry: Geometry) -> bool:
    """Return whether the kernel reads each byte about once, because the frame shrinks or keeps its size.

    With a filter, neighbouring pixels of the result share half of their sources in both directions.
    """
    shrinks = geometry.target_width <= geometry.crop_width and geometry.target_height <= geometry.crop_height
    return shrinks and interpolation == 'linear'


def kernel_name(interpolation: str, form: FrameFormat) -> str:
    """Return the name of the kernel that preprocesses frames of this format."""
    return form.kernel if interpolation == 'linear' else f'{form.kernel}_filtered'


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
