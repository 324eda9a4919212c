# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""One file of one package, identified by its sha256, and the error if its download fails."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import FetchError


@dataclass(frozen=True)
class PackageFile:
    """A file of a registry. name is the file name; size is in bytes."""

    package: str
    version: str
    name: str
    size: int
    sha256: str


class DownloadError(FetchError):
    """The file could not be downloaded."""

    def __init__(self, wanted: PackageFile, reason: str) -> None:
        super().__init__(f'{wanted.name} could not be downloaded: {reason}')
