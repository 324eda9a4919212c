# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Recognises image and video files by their names and first bytes."""

from __future__ import annotations

from pathlib import Path

# The OpenCV builds of all distributions read these.
IMAGE_SUFFIXES = frozenset({
    '.jpg', '.jpeg', '.jpe', '.png', '.bmp', '.dib', '.webp', '.tif', '.tiff', '.ppm', '.pgm',
    '.pbm', '.pnm'})
# It depends on the build of OpenCV, or of its FFmpeg, whether it reads these.
_OTHER_IMAGE_SUFFIXES = frozenset({
    '.apng', '.avif', '.avifs', '.exr', '.gif', '.hdr', '.heic', '.heif', '.hif', '.jfif', '.jp2', '.j2k', '.jxl',
    '.pam', '.pfm', '.pic', '.pxm', '.ras', '.sr', '.tga'})
VIDEO_SUFFIXES = frozenset({
    '.264', '.265', '.3gp', '.asf', '.avi', '.dv', '.flv', '.h264', '.h265', '.hevc', '.ivf', '.m2ts', '.m4v', '.mjpeg',
    '.mjpg', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.mts', '.ogv', '.ts', '.vob', '.webm', '.wmv', '.y4m'})
_MEDIA_SUFFIXES = IMAGE_SUFFIXES | _OTHER_IMAGE_SUFFIXES | VIDEO_SUFFIXES

# Enough for all of `image_format` and `is_video`.
HEAD_BYTES = 64
_MAGIC = (
    (b'\xff\xd8\xff', 'JPEG'), (b'\x89PNG\r\n\x1a\n', 'PNG'), (b'GIF87a', 'GIF'), (b'GIF89a', 'GIF'),
    (b'II*\0', 'TIFF'), (b'MM\0*', 'TIFF'), (b'II+\0', 'TIFF'), (b'MM\0+', 'TIFF'),
    (b'\0\0\0\x0cjP  \r\n\x87\n', 'JPEG 2000'), (b'\xff\x4f\xff\x51', 'JPEG 2000'),
    (b'#?RADIANCE', 'Radiance HDR'), (b'#?RGBE', 'Radiance HDR'), (b'\x76\x2f\x31\x01', 'OpenEXR'),
    (b'\xff\x0a', 'JPEG XL'), (b'\0\0\0\x0cJXL \r\n\x87\n', 'JPEG XL'), (b'\x59\xa6\x6a\x95', 'Sun raster'))
# ISO/IEC 23008-12: the major and compatible brands of still images and image sequences.
_AVIF_BRANDS = (b'avif', b'avis')
_HEIC_BRANDS = (b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'mif1', b'msf1')
_VIDEO_MAGIC = (b'\x1aE\xdf\xa3', b'FLV', b'OggS', b'\0\0\x01\xba', b'\0\0\x01\xb3', b'YUV4MPEG2')


def is_media_name(path: Path) -> bool:
    """Return whether a file has the name of an image or a video."""
    return path.suffix.lower() in _MEDIA_SUFFIXES


def image_format(head: bytes) -> str:
    """Return the image format that begins with these bytes, '' for an unknown one.

    Formats without a distinctive beginning (TGA, the PNM family) are unknown.
    """
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b'RIFF' and head[8:12] == b'WEBP':
        return 'WebP'
    if head[:2] == b'BM' and head[6:10] == b'\0\0\0\0':
        return 'BMP'
    brands = _brands(head)
    if brands[:1] and brands[0] in _AVIF_BRANDS:
        return 'AVIF'
    if brands[:1] and brands[0] in _HEIC_BRANDS:
        # AVIF files may have mif1 as the major brand.
        return 'AVIF' if any(brand in _AVIF_BRANDS for brand in brands) else 'HEIC'
    return ''


def is_video(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is a video of a common format."""
    if head[:4] == b'RIFF' and head[8:12] == b'AVI ':
        return True
    return (bool(_brands(head)) and not image_format(head)) or head.startswith(_VIDEO_MAGIC)


def read_head(path: Path) -> bytes:
    """Return the first bytes of a regular file. Raises OSError."""
    with path.open('rb') as file:
        return file.read(HEAD_BYTES)


def _brands(head: bytes) -> list[bytes]:
    """Return the brands of an ISO media file, the major one first; [] for another file."""
    if head[4:8] != b'ftyp':
        return []
    end = min(int.from_bytes(head[:4], 'big'), len(head))
    return [head[8:12], *(head[at:at + 4] for at in range(16, end - 3, 4))]
