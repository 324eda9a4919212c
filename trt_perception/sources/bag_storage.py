# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The storage files of a bag: what their first and last bytes tell, without a bag library."""

from __future__ import annotations

import struct
from pathlib import Path

MCAP, SQLITE = '.mcap', '.db3'
ZSTD = '.zstd'
_MCAP_MAGIC = b'\x89MCAP0\r\n'
_SQLITE_MAGIC = b'SQLite format 3\0'
_SQLITE_HEADER_BYTES = 100
# A zstandard frame in little endian: 0xFD2FB528.
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'
_CUT_OFF = 'the recording was not closed, or the copy was not finished'


def is_storage_file(path: Path) -> bool:
    """Tell by its name whether a file is a storage file of rosbag2, uncompressed."""
    return path.suffix in (MCAP, SQLITE)


def is_compressed_storage_file(path: Path) -> bool:
    """Tell by its name whether a file is a storage file that rosbag2 compressed as a whole."""
    return path.suffix == ZSTD and is_storage_file(path.with_suffix(''))


def storage_fault(path: Path) -> str:
    """Return what makes a storage file useless, as the rest of a sentence; '' if nothing is seen.

    It sees a file that is missing, empty, of another format or cut off; not damage in the middle. Files of unknown
    storage plugins have no faults.

    Raises OSError if the file cannot be read.
    """
    if not path.is_file():
        return 'is missing'
    size = path.stat().st_size
    if size == 0:
        return 'is empty'
    with path.open('rb') as file:
        head = file.read(_SQLITE_HEADER_BYTES)
        file.seek(max(size - len(_MCAP_MAGIC), 0))
        tail = file.read(len(_MCAP_MAGIC))
    if path.suffix == MCAP:
        return _mcap_fault(path, size, head, tail)
    if path.suffix == SQLITE:
        return _sqlite_fault(path, size, head)
    if is_compressed_storage_file(path) and not head.startswith(ZSTD_MAGIC):
        return 'is not compressed with zstd'
    return ''


def recovery(path: Path) -> str:
    """Return the command that may save what is left in a damaged storage file."""
    if path.suffix == SQLITE:
        return f'`sqlite3 {path} .recover | sqlite3 NEW.db3`'
    return f'`mcap recover {path} -o NEW.mcap`'


def _mcap_fault(path: Path, size: int, head: bytes, tail: bytes) -> str:
    if not head.startswith(_MCAP_MAGIC):
        return 'is not an MCAP file'
    # The format ends with the bytes that it begins with; a file of these alone is one that was just begun.
    if tail != _MCAP_MAGIC or size <= len(_MCAP_MAGIC):
        return f'is cut off: {_CUT_OFF}; {recovery(path)} may save a part of it'
    return ''


def _sqlite_fault(path: Path, size: int, head: bytes) -> str:
    """See https://sqlite.org/fileformat2.html for the header."""
    if not head.startswith(_SQLITE_MAGIC):
        return 'is not an SQLite database'
    if len(head) < _SQLITE_HEADER_BYTES:
        return f'is cut off: {_CUT_OFF}'
    page_bytes = struct.unpack_from('>H', head, 16)[0]
    changes, pages = struct.unpack_from('>II', head, 24)
    # Versions of SQLite before 3.7 leave the number of pages as it was, but not the number beside the other.
    pages_are_right = changes == struct.unpack_from('>I', head, 92)[0]
    expected = pages * (65536 if page_bytes == 1 else page_bytes)
    if pages_are_right and size < expected:
        return f'is cut off ({size} of {expected} bytes): {_CUT_OFF}; {recovery(path)} may save a part of it'
    # Readers that must not write leave this part out.
    log = path.with_name(f'{path.name}-wal')
    if log.is_file() and log.stat().st_size:
        return (f'was not closed, a part of the recording is in {log.name}: stop the recorder, or run '
                f"`sqlite3 {path} 'PRAGMA wal_checkpoint(TRUNCATE)'`")
    return ''
