# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames for calibration and for checking, spread evenly over a folder of images, a video or a rosbag2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from typing import TypeVar

from ..errors import CalibrationError, PerceptionError
from ..image.frame import Frame
from ..image.options import DEFAULT, ImageOptions
from ..progress import ProgressCallback, silent
from ..sources.bag_faults import MissingMessages
from ..sources.open_source import open_source
from ..sources.source import SourceFrame

# With fewer frames, the ranges miss scenes that the camera sees on another day.
FEW = 32
# Above this size fewer spare frames are kept for an even spread: a robot's computer needs its memory.
MANY_BYTES = 256 << 20
_T = TypeVar('_T')


@dataclass(frozen=True)
class Samples:
    """Frames to calibrate with, and other frames of the same source to measure the agreement on.

    held_out: whether `checking` shares no frame with `calibration`; with too few frames both are the same
    warnings: warnings about the frames, for the user
    faults: those of them about images of the source that are missing or cannot be read
    """

    calibration: tuple[Frame, ...]
    checking: tuple[Frame, ...]
    held_out: bool
    warnings: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


def read_samples(
    source: str | PathLike[str], count: int, checking: int = 16, topic: str = '',
    progress: ProgressCallback = silent, images: ImageOptions = DEFAULT,
) -> Samples:
    """Read `count` frames for calibration and `checking` other frames between them; fewer if the source has fewer.

    topic: image topic of a bag, '' if it has only one
    images: how the frames are read
    Raises CalibrationError if the source is '' or has no frames; SourceError if it cannot be opened.
    """
    require_source(source)
    if count < 1 or checking < 0:
        raise CalibrationError(
            f'expected 1 or more calibration samples and 0 or more frames for checking, found {count} and {checking}')
    errors: list[PerceptionError] = []
    frames = _spread(source, count + checking, topic, errors.append, progress, images)
    failed = [str(error) for error in errors if not isinstance(error, MissingMessages)]
    missing = [error for error in errors if isinstance(error, MissingMessages)]
    if not frames and missing and not failed:
        raise missing[0]
    if not frames:
        reason = f': {failed[0]}' if failed else ''
        raise CalibrationError(f'{source}: expected images for calibration, found no readable image{reason}')
    faults = [str(error) for error in missing]
    if failed:
        faults.append(f'{source}: {len(failed)} frames could not be read, the first: {failed[0]}')
    warnings = list(faults)
    # If there are too few frames, two thirds are for calibration, but never more than requested.
    num_checking = min(checking, max(len(frames) // 3, len(frames) - count))
    if num_checking:
        indices = _even(len(frames), num_checking)
        chosen = [frames[index] for index in indices]
        rest = [frame for index, frame in enumerate(frames) if index not in set(indices)]
    else:
        chosen, rest = frames[:checking], frames
        if checking:
            warnings.append('too few frames to hold some out: the agreement is measured on the calibration frames')
    if len(rest) < FEW:
        warnings.append(
            f'only {len(rest)} calibration samples ({count} requested): expected {FEW} or more, of all '
            'scenes and lights that the camera will see')
    return Samples(tuple(rest), tuple(chosen), bool(num_checking), tuple(warnings), tuple(faults))


def require_source(source: str | PathLike[str]) -> None:
    """Raise CalibrationError if the source is ''."""
    if not str(source):
        raise CalibrationError(
            'int8 needs calibration data, found none: give a folder of images, a video or a rosbag2 of what the '
            'camera will see (random data would give random ranges)')


def thin(items: list[_T], count: int) -> list[_T]:
    """Return the middle items of `count` equal parts of the list, or all items if there are not more."""
    return [items[index] for index in _even(len(items), count)] if len(items) > count else items


def _even(length: int, count: int) -> list[int]:
    return [(2 * index + 1) * length // (2 * count) for index in range(count)]


def _spread(
    source: str | PathLike[str], count: int, topic: str, on_error: Callable[[PerceptionError], None],
    progress: ProgressCallback, images: ImageOptions,
) -> list[Frame]:
    """Read the source once and keep every 2^k-th frame: the lengths in video and bag headers can be wrong."""
    kept: list[SourceFrame] = []
    stride, seen, size = 1, 0, 0
    with open_source(source, topic or None, on_error, images) as frames:
        for item in frames:
            if seen % stride == 0:
                kept.append(item)
                size += item.frame.data.nbytes
            seen += 1
            if len(kept) >= (2 if size > MANY_BYTES else 4) * count:
                kept, stride = kept[::2], stride * 2
                size = sum(item.frame.data.nbytes for item in kept)
            progress(f'reading {source}', seen, frames.len_hint)
    return [item.frame for item in thin(kept, count)]
