# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The annotated video and the contact sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..dependencies import require
from ..progress import ProgressCallback
from ..results.draw import contact_sheet
from ..results.results import Result
from ..results.video_file import VideoFile, video_size
from ..results.video_picture import drawn, resized, scaled
from ..sources.open_source import open_source
from .errors import DemoError

_SHEET_CELLS = 9
# A skipped frame shows the last result for this long. Older boxes are too far from their objects.
HOLD_S = 1.0


def write_pictures(
    bag: Path, fps: float, results: Mapping[int, Result], names: Sequence[str], video: Path, sheet: Path, caption: str,
    progress: ProgressCallback,
) -> Path:
    """Draw the results on the bag's frames: all in a video, some in a PNG. Return the video's path.

    fps: frames per second of the video
    results: by frame number in the bag; a frame without a result shows the last one dimmed, or "not processed" if there
        is none with boxes in the second before
    names: class names by index
    video: the file without its suffix; the returned path has it

    Raises DemoError or VideoError if a file cannot be written, or if the video lacks a frame.
    """
    cv2 = require('cv2')
    shown = _fullest(results, _SHEET_CELLS)
    cells = []
    last: tuple[int, Result] | None = None
    with open_source(bag) as frames, VideoFile(video, fps) as file:
        for item in frames:
            bgr = item.frame.bgr()
            height, width = bgr.shape[:2]
            size = video_size(width, height)
            bgr = resized(bgr, size)
            result = results.get(item.index)
            if result is not None:
                result = scaled(result, size[0] / width, size[1] / height)
                last = item.index, result
            held = last[1] if last is not None and item.index - last[0] <= max(1.0, HOLD_S * fps) else None
            picture = _draw(bgr, result, held, names)
            if item.index in shown:
                cells.append(picture)
            file.write(picture)
            progress('drawing', file.written, frames.len_hint)
    if not cv2.imwrite(str(sheet), contact_sheet(cells, caption=caption)):
        raise DemoError(f'{sheet} cannot be written: check the space left and the permissions')
    file.check()
    return file.path


def _draw(bgr: np.ndarray, result: Result | None, held: Result | None, names: Sequence[str]) -> np.ndarray:
    """Draw `result`; without it `held`, the last one, dimmed."""
    if result is None and (held is None or not len(held.scores)):
        return _marked(bgr)
    found = held if result is None else result
    assert found is not None
    return drawn(bgr, found, names, dimmed=result is None)


def _marked(bgr: np.ndarray) -> np.ndarray:
    """Return a copy with the text "not processed"."""
    cv2 = require('cv2')
    canvas = np.array(bgr, dtype=np.uint8, order='C')
    height, width = canvas.shape[:2]
    scale = max(0.4, (width * height) ** 0.5 / 1000)
    for shift, color in ((1, (0, 0, 0)), (0, (255, 255, 255))):
        cv2.putText(
            canvas, 'not processed', (8 + shift, height - 8 + shift), cv2.FONT_HERSHEY_SIMPLEX, scale, color,
            max(1, round(scale)), cv2.LINE_AA)
    return canvas


def _fullest(results: Mapping[int, Result], count: int) -> set[int]:
    """Split the video into `count` equal parts. Return the frame with the largest sum of scores in each part."""
    chosen: set[int] = set()
    for stretch in np.array_split(np.array(sorted(results)), count):
        middle = len(stretch) // 2
        ranked = [
            (float(results[int(frame)].scores.sum()), -abs(position - middle), int(frame))
            for position, frame in enumerate(stretch)]
        chosen.update(frame for _, _, frame in sorted(ranked)[-1:])
    return chosen
