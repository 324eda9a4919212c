# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads named members of a wheel or a source archive into memory; nothing is unpacked to disk."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from ...errors import FetchError, reason

_MAX_MEMBER_BYTES = 1 << 30


def read_members(archive: Path, members: Mapping[str, str]) -> dict[str, bytes]:
    """Return the content of each member by its role.

    archive: a .whl, .zip, .tar.gz or .tgz whose sha256 was already checked
    members: role to path in the archive; only regular files

    Raises FetchError if it is not an archive or a member is missing.
    """
    try:
        if archive.name.endswith(('.tar.gz', '.tgz')):
            return _from_tar(archive, members)
        return _from_zip(archive, members)
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise FetchError(f'{archive} cannot be unpacked: {reason(error)}') from error


def _from_zip(archive: Path, members: Mapping[str, str]) -> dict[str, bytes]:
    found = {}
    with zipfile.ZipFile(archive) as file:
        for role, name in members.items():
            try:
                info = file.getinfo(name)
            except KeyError:
                raise FetchError(f'{archive} has no member {name}') from None
            _check_size(archive, name, info.file_size)
            found[role] = file.read(info)
    return found


def _from_tar(archive: Path, members: Mapping[str, str]) -> dict[str, bytes]:
    roles = {name: role for role, name in members.items()}
    found = {}
    with tarfile.open(archive, 'r:gz') as file:
        for info in file:
            if info.name in roles and info.isfile():
                _check_size(archive, info.name, info.size)
                stream = file.extractfile(info)
                assert stream is not None  # It is a regular file.
                found[roles[info.name]] = stream.read()
                if len(found) == len(roles):
                    break
    for name, role in roles.items():
        if role not in found:
            raise FetchError(f'{archive} has no member {name}')
    return found


def _check_size(archive: Path, name: str, size: int) -> None:
    if size > _MAX_MEMBER_BYTES:
        raise FetchError(f'{archive}: member {name} has {size} bytes, expected at most {_MAX_MEMBER_BYTES}')
