# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Inflates zlib data of a known size, and says whether it is complete."""

from __future__ import annotations

import zlib

# More data than expected is inflated up to this size, to reach the checksum behind it.
_MOST_MORE = 1 << 20
# Before a fault, at most the output of one step is lost.
_STEP = 256


def inflate(stream: bytes, size: int) -> tuple[bytes, str]:
    """Return at most `size` bytes, and the fault of the stream: '' if all are there and the checksum is right."""
    inflating = zlib.decompressobj()
    try:
        found = inflating.decompress(stream, size)
        if len(found) == size and not inflating.eof:
            inflating.decompress(inflating.unconsumed_tail, _MOST_MORE)
    except zlib.error:
        return _in_steps(stream, size)
    if len(found) < size:
        return found, f'{len(found)} of {size} bytes of pixels'
    return found, '' if inflating.eof else 'the checksum at the end of the data is missing'


def _in_steps(stream: bytes, size: int) -> tuple[bytes, str]:
    """Return what can be inflated before the fault."""
    inflating = zlib.decompressobj()
    found = bytearray()
    try:
        for start in range(0, len(stream), _STEP):
            step = stream[start:start + _STEP]
            while step and len(found) < size:
                found += inflating.decompress(step, size - len(found))
                step = inflating.unconsumed_tail
    except zlib.error as error:
        return bytes(found), f'the data is damaged: {str(error).rpartition(": ")[2]}'
    return bytes(found), 'the data is damaged: its checksum is wrong'
