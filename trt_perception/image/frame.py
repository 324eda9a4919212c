# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Frame: one image as a driver delivers it (encoding, step, endianness), without ROS."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..dependencies import require
from ..errors import FrameError
from .decoding import decode_compressed
from .encodings import ENCODINGS, Encoding, supported
from .options import DEFAULT, ImageOptions
from .size import LARGEST_LIMIT, check_size


@dataclass(frozen=True, eq=False)
class Frame:
    """One image: the fields of sensor_msgs/Image over a buffer that is not copied.

    encoding: a name of sensor_msgs/image_encodings.hpp that is in `encodings.ENCODINGS`
    width, height: pixels; for nv12 and nv21 of the luma plane. Its `height` rows are followed by
        (height + 1) // 2 chroma rows of the same step
    step: bytes from one row to the next, padding included
    is_bigendian: byte order of 16-bit samples
    data: uint8 (N,), N >= step * rows; bytes after the last row are ignored
    significant_bits: number of used bits of 16-bit samples, counted from the lowest bit
    damage: what the decoder found damaged, '' if nothing or if the image was not compressed
    """

    encoding: str
    width: int
    height: int
    step: int
    is_bigendian: bool
    data: np.ndarray
    significant_bits: int = 16
    damage: str = ''

    def __post_init__(self) -> None:
        layout = ENCODINGS.get(self.encoding)
        if layout is None:
            raise FrameError(
                f'encoding {self.encoding!r} is not supported; supported: {supported()}')
        check_size(self.width, self.height, self.encoding, LARGEST_LIMIT)
        what = f'{self.width}x{self.height} {self.encoding} image'
        row = layout.row_bytes(self.width)
        if self.step < row:
            raise FrameError(
                f'{what}: step is {self.step} bytes, but a row of {self.width} pixels takes {row}')
        # Image.msg: "size is (step * rows)". A buffer that lacks only the padding of its last row
        # is also refused, as in cv_bridge and image_transport: it differs from what the sender
        # declared, and the place of the lost bytes is unknown.
        rows = layout.rows(self.height)
        if self.data.size < self.step * rows:
            chroma = f' (height {self.height} counts only luma rows)' if rows > self.height else ''
            raise FrameError(
                f'{what}: data has {self.data.size} bytes, '
                f'but step {self.step} x {rows} rows{chroma} = {self.step * rows}')

    @staticmethod
    def from_buffer(
        encoding: str, width: int, height: int, step: int, is_bigendian: bool, buffer: Any,
        options: ImageOptions = DEFAULT,
    ) -> Frame:
        """Wrap the data field of an image message. The buffer is shared, not copied.

        buffer: any contiguous buffer: bytes, bytearray, array.array, memoryview, ndarray. It must
            not change while the frame is in use.

        Raises FrameError for an unsupported encoding (listing the supported ones), a size of 0 or
        over options.max_pixels, a step shorter than a row, or data shorter than step * rows.
        """
        if encoding in ENCODINGS:
            check_size(int(width), int(height), encoding, options.max_pixels)
        return Frame(encoding, int(width), int(height), int(step), bool(is_bigendian),
                     _flat_bytes(buffer), options.significant_bits)

    @staticmethod
    def from_bgr(array: np.ndarray) -> Frame:
        """Wrap HxWx3 uint8 BGR pixels as bgr8; copied only if the array is not contiguous."""
        if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
            raise FrameError(
                f'expected BGR pixels as an HxWx3 uint8 array, found {array.dtype} {array.shape}')
        return Frame.from_pixels('bgr8', array)

    @staticmethod
    def from_compressed(data: Any, format_hint: str = '', options: ImageOptions = DEFAULT) -> Frame:
        """Decode the data field of a sensor_msgs/CompressedImage (JPEG, PNG, WebP or TIFF).

        data: a buffer as in `from_buffer`
        format_hint: the message's `format`, e.g. 'jpeg', 'png' or image_transport's
            'bgr8; jpeg compressed bgr8'. It gives only the channel order ('compressed rgb8') and
            the Bayer pattern ('bayer_rggb8; png compressed '); the codec is read from the data.

        8 and 16 bits, grey, colour and alpha are kept. EXIF orientation is ignored: a camera's
        calibration, and all consumers of its topic, use the pixels as stored.

        Raises FrameError for empty data, data of another format, depth formats, and sizes over
        options.max_pixels (read from the header before decoding); DamagedImageError for truncated
        or damaged data. If options.damaged is KEEP, the decoded part is returned, with `damage`.
        """
        decoded = decode_compressed(_flat_bytes(data), format_hint, options)
        frame = Frame.from_pixels(decoded.encoding, decoded.pixels)
        return replace(frame, significant_bits=options.significant_bits, damage=decoded.damage)

    @staticmethod
    def from_pixels(encoding: str, pixels: np.ndarray) -> Frame:
        """Wrap HxW or HxWxC pixels in native byte order; copied only if the array is not contiguous."""
        height, width = pixels.shape[:2]
        pixels = np.ascontiguousarray(pixels)
        step = pixels.nbytes // height if height else 0
        return Frame(encoding, width, height, step, sys.byteorder == 'big',
                     pixels.reshape(-1).view(np.uint8))

    def view(self) -> tuple[np.ndarray, str]:
        """Return (pixels, order): HxW ('mono') or HxWxC uint8 ('bgr', 'rgb', 'bgra', 'rgba').

        8-bit packed encodings are returned without copying: rows are then `step` bytes apart, and
        the array is read-only if the buffer is. The others are converted: Bayer and YUV to 'bgr'
        (YUV as BT.601 limited range), 16 bits to 8 by x * 255 / (2^significant_bits - 1), rounded
        and at most 255. With 16 significant bits, as in cv_bridge, this is the full range: 12 used
        bits, and 16UC1 depth in millimetres, become nearly black.
        """
        layout = ENCODINGS[self.encoding]
        if layout.layout == 'yuv422':
            return self._yuv422(layout), 'bgr'
        if layout.layout == 'nv':
            return self._nv(layout), 'bgr'
        pixels = self.samples()
        if layout.sample_bytes == 2:
            pixels = _to_8_bits(pixels, self.significant_bits)
        if layout.layout == 'bayer':
            pixels = _demosaic(pixels, layout.conversion)
        return pixels, layout.order

    def bgr(self) -> np.ndarray:
        """Return HxWx3 uint8 BGR pixels: a view of the buffer for bgr8 and 8UC3, else converted.

        Alpha is dropped, grey is repeated in the three channels.
        """
        pixels, order = self.view()
        if order == 'bgr':
            return pixels
        if pixels.shape == (1, 1, 3):
            pixel: np.ndarray = pixels[..., ::-1].copy()  # cv2 4.5.4 (Ubuntu 22.04) does not accept it.
            return pixel
        cv2 = require('cv2')
        code = {'rgb': cv2.COLOR_RGB2BGR, 'bgra': cv2.COLOR_BGRA2BGR,
                'rgba': cv2.COLOR_RGBA2BGR, 'mono': cv2.COLOR_GRAY2BGR}[order]
        return np.asarray(cv2.cvtColor(pixels, code))

    def samples(self) -> np.ndarray:
        """Return a view of the samples, HxW or HxWxC, uint8 or uint16 in the sender's byte order.

        Only for packed and Bayer encodings.
        """
        layout = ENCODINGS[self.encoding]
        size = layout.sample_bytes
        shape: tuple[int, ...] = (self.height, self.width)
        strides: tuple[int, ...] = (self.step, layout.channels * size)
        if layout.channels > 1:
            shape += (layout.channels,)
            strides += (size,)
        dtype = np.dtype(np.uint8) if size == 1 else np.dtype('>u2' if self.is_bigendian else '<u2')
        samples: np.ndarray = np.ndarray(shape, dtype, buffer=self.data, strides=strides)
        return samples

    def rows(self, rows: int, columns: int) -> np.ndarray:
        """Return the first `columns` bytes of the first `rows` rows, without copying."""
        view: np.ndarray = np.ndarray((rows, columns), np.uint8, buffer=self.data, strides=(self.step, 1))
        return view

    def _yuv422(self, layout: Encoding) -> np.ndarray:
        even = self.width + self.width % 2
        if self.step >= 2 * even:
            packed = self.rows(self.height, 2 * even)
        else:
            # The width is odd and the row too short for the last pair: its second luma and its V
            # are missing. That luma is not visible; V is copied from the pair to the left.
            packed = np.empty((self.height, 2 * even), np.uint8)
            packed[:, :-2] = self.rows(self.height, 2 * self.width)
            packed[:, -2:] = packed[:, -6:-4] if even > 2 else 128
        cv2 = require('cv2')
        pixels = cv2.cvtColor(packed.reshape(self.height, even, 2), getattr(cv2, layout.conversion))
        return np.ascontiguousarray(pixels[:, :self.width])

    def _nv(self, layout: Encoding) -> np.ndarray:
        width, height = self.width, self.height
        even_width, even_height = width + width % 2, height + height % 2
        if (width, height) == (even_width, even_height):
            planes = self.rows(height * 3 // 2, width)
        else:
            # OpenCV converts even sizes only: repeat the last column and row, then cut them off.
            source = self.rows(layout.rows(height), even_width)
            planes = np.empty((even_height * 3 // 2, even_width), np.uint8)
            planes[:height, :width] = source[:height, :width]
            planes[:height, width:] = source[:height, width - 1:width]
            planes[height:even_height] = planes[height - 1]
            planes[even_height:] = source[height:]
        cv2 = require('cv2')
        pixels = cv2.cvtColor(planes, getattr(cv2, layout.conversion))
        return np.ascontiguousarray(pixels[:height, :width])


def _flat_bytes(buffer: Any) -> np.ndarray:
    """Return `buffer` as uint8 (N,), sharing its memory."""
    if isinstance(buffer, np.ndarray):
        if not buffer.flags.c_contiguous:
            raise FrameError('the image data must be contiguous; use numpy.ascontiguousarray')
        return buffer.reshape(-1).view(np.uint8)
    try:
        return np.frombuffer(buffer, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise FrameError(
            f'the image data must be a contiguous byte buffer, found {type(buffer).__name__}: '
            f'{error}') from error


def _to_8_bits(samples: np.ndarray, bits: int) -> np.ndarray:
    """Scale uint16 (any byte order and alignment) to uint8, 2^bits - 1 to 255, rounded; larger values become 255."""
    native = samples.astype(np.uint16, copy=False)  # Swaps bytes only if needed.
    if not native.flags.aligned:
        # The step or start is odd, but OpenCV needs aligned samples.
        native = native.copy()
    # 2^bits - 1 is odd: no ties, so all rounding modes agree.
    return np.asarray(require('cv2').convertScaleAbs(native, alpha=255 / (2**bits - 1)))


def _demosaic(mosaic: np.ndarray, conversion: str) -> np.ndarray:
    """Interpolate one Bayer channel (HxW uint8) to HxWx3 BGR, bilinear."""
    cv2 = require('cv2')
    height, width = mosaic.shape
    if min(height, width) < 3:
        # OpenCV returns black for images smaller than its 3x3 window. Mirroring keeps the pattern
        # of 2 rows or columns. A single one lacks colours, so its result is nearly grey.
        mosaic = np.pad(mosaic, 2, mode='reflect')
        pixels = cv2.cvtColor(mosaic, getattr(cv2, conversion))
        return np.ascontiguousarray(pixels[2:2 + height, 2:2 + width])
    return np.asarray(cv2.cvtColor(mosaic, getattr(cv2, conversion)))
