# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Checks the storage files of a bag by their first and last bytes, without a bag library."""

from __future__ import annotations

import struct
from pathlib import Path

from .bag_faults import CUT_OFF, NOT_CLOSED
from .ros1_records import ros1_fault

MCAP, SQLITE, ROS1 = '.mcap', '.db3', '.bag'
_ACTIVE = '.active'
ZSTD = '.zstd'
_MCAP_MAGIC = b'\x89MCAP0\r\n'
_SQLITE_MAGIC = b'SQLite format 3\0'
_SQLITE_HEADER_BYTES = 100
# A zstandard frame in little endian: 0xFD2FB528.
ZSTD_MAGIC = b'\x28\xb5\x2f\xfd'


def is_storage_file(path: Path) -> bool:
    """Return whether a file has the name of an uncompressed storage file of rosbag2."""
    return path.suffix in (MCAP, SQLITE)


def is_ros1_bag(path: Path) -> bool:
    """Return whether a file has the name of a ROS 1 bag, or of one that is being recorded."""
    name = path.name.lower()
    return name.removesuffix(_ACTIVE).endswith(ROS1)


def is_compressed_storage_file(path: Path) -> bool:
    """Return whether a file has the name of a storage file that rosbag2 compressed as a whole."""
    return path.suffix == ZSTD and is_storage_file(path.with_suffix(''))


def storage_fault(path: Path) -> str:
    """Return why a storage file cannot be used, as the rest of a sentence; '' if no fault is found.

    It finds a file that is missing, empty, cut off or in another format. It does not find damage in the middle, or
    faults in files of unknown storage plugins.

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
    if is_ros1_bag(path):
        return ros1_fault(path)
    if path.suffix == MCAP:
        return _mcap_fault(path, size, head, tail)
    if path.suffix == SQLITE:
        return _sqlite_fault(path, size, head)
    if is_compressed_storage_file(path) and not head.startswith(ZSTD_MAGIC):
        return 'is not compressed with zstd'
    return ''


def recovery(path: Path) -> str:
    """Return the command that may save a part of a damaged storage file."""
    if is_compressed_storage_file(path):
        # zstd writes what it could unpack before the damage only to its standard output.
        part = f'PART{path.with_suffix("").suffix}'
        return f'`zstd -dc {path} > {part}; {_recover(part)}`'
    return f'`{_recover(str(path))}`'


def _recover(name: str) -> str:
    return f'sqlite3 {name} .recover | sqlite3 NEW.db3' if name.endswith(SQLITE) else f'mcap recover {name} -o NEW.mcap'


def _mcap_fault(path: Path, size: int, head: bytes, tail: bytes) -> str:
    if not head.startswith(_MCAP_MAGIC):
        return 'is not an MCAP file'
    # The format begins and ends with the same bytes; a file with only these bytes was just begun.
    if tail != _MCAP_MAGIC or size <= len(_MCAP_MAGIC):
        return f'{CUT_OFF}; {recovery(path)} may save a part of it'
    return ''


def _sqlite_fault(path: Path, size: int, head: bytes) -> str:
    """Check the header; https://sqlite.org/fileformat2.html describes it."""
    if not head.startswith(_SQLITE_MAGIC):
        return 'is not an SQLite database'
    if len(head) < _SQLITE_HEADER_BYTES:
        return CUT_OFF
    page_bytes = struct.unpack_from('>H', head, 16)[0]
    changes, pages = struct.unpack_from('>II', head, 24)
    # SQLite before 3.7 does not update the number of pages. It is valid only if these two counters are equal.
    pages_are_right = changes == struct.unpack_from('>I', head, 92)[0]
    expected = pages * (65536 if page_bytes == 1 else page_bytes)
    if pages_are_right and size < expected:
        return f'is cut off ({size} of {expected} bytes): {NOT_CLOSED}; {recovery(path)} may save a part of it'
    # Readers that open the file read-only skip this part.
    log = path.with_name(f'{path.name}-wal')
    if log.is_file() and log.stat().st_size:
        return (f'was not closed, and a part of the recording is still in {log.name}: stop the recorder, or run '
                f"`sqlite3 {path} 'PRAGMA wal_checkpoint(TRUNCATE)'`")
    return ''
