# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the chunks of a PNG, and writes a PNG of checked data.

Source: Portable Network Graphics (PNG) Specification, third edition: chunks in section 5, interlacing in section 8.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import DamagedImageError
from .size import check_size

SIGNATURE = b'\x89PNG\r\n\x1a\n'
# Colour type -> (samples per pixel, allowed bits per sample): section 11.2.1.
_COLOUR_TYPES = {
    0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8)), 4: (2, (8, 16)), 6: (4, (8, 16))}
_PALETTE = 3
# Length of the chunk with the transparent colour; a palette has one byte for each entry.
_TRANSPARENCY = {0: 2, 2: 6}
# libpng's limit for width and height.
_LONGEST_SIDE = 1_000_000
# A length has 31 bits.
_LONGEST_CHUNK = 1 << 30
# First column, first row, columns and rows between two pixels of each pass of Adam7.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
# The chunks that the pixels depend on. A wrong checksum of another chunk is not damage.
_IMAGE_CHUNKS = (b'IHDR', b'PLTE', b'tRNS', b'IDAT')


@dataclass
class PngFile:
    """The header and the chunks that decoding needs.

    header: body of IHDR; palette, transparency: bodies of PLTE and tRNS, b'' without one or if it is not allowed
    image_data: bodies of the IDAT chunks: one zlib stream
    exif: body of eXIf: a TIFF header and its directories; fault: the first damage of the chunks, '' without any
    ended: whether the end chunk was found
    """

    header: bytes
    width: int
    height: int
    bits: int
    colour_type: int
    interlaced: bool
    palette: bytes
    transparency: bytes
    image_data: Sequence[bytes]
    exif: bytes
    fault: str
    ended: bool

    def passes(self) -> list[tuple[int, int]]:
        """Return (bytes of a row with its filter byte, number of rows) of each pass."""
        bits = self.bits * _COLOUR_TYPES[self.colour_type][0]
        sizes = [(self.width, self.height)]
        if self.interlaced:
            sizes = [
                (-(-(self.width - x) // columns), -(-(self.height - y) // rows)) for x, y, columns, rows in _ADAM7]
        return [(1 + -(-width * bits // 8), height) for width, height in sizes if width > 0 and height > 0]

    def with_image_data(self, stream: bytes, height: int) -> bytes:
        """Return a PNG with this zlib stream and height, and without the chunks that decoding does not need."""
        header = self.header[:4] + height.to_bytes(4, 'big') + self.header[8:]
        chunks: list[bytes | memoryview] = [SIGNATURE, *_chunk(b'IHDR', header)]
        if self.palette:
            chunks += _chunk(b'PLTE', self.palette)
        if self.transparency:
            chunks += _chunk(b'tRNS', self.transparency)
        for start in range(0, len(stream), _LONGEST_CHUNK):
            chunks += _chunk(b'IDAT', memoryview(stream)[start:start + _LONGEST_CHUNK])
        return b''.join([*chunks, *_chunk(b'IEND', b'')])


def read_png(content: bytes, max_pixels: int) -> PngFile:
    """Return the chunks of a PNG.

    content: begins with SIGNATURE

    Raises FrameError for more than max_pixels pixels, DamagedImageError if no image can be decoded.
    """
    bodies: dict[bytes, bytes] = {}
    image_data: list[bytes] = []
    fault, ended = '', False
    position, previous = len(SIGNATURE), b''
    while position + 8 <= len(content) and not fault and not ended:
        end = position + 8 + int.from_bytes(content[position:position + 4], 'big')
        kind, body = content[position + 4:position + 8], content[position + 8:end]
        checksum = content[end:end + 4]
        if kind in _IMAGE_CHUNKS and len(checksum) == 4 and checksum != _checksum(kind, body):
            fault = f'the checksum of a chunk {kind.decode()} is wrong'
        if kind == b'IDAT':
            # All image data is in chunks that follow each other.
            if not image_data or previous == b'IDAT':
                image_data.append(body)
        else:
            bodies.setdefault(kind, body)
        ended = kind == b'IEND'
        previous, position = kind, end + 4
    header = bodies.get(b'IHDR', b'')
    cut = '' if ended else ' or cut off'
    damaged = DamagedImageError(f'compressed PNG image: the header is damaged{cut} ({len(content)} bytes)')
    if len(header) != 13:
        raise damaged
    return _png_of(bodies, image_data, fault, ended, max_pixels, damaged)


def _png_of(
    bodies: dict[bytes, bytes], image_data: list[bytes], fault: str, ended: bool, max_pixels: int,
    damaged: DamagedImageError,
) -> PngFile:
    header = bodies[b'IHDR']
    width, height = int.from_bytes(header[:4], 'big'), int.from_bytes(header[4:8], 'big')
    bits, colour_type, compression, filtering, interlace = header[8:]
    if (colour_type not in _COLOUR_TYPES or bits not in _COLOUR_TYPES[colour_type][1] or compression or filtering
            or interlace > 1):
        raise damaged
    check_size(width, height, 'compressed PNG', max_pixels)
    if max(width, height) > _LONGEST_SIDE:
        raise damaged
    palette, transparency = b'', bodies.get(b'tRNS', b'')
    if colour_type == _PALETTE:
        palette = bodies.get(b'PLTE', b'')
        if not palette or len(palette) % 3:
            raise DamagedImageError(f'compressed PNG image of {width}x{height} pixels: the palette is damaged')
        entries = 1 << bits
        # libpng warns of pixels without an entry; they are black.
        palette = palette[:3 * entries].ljust(3 * entries, b'\0')
        transparency = transparency[:entries]
    elif len(transparency) != _TRANSPARENCY.get(colour_type):
        transparency = b''
    return PngFile(
        header, width, height, bits, colour_type, bool(interlace), palette, transparency, image_data,
        bodies.get(b'eXIf', b''), fault, ended)


def _chunk(kind: bytes, body: bytes | memoryview) -> list[bytes | memoryview]:
    """Return the parts of the chunk; the body is not copied."""
    return [len(body).to_bytes(4, 'big'), kind, body, _checksum(kind, body)]


def _checksum(kind: bytes, body: bytes | memoryview) -> bytes:
    return zlib.crc32(body, zlib.crc32(kind)).to_bytes(4, 'big')
