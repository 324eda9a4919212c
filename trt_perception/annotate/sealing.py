# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""annotation.json, without which a folder is not a finished annotation."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

RECORD = 'annotation.json'


def seal(folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Write annotation.json into a new folder, which is complete then, and wait until all is on the disk.

    record: has `content`, `run` and `files`
    Returns it with the sizes of the outputs. Raises OSError.
    """
    files = [path for path in sorted(folder.rglob('*')) if path.is_file()]
    outputs = {str(path.relative_to(folder)): path.stat().st_size for path in files}
    whole = {**record, 'outputs': outputs}
    (folder / RECORD).write_text(json.dumps(whole, indent=1) + '\n', encoding='utf-8')
    for path in (*folder.rglob('*'), folder):
        to_disk(path)
    return whole


def to_disk(path: Path) -> None:
    """Wait until a file or a folder is on the disk: else a power failure could keep a rename and lose the data."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
