# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Copies a VP8 video in WebM and gives each frame a time of its own, which OpenCV's writer cannot.

WebM is a tree of elements (EBML, RFC 8794; Matroska, RFC 9559): an id, the size of the content, the content. The
frames are blocks in clusters. FFmpeg, with which OpenCV writes, also gives each file a random number. The copy has
none, so the same frames with the same times are the same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from ..errors import PerceptionError

_EBML, _SEGMENT, _SEEK_HEAD, _SEEK, _INFO, _TRACKS = 0x1A45DFA3, 0x18538067, 0x114D9B74, 0x4DBB, 0x1549A966, 0x1654AE6B
_CLUSTER, _CLUSTER_TIME, _BLOCK, _CUES, _CUE, _CUE_PLACE = 0x1F43B675, 0xE7, 0xA3, 0x1C53BB6B, 0xBB, 0xB7
_SCALE, _DURATION, _TRACK, _VIDEO = 0x2AD7B1, 0x4489, 0xAE, 0xE0
_TAGS, _TAG, _TARGETS, _SIMPLE_TAG, _TAG_NAME, _TAG_STRING = 0x1254C367, 0x7373, 0x63C0, 0x67C8, 0x45A3, 0x4487
# Before its frame, a block has the number of the track, the time in its cluster, and flags.
_BLOCK_HEAD = struct.Struct('>BhB')
_KEY_FRAME = 0x80
# The time in a cluster has 16 bits.
_MOST_MS = 32_000


class VideoError(PerceptionError):
    """A video cannot be written, or lacks frames."""


def copy_with_times(
    source: Path, target: Path, times_ms: Sequence[int], last_ms: int, size: tuple[int, int], program: str,
    tags: Mapping[str, str],
) -> None:
    """Write a copy of a WebM file of one VP8 track with other times.

    times_ms: of each frame, in milliseconds, increasing, the first one 0; last_ms: for which the last frame is shown
    size: width and height in pixels; program: that writes it; tags: texts about the file, such as TITLE

    Raises VideoError if the file has not as many frames as times, OSError.
    """
    with source.open('rb') as file, target.open('xb') as copy:
        found = 0
        copy.write(_head(size, program, tags))
        cues: list[bytes] = []
        # Those of a cluster, which begins with a key frame, or after a long pause.
        blocks: list[bytes] = []
        start_ms, starts_with_key = 0, False

        def end_cluster() -> None:
            place = copy.tell() - _SEGMENT_CONTENT
            copy.write(_element(_CLUSTER, _element(_CLUSTER_TIME, _number(start_ms)) + b''.join(blocks)))
            blocks.clear()
            if starts_with_key:
                cues.append(_element(_CUE, _element(0xB3, _number(start_ms)) + _element(
                    _CUE_PLACE, _element(0xF7, b'\1') + _element(0xF1, _number(place)))))

        for is_key, frame in _frames(file):
            if found < len(times_ms):
                time_ms = times_ms[found]
                if blocks and (is_key or time_ms - start_ms > _MOST_MS):
                    end_cluster()
                if not blocks:
                    start_ms, starts_with_key = time_ms, is_key
                blocks.append(_element(
                    _BLOCK, _BLOCK_HEAD.pack(0x81, time_ms - start_ms, _KEY_FRAME if is_key else 0) + frame))
            found += 1
        if found != len(times_ms):
            raise VideoError(
                f'{target.name}: {len(times_ms)} frames were written, but {found} are in the file: check the space '
                'left')
        end_cluster()
        cues_at = copy.tell()
        copy.write(_element(_CUES, b''.join(cues)))
        end = copy.tell()
        copy.seek(0)
        copy.write(_head(size, program, tags, cues_at, times_ms[-1] + last_ms, end, found))


def _frames(file: BinaryIO) -> Iterator[tuple[bool, bytes]]:
    """Yield (whether it is a key frame, its bytes) of each frame. A file that is cut off gives those before the cut."""
    while (element := _next(file)) is not None:
        name, size = element
        # Their content follows as elements; everything else is skipped.
        if name in (_SEGMENT, _CLUSTER):
            continue
        if name != _BLOCK:
            file.seek(size, 1)
            continue
        content = file.read(size)
        if len(content) != size or size < _BLOCK_HEAD.size:
            return
        yield bool(content[3] & _KEY_FRAME), content[_BLOCK_HEAD.size:]


def _next(file: BinaryIO) -> tuple[int, int] | None:
    """Return (id, size of the content) of the element at this place, None at the end."""
    name, size = _coded(file, True), _coded(file, False)
    return None if name is None or size is None else (name, size)


def _coded(file: BinaryIO, with_length: bool) -> int | None:
    """Return a number whose first bits say how long it is."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    value = int.from_bytes(first + rest, 'big')
    return None if len(rest) != length - 1 else value if with_length else value & ~(1 << 7 * length)


def _element(name: int, content: bytes) -> bytes:
    # A size of 8 bytes can be written before the content is known.
    return name.to_bytes((name.bit_length() + 7) // 8, 'big') + (1 << 56 | len(content)).to_bytes(8, 'big') + content


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), 'big')


def _head(
    size: tuple[int, int], program: str, tags: Mapping[str, str], cues_at: int = 0, duration_ms: int = 0, end: int = 0,
    frames: int = 1,
) -> bytes:
    """Return all that is before the clusters; its length does not depend on the last four."""
    width, height = size
    ebml = _element(_EBML, b''.join(_element(name, content) for name, content in (
        (0x4286, b'\1'), (0x42F7, b'\1'), (0x42F2, b'\4'), (0x42F3, b'\x08'), (0x4282, b'webm'), (0x4287, b'\2'),
        (0x4285, b'\2'))))
    assert len(ebml) + 12 == _SEGMENT_CONTENT
    place = struct.pack('>Q', max(cues_at - _SEGMENT_CONTENT, 0))
    seek = _element(_SEEK_HEAD, _element(
        _SEEK, _element(0x53AB, _CUES.to_bytes(4, 'big')) + _element(0x53AC, place)))
    info = _element(_INFO, b''.join((
        _element(_SCALE, _number(1_000_000)), _element(0x4D80, program.encode()), _element(0x5741, program.encode()),
        _element(_DURATION, struct.pack('>d', float(duration_ms))))))
    # A mean: from it, readers such as OpenCV estimate the number of frames.
    each = struct.pack('>Q', round(duration_ms * 1e6 / frames))
    video = _element(_VIDEO, _element(0xB0, _number(width)) + _element(0xBA, _number(height)))
    track = _element(_TRACKS, _element(_TRACK, b''.join((
        _element(0xD7, b'\1'), _element(0x73C5, b'\1'), _element(0x9C, b'\0'), _element(0x86, b'V_VP8'),
        _element(0x83, b'\1'), _element(0x23E383, each), video))))
    # Targets without content: the tags are of the whole file. Readers look for them before the clusters.
    texts = _element(_TAGS, _element(_TAG, _element(_TARGETS, b'') + b''.join(
        _element(_SIMPLE_TAG, _element(_TAG_NAME, name.encode()) + _element(_TAG_STRING, text.encode()))
        for name, text in tags.items())))
    content = seek + info + track + texts
    length = end - _SEGMENT_CONTENT if end else len(content)
    return ebml + _SEGMENT.to_bytes(4, 'big') + (1 << 56 | length).to_bytes(8, 'big') + content


# Places are counted from here.
_SEGMENT_CONTENT = 12 + 2 * 7 + 8 * 7 + 10 + 12
