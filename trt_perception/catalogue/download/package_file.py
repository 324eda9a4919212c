# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Brings one file of one package, identified by its sha256, from wherever the user's pip would."""

from __future__ import annotations

import functools
import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ...errors import FetchError
from ...file_cache import file_sha256, replace_file
from ...progress import ProgressCallback
from .pip_config import IndexSettings
from .simple_index import list_files
from .transport import ATTEMPTS, BROKEN, TransportError, open_url, reason_of, without_credentials

_CHUNK = 1 << 18


@dataclass(frozen=True)
class PackageFile:
    """What to bring: size in bytes."""

    package: str
    name: str
    size: int
    sha256: str


def bring(
    wanted: PackageFile, target: Path, settings: IndexSettings, progress: ProgressCallback | None = None,
) -> None:
    """Put the file at `target`, complete and verified, or leave nothing there.

    Looks in the local folders of find-links, then on each index. The sha256 is what identifies the file, so it does
    not matter which index offers it. Raises FetchError saying what each place answered.
    """
    answers: list[str] = []
    for folder in settings.find_links:
        candidate = folder / wanted.name
        if candidate.is_file():
            if file_sha256(candidate) == wanted.sha256:
                replace_file(target, functools.partial(shutil.copyfile, candidate))
                return
            answers.append(f'{candidate} has another sha256')
    for index_url in settings.index_urls:
        try:
            if _from_index(wanted, target, index_url, settings, progress, answers):
                return
        except TransportError as error:
            answers.append(str(error))
    if not settings.index_urls:
        answers.append('pip is set to no-index')
    raise FetchError(f'{wanted.name} could not be downloaded: {"; ".join(answers)}')


def _from_index(
    wanted: PackageFile, target: Path, index_url: str, settings: IndexSettings,
    progress: ProgressCallback | None, answers: list[str],
) -> bool:
    shown = without_credentials(index_url)
    if progress:
        progress(f'asking {urlsplit(index_url).hostname or shown} for {wanted.package}', 0, None)
    offered = [file for file in list_files(index_url, wanted.package, settings)
               if file.name == wanted.name]
    if not offered:
        answers.append(f'{shown} has {wanted.package}, but not this file')
    for file in offered:
        if file.sha256 not in ('', wanted.sha256):
            answers.append(f'{shown} offers it with another sha256, {file.sha256}')
            continue
        replace_file(target, _downloader(file.url, wanted, settings, progress))
        return True
    return False


class _ConnectionBroke(Exception):
    """The stream ended early; kept apart from errors of the disk that it is written to."""


def _downloader(
    url: str, wanted: PackageFile, settings: IndexSettings, progress: ProgressCallback | None,
) -> Callable[[Path], None]:
    def download(part: Path) -> None:
        reason = ''
        for _ in range(ATTEMPTS):
            try:
                return _download(url, wanted, part, settings, progress)
            except _ConnectionBroke as error:
                reason = str(error)
        raise TransportError(
            f'{without_credentials(url)}: the connection broke {ATTEMPTS} times: {reason}')
    return download


def _download(
    url: str, wanted: PackageFile, part: Path, settings: IndexSettings, progress: ProgressCallback | None,
) -> None:
    digest, done = hashlib.sha256(), 0
    with open_url(url, settings) as response, part.open('wb') as file:
        while chunk := _read(response):
            done += len(chunk)
            if done > wanted.size:
                break
            digest.update(chunk)
            file.write(chunk)
            if progress:
                progress(f'downloading {wanted.name}', done, wanted.size)
        expected = response.headers.get('Content-Length')
    if expected is not None and done < int(expected) <= wanted.size:
        raise _ConnectionBroke(f'{done} of {expected} bytes arrived')
    if done != wanted.size or digest.hexdigest() != wanted.sha256:
        raise TransportError(
            f'{without_credentials(url)} is not the file that is expected: its sha256 or size differs '
            f"from the catalogue's ({wanted.sha256}, {wanted.size} bytes); nothing of it was used")


def _read(response: Any) -> bytes:
    try:
        return response.read(_CHUNK)
    except BROKEN as error:
        raise _ConnectionBroke(reason_of(error)) from error
