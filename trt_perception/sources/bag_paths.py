# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Which paths are bags, and where the metadata of a bag is."""

from __future__ import annotations

import os.path
from pathlib import Path

from ..errors import SourceError, listed, reason
from .bag_metadata import METADATA, BagMetadata, head_of_metadata, read_metadata
from .bag_storage import is_compressed_storage_file, is_ros1_bag, is_storage_file

_EXPECTED = 'its folder, or an .mcap or .db3 file'
# Of store.py in annotate/.
_RESULTS = 'annotation.json'


def looks_like_bag(path: Path) -> bool:
    """Return whether a path looks like a bag, by file names and the first bytes of metadata.yaml.

    True also for a ROS 1 bag, and for a bag that BagReader refuses: a damaged one, a compressed storage file. A folder
    is a bag if its metadata.yaml is from rosbag2. If metadata.yaml is missing or damaged, it is a bag if it has storage
    files.

    Raises SourceError if a folder cannot be read.
    """
    try:
        if not path.is_dir():
            return (is_storage_file(path) or is_compressed_storage_file(path) or is_ros1_bag(path)
                    or path.name == METADATA)
        head = head_of_metadata(path)
        return head == 'rosbag2' or (head != 'other' and _has_storage_files(path))
    except OSError as error:
        raise SourceError(f'{path}: cannot be read: {reason(error)}') from error


def find_metadata(path: Path) -> tuple[Path | None, BagMetadata | None]:
    """Return the folder with the metadata of a bag, and the metadata; (None, None) for a file without metadata.

    Raises SourceError if the path is not a bag, or its metadata.yaml is damaged.
    """
    # Path.exists raises an error for a name that is too long, or in a folder that cannot be searched.
    if not os.path.exists(path):  # noqa: PTH110
        raise SourceError(f'{path}: no such file or folder')
    if path.is_fifo():
        raise SourceError(f'{path}: a pipe; expected a rosbag2, {_EXPECTED}')
    if path.is_dir():
        if not looks_like_bag(path):
            raise SourceError(f'{path}: {why_no_bag(path)}')
        if head_of_metadata(path) == 'missing':
            raise SourceError(
                f'{path}: {METADATA} is missing because the recording was not closed: run `ros2 bag reindex {path}`, '
                'or give the .mcap or .db3 file itself')
        return path, read_metadata(path)
    metadata = _metadata_of_file(path)
    if metadata is not None:
        return path.parent, metadata
    if is_ros1_bag(path):
        return None, None
    if is_compressed_storage_file(path):
        raise SourceError(
            f'{path}: a compressed storage file without the {METADATA} of its bag: unpack it with `zstd -d {path}`')
    if path.name == METADATA:
        raise SourceError(f'{path}: not a rosbag2: give the folder of this file, {path.parent}')
    if not is_storage_file(path):
        raise SourceError(f'{path}: not a rosbag2: expected {_EXPECTED}')
    return None, None


def why_no_bag(folder: Path) -> str:
    """Return the reason why a folder is not a rosbag2, without the path.

    Raises OSError if it cannot be read.
    """
    if head_of_metadata(folder) == 'missing':
        return f'not a rosbag2: this folder has neither {METADATA} nor an .mcap or .db3 file{_bags_below(folder)}'
    hint = '; give the .mcap or .db3 file itself' if _has_storage_files(folder) else ''
    return f'not a rosbag2: {METADATA} in this folder is not from rosbag2{hint}'


def _bags_below(folder: Path) -> str:
    """Return what to do with a folder of bags, or of results; '' for another folder."""
    try:
        if (folder / _RESULTS).is_file():
            return '; it has results of trt_perception annotate: give the recording'
        below = [path for path in sorted(folder.iterdir()) if path.is_dir() and head_of_metadata(path) == 'rosbag2']
    except OSError:
        return ''
    return f'; it has bags in subfolders, give these: {listed(below, 3)}' if below else ''


def folder_of_storage_file(path: Path) -> Path | None:
    """Return the folder of the bag that a storage file belongs to; None for another file, or without such a folder."""
    try:
        if is_storage_file(path) or is_compressed_storage_file(path):
            return path.parent if head_of_metadata(path.parent) == 'rosbag2' else None
    except OSError:
        pass
    return None


def _metadata_of_file(path: Path) -> BagMetadata | None:
    """Return the metadata of the bag if this file is its only storage file; None otherwise or if it is unreadable."""
    if not (is_storage_file(path) or is_compressed_storage_file(path)):
        return None
    try:
        if head_of_metadata(path.parent) != 'rosbag2':
            return None
        metadata = read_metadata(path.parent)
    except (SourceError, OSError):
        return None  # The file is read without metadata.
    return metadata if metadata.files == (path.name,) else None


def _has_storage_files(folder: Path) -> bool:
    return any(is_storage_file(path) or is_compressed_storage_file(path) for path in folder.iterdir())
