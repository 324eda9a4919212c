# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the structure of a JPEG, and rewrites it without the parts that decoders disagree on.

Source: ITU-T T.81, annex B. The search for the next marker is that of libjpeg (jdmarker.c: next_marker, read_markers).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..errors import DamagedImageError, FrameError
from .size import check_size

_START = b'\xff\xd8'
_END = b'\xff\xd9'
# A marker that is not stuffing (00), a fill byte (FF), TEM (01) or RSTn (D0 to D7). One byte FF only: a pattern with
# FF+ takes quadratic time on a run of FF.
_MARKER = re.compile(rb'\xff([\x02-\xcf\xd8-\xfe])')
# In the data of a scan, TEM ends the scan too.
_END_OF_SCAN = re.compile(rb'\xff[\x01-\xcf\xd8-\xfe]')
_SOF_NAMES = {
    0xC3: 'lossless', 0xC5: 'hierarchical', 0xC6: 'hierarchical', 0xC7: 'hierarchical', 0xC8: 'reserved',
    0xCB: 'lossless', 0xCD: 'hierarchical', 0xCE: 'hierarchical', 0xCF: 'hierarchical'}
_SOF = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
_PROGRESSIVE = frozenset((0xC2, 0xCA))
_DHT, _DAC, _SOI, _EOI, _SOS, _DQT, _DNL, _DRI = 0xC4, 0xCC, 0xD8, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD
_APP0, _APP1, _APP14, _APP15, _COM = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
_TABLES = frozenset((_DHT, _DAC, _DQT, _DRI))
# A colour profile or XMP data may take hundreds of segments, and a progressive JPEG has about ten scans.
_MOST_SEGMENTS = 4096
# Scans in an image of the largest size; a smaller image may have more. Each scan passes over all its pixels.
_MOST_SCANS = 20


@dataclass
class JpegFile:
    """A JPEG, as the decoder gets it.

    components: 1 (grey), 3 (colour) or 4 (CMYK)
    data: the file with the segments that decoding needs, in order. Bytes between segments, fill bytes, metadata and
        everything after the image are left out; FF D9 is at its end, whether the file has it or not
    exif: the first Exif segment: a TIFF header and its directories; b'' without one
    fault: what is wrong according to the structure, '' if nothing is
    scans: number of scans; ended: whether the end marker was found
    """

    width: int = 0
    height: int = 0
    components: int = 0
    data: bytes = b''
    exif: bytes = b''
    fault: str = ''
    progressive: bool = False
    scans: int = 0
    ended: bool = False
    _identifiers: bytes = b''
    _pending: dict[tuple[int, int], int] = field(default_factory=dict)

    def count_scan(self, body: bytes, max_pixels: int) -> None:
        """Note the scan of this SOS segment. Raises FrameError if there are too many for the size of the image."""
        self.scans += 1
        if self.scans * self.width * self.height > _MOST_SCANS * max_pixels:
            raise FrameError(
                f'compressed JPEG image of {self.width}x{self.height} pixels: {self.scans} or more scans, which take '
                f'too long; the limit for this size is {_MOST_SCANS * max_pixels // (self.width * self.height)}')
        if len(body) < 6 or len(body) != 4 + 2 * body[0]:
            return  # The decoder refuses it.
        first, last, bits = body[-3], min(body[-2], 63), body[-1] & 15
        for component in body[1:-3:2]:
            for coefficient in range(first, last + 1) if self.progressive else range(64):
                self._pending[component, coefficient] = bits if self.progressive else 0

    def is_complete(self) -> bool:
        """Return whether the scans contain all components and, in a progressive JPEG, all bits of them."""
        return all(
            self._pending.get((component, coefficient)) == 0
            for component in self._identifiers for coefficient in range(64))

    def all_components_in(self, body: bytes) -> bool:
        """Return whether the first scan, with this SOS segment, is the only one."""
        return not self.progressive and len(body) > 0 and body[0] == self.components

    def set_frame(self, marker: int, body: bytes, max_pixels: int) -> None:
        """Read a start-of-frame segment. Raises FrameError if it is wrong, not supported or too large."""
        if self.components:
            raise DamagedImageError('compressed JPEG image: it has two frame headers')
        if len(body) < 6 or len(body) != 6 + 3 * body[5]:
            raise DamagedImageError('compressed JPEG image: the frame header is damaged')
        self.height, self.width = int.from_bytes(body[1:3], 'big'), int.from_bytes(body[3:5], 'big')
        self.components, self.progressive = body[5], marker in _PROGRESSIVE
        self._identifiers = body[6::3]
        # A height of 0 is set by a DNL segment after the first scan; libjpeg does not read such images.
        check_size(self.width, self.height, 'compressed JPEG', max_pixels)
        if body[0] != 8:
            raise FrameError(f'compressed JPEG image: {body[0]} bits per sample are not supported; expected 8')
        if self.components not in (1, 3, 4):
            raise FrameError(
                f'compressed JPEG image: {self.components} components are not supported; expected 1, 3 or 4')


def read_jpeg(content: bytes, max_pixels: int) -> JpegFile:
    """Return the JPEG with its data rewritten. Decoders then see exactly the size that was checked here.

    content: begins with FF D8

    Raises FrameError for a variant that is not supported, more than max_pixels pixels, or too many scans;
    DamagedImageError if the data ends or is damaged before the first scan.
    """
    found = JpegFile()
    parts = [_START]
    position = len(_START)
    for _ in range(_MOST_SEGMENTS):
        marker, body, position = _next_segment(content, position)
        if marker == _EOI or not marker:
            found.ended = marker == _EOI
            break
        fault = _fault_of(marker, found)
        if fault and not found.scans:
            raise DamagedImageError(f'compressed JPEG image: {fault}')
        if fault:
            found.fault = fault
            break
        if marker in _SOF:
            found.set_frame(marker, body, max_pixels)
        if marker == _SOS:
            if not found.components:
                raise DamagedImageError('compressed JPEG image: the header is damaged: a scan before the frame header')
            found.count_scan(body, max_pixels)
            end = _END_OF_SCAN.search(content, position)
            stop = end.start() if end else len(content)
            parts += [_segment(marker, _plain_scan(body, found)), content[position:stop]]
            position = stop
            if found.all_components_in(body):
                found.ended = content[stop:stop + 2] == _END
                break
        else:
            parts.append(_needed(marker, body))
            if marker == _APP1 and body.startswith(b'Exif\0\0') and not found.exif:
                found.exif = body[6:]
    else:
        raise FrameError(f'compressed JPEG image: more than {_MOST_SEGMENTS} segments')
    if not found.components:
        cut = '' if found.ended else ' or cut off'
        raise DamagedImageError(f'compressed JPEG image: the header is damaged{cut} ({len(content)} bytes)')
    if not found.is_complete() and not found.ended:
        found.fault = found.fault or f'the data is cut off after {len(content)} bytes'
    found.data = b''.join([*(_known_transform(part, found) for part in parts), _END])
    return found


def _next_segment(content: bytes, position: int) -> tuple[int, bytes, int]:
    """Return (marker, body, position after it); marker 0 at the end of the data."""
    match = _MARKER.search(content, position)
    if match is None:
        return 0, b'', len(content)
    marker, start = match.group(1)[0], match.end()
    if marker in (_SOI, _EOI):
        return marker, b'', start
    length = int.from_bytes(content[start:start + 2], 'big')
    if length < 2 or start + length > len(content):
        return 0, b'', len(content)
    return marker, content[start + 2:start + length], start + length


def _fault_of(marker: int, found: JpegFile) -> str:
    """Return why this marker is damage, '' if it is not. Raises FrameError for a variant that is not supported."""
    if marker in _SOF_NAMES:
        raise FrameError(
            f'compressed JPEG image: {_SOF_NAMES[marker]} JPEG (marker FF {marker:02X}) is not supported; expected '
            'baseline or progressive JPEG')
    if marker in _SOF or marker in _TABLES or marker in (_SOS, _DNL, _COM) or _APP0 <= marker <= _APP15:
        return ''
    what = 'a second start of an image' if marker == _SOI else f'an unknown marker FF {marker:02X}'
    return f'{what} {"after a scan" if found.scans else "in the header"}'


def _needed(marker: int, body: bytes) -> bytes:
    """Return the segment if decoding needs it, b'' otherwise."""
    if marker in _SOF or marker in _TABLES:
        return _segment(marker, body)
    if marker == _APP0 and len(body) >= 12 and body.startswith(b'JFIF\0'):
        # libjpeg warns of other versions, and a warning would hide a later one about damage.
        return _segment(marker, body[:5] + b'\x01' + body[6:])
    if marker == _APP14 and len(body) >= 12 and body.startswith(b'Adobe'):
        return _segment(marker, body)
    return b''


def _known_transform(segment: bytes, found: JpegFile) -> bytes:
    """Return the segment; a colour transform that libjpeg warns of is replaced by the one that it uses."""
    if not segment.startswith(bytes((0xFF, _APP14))) or not segment[15]:
        return segment
    return segment[:15] + (b'\x02' if found.components == 4 else b'\x01') + segment[16:]


def _plain_scan(body: bytes, found: JpegFile) -> bytes:
    """Return the SOS segment; a sequential JPEG has fixed values in its last three bytes, which some cameras omit."""
    return body if found.progressive or len(body) < 3 else body[:-3] + b'\x00\x3f\x00'


def _segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, 'big') + body
