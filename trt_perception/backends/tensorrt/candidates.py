# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The list of candidates that the decoding kernels fill and the host reads. Mirrors kernels/candidates.h."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from ...errors import EngineError
from ...heads.yolo import YoloHead
from .sampling import ELEMENT_TYPES

CANDIDATE = np.dtype([
    ('box', np.float32, 4), ('score', np.float32), ('class_index', np.int32), ('row', np.int32),
    ('reserved', np.int32)])
# count, then reserved
HEADER_BYTES = 32
# output_threshold, score_threshold
FRAME_SETTINGS = np.dtype([('output_threshold', np.float32), ('score_threshold', np.float32)])
# So many candidates come back with every frame; what is beyond takes a second copy.
COPIED_CANDIDATES = 1024

_YOLOV5, _YOLOV8, _YOLOV8_TRANSPOSED, _END_TO_END = range(4)


class Decoding(ctypes.Structure):
    """kernels/candidates.h: Decoding."""

    _fields_ = [
        ('output', ctypes.c_uint64), ('header', ctypes.c_uint64), ('candidates', ctypes.c_uint64),
        ('settings', ctypes.c_uint64), ('rows', ctypes.c_int), ('classes', ctypes.c_int),
        ('kind', ctypes.c_int), ('element_type', ctypes.c_int)]


@dataclass(frozen=True)
class CandidateLayout:
    """How the list of one head and output lies in memory.

    kernel: name of the decoding kernel
    rows: rows of the output tensor, and so the most candidates there can be
    """

    kernel: str
    kind: int
    rows: int
    classes: int
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Bytes of the header and the full list."""
        return HEADER_BYTES + self.rows * CANDIDATE.itemsize

    @property
    def copied_size(self) -> int:
        """Bytes that come back with every frame."""
        return HEADER_BYTES + min(self.rows, COPIED_CANDIDATES) * CANDIDATE.itemsize

    def decoding(self, output: int, candidates: int, settings: int) -> Decoding:
        """Return the kernel's argument; all three are device addresses."""
        return Decoding(
            output=output, header=candidates, candidates=candidates + HEADER_BYTES, settings=settings,
            rows=self.rows, classes=self.classes, kind=self.kind, element_type=ELEMENT_TYPES[self.dtype])


def candidate_layout(head: YoloHead, shape: tuple[int, ...], dtype: np.dtype) -> CandidateLayout:
    """Return the layout for the head's output; EngineError where no kernel reads its type or shape."""
    dtype = np.dtype(dtype)
    if dtype not in (np.float32, np.float16):
        raise EngineError(
            f"output '{head.output_name}' is {dtype}: the decoding kernels read float32 and float16")
    if len(shape) != 3 or shape[0] != 1 or min(shape) < 1:
        raise EngineError(
            f"output '{head.output_name}' has the shape {list(shape)}: expected [1, rows, columns]")
    if head.kind == 'yolov5':
        kind, rows, classes = _YOLOV5, shape[1], shape[2] - 5
    elif head.kind == 'end_to_end':
        kind, rows, classes = _END_TO_END, shape[1], 0
    elif head.transposed:
        kind, rows, classes = _YOLOV8_TRANSPOSED, shape[1], shape[2] - 4
    else:
        kind, rows, classes = _YOLOV8, shape[2], shape[1] - 4
    return CandidateLayout(f'decode_{dtype.name}', kind, rows, classes, dtype)


def write_settings(target: np.ndarray, score_threshold: float, dtype: np.dtype) -> None:
    """Fill `target` (FRAME_SETTINGS, scalar array) for an output of `dtype`.

    NumPy compares a tensor with a threshold in the tensor's type, so the kernel's first test does as well.
    """
    target['output_threshold'] = np.dtype(dtype).type(score_threshold)
    target['score_threshold'] = score_threshold


def read_candidates(
    buffer: np.ndarray, count: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes (count, 4) in network pixels, scores and class indices, in the output tensor's order.

    buffer: uint8, the header and at least `count` candidates
    """
    records = buffer[HEADER_BYTES:HEADER_BYTES + count * CANDIDATE.itemsize].view(CANDIDATE)
    records = records[np.argsort(records['row'])]
    return records['box'], records['score'], records['class_index'].astype(np.int64)
