# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Image files with several pictures, written byte by byte, not by the library that the code under test uses."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np


def tiff(pages: Sequence[np.ndarray], thumbnails: Sequence[int] = (), order: str = '<', big: bool = False) -> bytes:
    """Return a TIFF or BigTIFF of grey uint8 pages. thumbnails: positions of pages marked as reduced copies."""
    offset = 'Q' if big else 'I'
    header = 16 if big else 8
    data = bytearray(struct.pack(f'{order}2s', b'II' if order == '<' else b'MM'))
    data += struct.pack(f'{order}HHH', 43, 8, 0) if big else struct.pack(f'{order}H', 42)
    data += bytes(header - len(data))
    link = header - struct.calcsize(f'={offset}')
    for position, page in enumerate(pages):
        height, width = page.shape
        pixels_at = len(data)
        data += page.tobytes()
        data += bytes(len(data) % 2)
        entries = [
            (254, 4, int(position in thumbnails)), (256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1),
            (262, 3, 1), (273, 4, pixels_at), (277, 3, 1), (278, 4, height), (279, 4, page.size)]
        struct.pack_into(f'{order}{offset}', data, link, len(data))
        data += struct.pack(f'{order}{"Q" if big else "H"}', len(entries))
        for tag, kind, value in entries:
            number = struct.pack(f'{order}{"H" if kind == 3 else "I"}', value)
            data += struct.pack(f'{order}HH{offset}', tag, kind, 1) + number.ljust(8 if big else 4, b'\0')
        link = len(data)
        data += bytes(struct.calcsize(f'={offset}'))
    return bytes(data)


def animated_png(frames: Sequence[np.ndarray], delay_ms: int = 100) -> bytes:
    """Return an APNG of BGR uint8 frames of one size."""
    height, width = frames[0].shape[:2]
    out = b'\x89PNG\r\n\x1a\n' + _chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
    out += _chunk(b'acTL', struct.pack('>II', len(frames), 0))
    number = 0
    for index, frame in enumerate(frames):
        control = struct.pack('>IIIIIHHBB', number, width, height, 0, 0, delay_ms, 1000, 0, 0)
        out += _chunk(b'fcTL', control)
        number += 1
        rows = b''.join(b'\0' + row.tobytes() for row in np.ascontiguousarray(frame[..., ::-1]))
        packed = zlib.compress(rows)
        if index == 0:
            out += _chunk(b'IDAT', packed)
        else:
            out += _chunk(b'fdAT', struct.pack('>I', number) + packed)
            number += 1
    return out + _chunk(b'IEND', b'')


def animated_gif(frames: Sequence[np.ndarray], delay_ms: int = 100) -> bytes:
    """Return a GIF of grey uint8 frames of one size, with values below 128."""
    height, width = frames[0].shape
    palette = b''.join(bytes((value, value, value)) for value in range(0, 256, 2))
    out = b'GIF89a' + struct.pack('<HHBBB', width, height, 0xF6, 0, 0) + palette
    for frame in frames:
        out += b'\x21\xf9\x04' + struct.pack('<BHB', 4, delay_ms // 10, 0) + b'\0'
        out += b'\x2c' + struct.pack('<HHHHB', 0, 0, width, height, 0) + b'\x07'
        packed = _lzw(frame.reshape(-1) // 2)
        for at in range(0, len(packed), 255):
            block = packed[at:at + 255]
            out += bytes([len(block)]) + block
        out += b'\0'
    return out + b'\x3b'


def heic(tiles: bool) -> bytes:
    """Return the beginning of a HEIC file: its boxes without any picture. tiles: as phones store it."""
    def box(kind: bytes, body: bytes) -> bytes:
        return struct.pack('>I4s', 8 + len(body), kind) + body

    kind = b'grid' if tiles else b'hvc1'
    entry = box(b'infe', struct.pack('>IHH4sB', 0x02000000, 1, 0, kind, 0))
    items = box(b'iinf', struct.pack('>IH', 0, 1) + entry)
    return box(b'ftyp', b'heic\0\0\0\0mif1heic') + box(b'meta', bytes(4) + items) + box(b'mdat', bytes(64))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))


def _lzw(values: np.ndarray) -> bytes:
    """Pack 7-bit values as GIF's LZW does, with a clear code before the code size would grow."""
    clear, end, bits = 128, 129, 8
    codes = []
    for at, value in enumerate(values.tolist()):
        if at % 100 == 0:
            codes.append(clear)
        codes.append(value)
    codes.append(end)
    number = sum(code << (bits * at) for at, code in enumerate(codes))
    return number.to_bytes((bits * len(codes) + 7) // 8, 'little')
