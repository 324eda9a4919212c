# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the file of `trt_perception play --sent` while it grows."""

from __future__ import annotations

import json
from pathlib import Path


class SentLog:
    """Reads a file of JSON lines; an incomplete line is left for the next read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._stamps: dict[int, int] = {}

    def read(self) -> dict[int, int]:
        """Return the stamp in nanoseconds of each frame sent so far, by its number in the bag."""
        try:
            with self._path.open('rb') as file:
                file.seek(self._position)
                added = file.read()
        except FileNotFoundError:
            return self._stamps
        complete = added[:added.rfind(b'\n') + 1]
        self._position += len(complete)
        for line in complete.splitlines():
            record = json.loads(line)
            self._stamps[record['index']] = record['stamp_ns']
        return self._stamps
