# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes as fractions of the network's input, as .tflite files of YOLOv5 and Ultralytics have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .boxes import FRACTIONS, PIXELS
from .detection import RawOutput
from .further_columns import FurtherColumnsHead
from .plausibility import problem_of
from .yolo import YoloHead


def in_pixels(head: YoloHead, output: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a raw output with its boxes multiplied by the input's width and height, a new array.

    output: as the head reads it, boxes in the first four columns; other values do not change
    size: width, height of the network's input in pixels
    """
    scaled = np.array(output, np.float32)
    columns = scaled[0] if head.kind == 'yolov8' and not head.transposed else scaled[0].T
    columns[:4] *= np.array([*size, *size], np.float32)[:, np.newaxis]
    return scaled


def are_fractions(
    head: YoloHead | FurtherColumnsHead, outputs: Sequence[RawOutput], size: tuple[int, int], num_names: int,
    expected: bool | None,
) -> bool:
    """Return whether the boxes of the test images' outputs are fractions of the input, not pixels.

    The values decide if only one of the two is possible. expected: what the exporter usually writes, None if unknown;
    it decides if there is no box in the outputs, as after NMS in an image without objects
    """
    arrays = [array for output in outputs for array in (output.values() if isinstance(output, dict) else (output,))]
    if any(array.dtype.kind != 'f' for array in arrays):
        return False
    possible_pixels = not problem_of(with_unit(head, PIXELS), outputs, size, num_names)
    possible_fractions = not problem_in_fractions(head, outputs, size, num_names)
    if possible_pixels != possible_fractions:
        return possible_fractions
    return bool(expected) and possible_fractions


def problem_in_fractions(
    head: YoloHead | FurtherColumnsHead, outputs: Sequence[RawOutput], size: tuple[int, int], num_names: int,
) -> str:
    """Return why these outputs with boxes as fractions cannot be the head's, as `problem_of` does; '' if they can."""
    if isinstance(head, YoloHead):
        return problem_of(head, [in_pixels(head, output, size) for output in outputs], size, num_names)
    return problem_of(with_unit(head, FRACTIONS), outputs, size, num_names)


def with_unit(head: YoloHead | FurtherColumnsHead, unit: str) -> YoloHead | FurtherColumnsHead:
    """Return a head that reads boxes of this unit; a YoloHead reads pixels only and is returned as it is."""
    return replace(head, unit=unit) if isinstance(head, FurtherColumnsHead) else head
