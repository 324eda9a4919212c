# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Zstandard and LZ4 with the packages that rosbags brings; which ones depends on its version."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ..dependencies import require
from ..errors import SourceError
from ..unfinished import temporary_file, temporary_folder

_BLOCK = 1 << 20
_LEVEL = 1
# Of Python 3.14; of rosbags from 0.11.9 on; of rosbags before.
_ZSTD = ('compression.zstd', 'backports.zstd', 'zstandard')


def zstd_decompressed(content: bytes, most: int) -> bytes:
    """Return the first `most` bytes, or all if there are less. Raises SourceError if it is not zstandard."""
    library = _first(_ZSTD)
    try:
        if library.__name__ == 'zstandard':
            return _read(library.ZstdDecompressor().stream_reader(content), most)
        return bytes(library.ZstdDecompressor().decompress(content, max_length=most))
    except Exception as error:  # Each library has errors of its own.
        raise SourceError(f'not zstandard that can be decompressed: {error}') from error


def zstd_reader(file: BinaryIO) -> Any:
    """Return a file object with the decompressed content of a file. Its read() raises errors of many types."""
    library = _first(_ZSTD)
    if library.__name__ == 'zstandard':
        return library.ZstdDecompressor().stream_reader(file)
    return library.open(file, 'rb')


@contextmanager
def zstd_unpacked(file: Path) -> Iterator[Path]:
    """Yield an uncompressed copy of a file in the folder for temporary files (TMPDIR).

    It has all that is before the place where the file is cut off or damaged. Raises OSError for a full disk.
    """
    with temporary_folder() as folder:
        copy = folder / file.stem
        with temporary_file(copy) as target, file.open('rb') as packed, zstd_reader(packed) as content:
            while True:
                try:
                    block = content.read(_BLOCK)
                except Exception:  # Each library has errors of its own. The reader of the copy says where it ends.
                    break
                if not block:
                    break
                target.write(block)
        yield copy


def zstd_compressed(content: bytes) -> bytes:
    """Return the content as a zstandard frame with its size: fast rather than small, as recorders do it."""
    library = _first(_ZSTD)
    if library.__name__ == 'zstandard':
        return bytes(library.ZstdCompressor(_LEVEL).compress(content))
    return bytes(library.compress(content, _LEVEL))


def lz4_decompressed(content: bytes, most: int) -> bytes:
    """Return the first `most` bytes of an LZ4 frame, or all if there are less. Raises SourceError, if it is damaged."""
    library = _first(('lz4.frame',))
    try:
        return bytes(library.LZ4FrameDecompressor().decompress(content, max_length=most))
    except Exception as error:
        raise SourceError(f'not an LZ4 frame that can be decompressed: {error}') from error


def _read(content: Any, most: int) -> bytes:
    blocks: list[bytes] = []
    while most > 0 and (block := content.read(min(most, _BLOCK))):
        blocks.append(block)
        most -= len(block)
    return b''.join(blocks)


def _first(names: tuple[str, ...]) -> Any:
    require('rosbags.rosbag2')
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise SourceError(f'this rosbags has none of {", ".join(names)}: install rosbags again')
