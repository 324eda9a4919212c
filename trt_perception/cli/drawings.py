# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes frames with their results as PNG files into a folder. No file that the command reads is replaced."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from ..dependencies import require
from ..errors import reason
from ..model.spec import ModelSpec
from ..results.draw import draw_classifications, draw_detections
from ..results.results import Detections, Result
from ..sources.source import SourceFrame
from .files import OutputError, Outputs, written


class Drawings:
    """The folder of --draw."""

    def __init__(self, name: str, spec: ModelSpec, outputs: Outputs) -> None:
        """Make the folder. Raises OutputError if it cannot be made, or if pictures in it would become inputs."""
        self._folder = Path(name)
        self._spec = spec
        self._outputs = outputs
        self._drawn: set[str] = set()
        outputs.folder('--draw', self._folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = 'it is a file; expected a folder' if self._folder.is_file() else reason(error)
            raise OutputError(f'--draw {name}: {why}') from error

    def draw(self, item: SourceFrame, result: Result) -> None:
        """Write one frame. Raises OutputError if that fails."""
        picture: np.ndarray
        if isinstance(result, Detections):
            picture = draw_detections(item.frame.bgr(), result, self._spec.names)
        else:
            picture = draw_classifications(item.frame.bgr(), result, self._spec.names)
        path = self._path(item)
        ok, data = require('cv2').imencode('.png', picture)
        if not ok:
            raise OutputError(f'{path}: OpenCV cannot write a picture of {picture.shape[1]}x{picture.shape[0]} pixels')
        with written('--draw', path) as part:
            part.write_bytes(data.tobytes())

    def _path(self, item: SourceFrame) -> Path:
        if '://' in item.source:
            stem = re.sub(r'[^A-Za-z0-9._-]+', '_', item.source.partition('://')[2]).strip('_')
        else:
            stem = Path(item.source).stem
        stem = f'{stem}_{item.index:06d}'
        path, count = self._folder / f'{stem}.png', 1
        # Sources in different folders may have the same name. Some file systems ignore case.
        while path.name.casefold() in self._drawn or self._outputs.is_read(path):
            count += 1
            path = self._folder / f'{stem}_{count}.png'
        self._drawn.add(path.name.casefold())
        return path
