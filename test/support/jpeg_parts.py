# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of JPEG files, to build unusual, damaged and hostile ones. Markers: ITU-T T.81, table B.1."""

import struct

import numpy as np

START, END = b'\xff\xd8', b'\xff\xd9'
SOF0, SOF2, DHT, SOS, DQT, DRI, APP0, APP1, APP14, COM = 0xC0, 0xC2, 0xC4, 0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xEE, 0xFE
# One Huffman code '0' for no difference, and the codes '0' and '10' for the longest run of empty blocks and for one.
_TABLES = (
    b'\x00' + bytes([1] + [0] * 15) + b'\x00',
    b'\x10' + bytes([1, 1] + [0] * 14) + b'\xe0\x00')
_LONGEST_RUN = 32767


def segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack('>H', len(body) + 2) + body


def frame_header(marker, width, height, components=1, bits=8, sampling=0x11):
    body = struct.pack('>BHHB', bits, height, width, components)
    return segment(marker, body + b''.join(bytes([index + 1, sampling, 0]) for index in range(components)))


def scan_header(components=1, first=0, last=63, bits=0):
    tables = [number for index in range(components) for number in (index + 1, 0)]
    return segment(SOS, bytes([components, *tables, first, last, bits]))


def split(jpeg):
    """Return the segments of a baseline JPEG up to the scan, the scan header and the data of the scan."""
    parts, position = [], 2
    while jpeg[position + 1] != SOS:
        length = int.from_bytes(jpeg[position + 2:position + 4], 'big')
        parts.append(jpeg[position:position + 2 + length])
        position += 2 + length
    length = int.from_bytes(jpeg[position + 2:position + 4], 'big')
    assert jpeg.endswith(END)
    return parts, jpeg[position:position + 2 + length], jpeg[position + 2 + length:-2]


def joined(parts, scan, data, end=END):
    return b''.join([START, *parts, scan, data, end])


def grey_progressive(width, height, scans):
    """Return a grey progressive JPEG whose scans are refined again and again: each costs a few bytes."""
    blocks = -(-width // 8) * -(-height // 8)
    runs, rest = divmod(blocks, _LONGEST_RUN)
    codes = '0' + '1' * 14
    empty = packed(codes * runs + ('0' + format(rest - 16384, '014b') if rest >= 16384 else '10' * rest))
    first = scan_header(first=1, last=63, bits=0x01) + empty
    again = scan_header(first=1, last=63, bits=0x10) + empty
    return b''.join([
        START, segment(DQT, b'\0' + b'\1' * 64), frame_header(SOF2, width, height),
        *(segment(DHT, table) for table in _TABLES), scan_header(last=0), packed('0' * blocks), first,
        *[again] * (scans - 2), END])


def packed(bits):
    """Return a text of 0 and 1 as the data of a scan."""
    bits += '1' * (-len(bits) % 8)
    return np.packbits(np.frombuffer(bits.encode(), np.uint8) - ord('0')).tobytes().replace(b'\xff', b'\xff\0')


def hidden_size(claimed, real, marker):
    """Return a JPEG that decoders read as `real`, and a reader that expects a length after `marker` as `claimed`.

    claimed, real: (width, height)
    marker: 0x01 or 0xD0 to 0xD7, which have no length
    """
    frame = segment(DQT, b'\0' + b'\1' * 64) + frame_header(SOF0, *real) + segment(DHT, _TABLES[0])
    wrong_length = int.from_bytes(frame[:2], 'big')
    # The place that such a reader goes to next is inside a comment.
    comment = bytes(wrong_length - len(frame) - 4) + frame_header(SOF0, *claimed) + scan_header()
    return b''.join([
        START, bytes([0xFF, marker]), frame, segment(COM, comment), segment(DHT, _TABLES[1]), scan_header(),
        packed('01' * 64), END])
