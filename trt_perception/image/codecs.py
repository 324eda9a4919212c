# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Names the data of a sensor_msgs/CompressedImage that cannot be decoded to an image, and what to do about it."""

from __future__ import annotations

import re

from ..errors import FrameError
from .transports import TRANSPORTS, Transport

_TRANSPORTS = {transport.name: transport for transport in TRANSPORTS}
# The words that drivers write into `format`, in small letters, and the codec that they mean.
_VIDEO_WORDS = {
    'h264': 'H.264', 'h.264': 'H.264', 'avc': 'H.264', 'x264': 'H.264', 'libx264': 'H.264', 'h265': 'H.265',
    'h.265': 'H.265', 'hevc': 'H.265', 'x265': 'H.265', 'libx265': 'H.265', 'av1': 'AV1', 'vp8': 'VP8', 'vp9': 'VP9',
    'mpeg4': 'MPEG-4', 'mp4': 'MPEG-4', 'theora': 'Theora', 'ffmpeg': 'H.264 or H.265'}
_START_CODES = (b'\0\0\0\1', b'\0\0\1')
# ITU-T H.264, table 7-1: slices, SEI, SPS, PPS, access unit delimiter.
_H264_UNITS = (1, 5, 6, 7, 8, 9)
# ITU-T H.265, table 7-1: VPS, SPS, PPS, access unit delimiter, SEI. The first byte of such a unit is even.
_H265_UNITS = (32, 33, 34, 35, 39)
_HEIF_BRANDS = {b'avif': 'AVIF', b'avis': 'AVIF', b'heic': 'HEIC', b'heix': 'HEIC', b'mif1': 'HEIF'}


class UnreadableCodecError(FrameError):
    """Data of a codec that cannot be decoded here.

    transport: the plugin of image_transport that decodes it, None if there is none
    """

    def __init__(self, message: str, transport: Transport | None = None) -> None:
        super().__init__(message)
        self.transport = transport


def refuse_codec(content: bytes, format_hint: str) -> None:
    """Raise UnreadableCodecError if the data of a CompressedImage is of a codec that is known and not supported.

    content: the data, or at least its first 16 bytes; format_hint: `format` of the message, without trust

    Call it for data that does not begin like a supported image, or if `format_hint` contains compressedDepth.
    """
    if 'compressedDepth' in format_hint:
        raise UnreadableCodecError(
            f'compressed image of format {format_hint!r}: depth images are not supported; expected a colour or grey '
            'image: use the topic of the colour camera', _TRANSPORTS['compressedDepth'])
    hint = f' of format {format_hint!r}' if format_hint else ''
    if format_hint.strip().lower() == 'zstd':
        raise UnreadableCodecError(
            f'compressed image{hint}: images compressed with zstd are not supported; expected still images '
            'such as JPEG or PNG',
            _TRANSPORTS['zstd'])
    video = _video_of(content, format_hint)
    if video:
        raise UnreadableCodecError(
            f'compressed image{hint}: {video} video is not supported, because a frame needs the frames before it; '
            "expected still images such as JPEG or PNG: set the camera's driver to jpeg or raw images, or decode the "
            'video in another node and republish it as sensor_msgs/Image')
    if content[4:8] == b'ftyp' and content[8:12] in _HEIF_BRANDS:
        raise UnreadableCodecError(
            f"compressed image{hint}: {_HEIF_BRANDS[content[8:12]]} is not supported; expected JPEG or PNG: set "
            "the camera's driver to jpeg or raw images")


def _video_of(content: bytes, format_hint: str) -> str:
    for word in re.split(r'[\s;,/]+', format_hint.lower()):
        if word in _VIDEO_WORDS:
            return _VIDEO_WORDS[word]
    for code in _START_CODES:
        if content.startswith(code) and len(content) > len(code):
            first = content[len(code)]
            if first & 1 == 0 and first >> 1 in _H265_UNITS:
                return 'H.265'
            if first < 0x80 and first & 0x1F in _H264_UNITS:
                return 'H.264'
    if content.startswith(b'OggS'):
        return 'Theora'
    if content.startswith(b'DKIF'):
        return 'VP8, VP9 or AV1'
    return ''
