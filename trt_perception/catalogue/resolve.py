# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Turns a path or a catalogue name into the path of a file."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelError
from ..home import expanded
from ..progress import ProgressCallback
from ..user_files import why_no_file
from .catalog import catalog_names, find_entry
from .fetch import fetch_entry


def resolve_model(
    name_or_path: str, *, fetch: bool = True, progress: ProgressCallback | None = None,
) -> Path:
    """Return the path of an ONNX file. A path of an existing file is returned as it is; a catalogue name is fetched.

    fetch: False forbids the network; the model of a catalogue name must then be in the cache

    Raises ModelError if the text is neither a file nor a known name, FetchError if a known name cannot be fetched.
    """
    path = Path(expanded(name_or_path))
    if path.is_file():
        return path
    entry = find_entry(name_or_path)
    if entry is None or entry.kind != 'model':
        # '' is Path('.').
        reason = why_no_file(path) if name_or_path else 'the name is empty'
        if entry is not None:
            reason = f'it is a {entry.kind} of the catalogue'
        raise ModelError(
            f"model '{name_or_path}': {reason}; expected an ONNX file or one of the catalogue's models: "
            f'{", ".join(catalog_names("model"))}')
    return fetch_entry(entry, offline=not fetch, progress=progress)


def resolve_video(
    name_or_path: str, *, fetch: bool = True, progress: ProgressCallback | None = None,
) -> Path:
    """Return the path of a catalogue video, fetched if it is missing. Any other text becomes a path, unchecked."""
    path = Path(expanded(name_or_path))
    entry = None if path.exists() else find_entry(name_or_path)
    if entry is None or entry.kind != 'video':
        return path
    return fetch_entry(entry, offline=not fetch, progress=progress)
