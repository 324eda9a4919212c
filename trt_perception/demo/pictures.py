# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The annotated video and the contact sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..dependencies import require
from ..progress import ProgressCallback
from ..results.draw import contact_sheet, draw_classifications, draw_detections
from ..results.results import Detections, Result
from ..sources.open_source import open_source
from .errors import DemoError

_SHEET_CELLS = 9
# MPEG-4 counts time in units of at least 1/65535 s; OpenCV derives the unit from the decimals of the rate.
_MAX_FPS = 600.0


def write_pictures(
    bag: Path, fps: float, results: Mapping[int, Result], names: Sequence[str], video: Path, sheet: Path, caption: str,
    progress: ProgressCallback,
) -> int:
    """Draw the results on the bag's frames: all in a video (mp4), some in a PNG. Return the number of video frames.

    fps: frames per second of the video
    results: by frame number in the bag; a frame without a result is marked as not processed
    names: class names by index

    Raises DemoError if a file cannot be written, or if the video lacks a frame.
    """
    cv2 = require('cv2')
    shown = _fullest(results, _SHEET_CELLS)
    cells = []
    writer: Any = None
    written = 0
    try:
        with open_source(bag) as frames:
            for item in frames:
                picture = _draw(item.frame.bgr(), results.get(item.index), names)
                if item.index in shown:
                    cells.append(picture)
                picture = _even(picture)
                if writer is None:
                    writer = _open(video, fps, picture)
                writer.write(picture)
                written += 1
                progress('drawing', written, frames.len_hint)
    finally:
        if writer is not None:
            writer.release()
    if not cv2.imwrite(str(sheet), contact_sheet(cells, caption=caption)):
        raise DemoError(f'{sheet} cannot be written: check the space left and the permissions')
    held = _count(video)
    if held != written:
        # VideoWriter does not report a full disk or a frame that the codec refuses.
        raise DemoError(f'{video}: {written} frames were written, but {held} can be read back: check the space left')
    return written


def _draw(bgr: np.ndarray, result: Result | None, names: Sequence[str]) -> np.ndarray:
    if result is None:
        return _marked(bgr)
    if isinstance(result, Detections):
        return draw_detections(bgr, result, names)
    return draw_classifications(bgr, result, names)


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


def _even(picture: np.ndarray) -> np.ndarray:
    """Repeat the last row or column if the size is odd: MPEG-4 halves the colour resolution."""
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), 'edge')


def _open(path: Path, fps: float, picture: np.ndarray) -> Any:
    cv2 = require('cv2')
    height, width = picture.shape[:2]
    rate = min(round(fps, 3 if fps < 60 else 2), _MAX_FPS)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), rate, (width, height))
    if not writer.isOpened():
        raise DemoError(
            f'{path}: OpenCV {cv2.__version__} cannot write a video (mp4v, {width}x{height}): check that the folder '
            'can be written, and that this OpenCV was built with FFmpeg')
    return writer


def _count(video: Path) -> int:
    cv2 = require('cv2')
    capture = cv2.VideoCapture(str(video))
    try:
        return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    finally:
        capture.release()
