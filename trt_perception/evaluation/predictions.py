# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The results of `trt_perception predict --json`, read from their file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import reason
from ..results.json_reader import EXPECTED, Found, LineError, read_line
from .errors import EvaluationError


@dataclass(frozen=True)
class ImageResult:
    """The results of one image, as in results/json_lines.py. source: its path; topic: of a recording, '' without."""

    source: str
    width: int
    height: int
    found: tuple[Found, ...]
    topic: str = ''


@dataclass(frozen=True)
class Predictions:
    """The results of all images. path: their file; detections: whether they are boxes."""

    path: Path
    detections: bool
    images: tuple[ImageResult, ...]


def read_predictions(path: Path) -> Predictions:
    """Read JSON lines. Raises EvaluationError."""
    try:
        lines = path.read_bytes().split(b'\n')
    except OSError as error:
        raise EvaluationError(f'predictions {path}: {reason(error)}; {EXPECTED}') from error
    images: list[ImageResult] = []
    kinds: set[str] = set()
    for number, line in enumerate(lines, 1):
        if line.strip():
            kind, image = _record(f'predictions {path} line {number}', line)
            kinds.add(kind)
            images.append(image)
    if not images:
        raise EvaluationError(f'predictions {path}: the file is empty; {EXPECTED}')
    if len(kinds) > 1:
        raise EvaluationError(f'predictions {path}: detections and classifications in one file; evaluate one model')
    return Predictions(path, kinds == {'detections'}, tuple(images))


def _record(where: str, line: bytes) -> tuple[str, ImageResult]:
    try:
        result = read_line(line)
    except LineError as error:
        raise EvaluationError(f'{where}: {error}') from error
    kind = 'detections' if result.detections else 'classifications'
    return kind, ImageResult(result.source, result.width, result.height, result.found, result.topic)
