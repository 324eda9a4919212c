# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The list of candidates that the decoding kernels fill, and the settings they read. Mirrors kernels/candidates.h."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from ....errors import EngineError
from ....model.heads.yolo import DetectionSettings, YoloHead
from .resampling import ELEMENT_TYPES

CANDIDATE = np.dtype([
    ('box', np.float32, 4), ('score', np.float32), ('class_index', np.int32), ('row', np.int32),
    ('reserved', np.int32)])
# Size of the kernels' CandidateHeader, whose first two numbers must be 0 when decoding begins.
HEADER_BYTES = 32
# Number of classes that a filter on the GPU can name, one bit each.
_MOST_CLASSES = 4096
FRAME_SETTINGS = np.dtype([
    ('output_threshold', np.float32), ('score_threshold', np.float32), ('iou_threshold', np.float32),
    ('class_agnostic', np.int32), ('max_detections', np.int32), ('filters_classes', np.int32),
    ('reserved', np.int32, 2), ('classes', np.uint32, _MOST_CLASSES // 32)])

# kernels/candidates.h: YOLOV5_ROWS_OF_WARP
_YOLOV5_THREADS_OF_ROW = 32 // 8

_YOLOV5, _YOLOV8, _YOLOV8_TRANSPOSED, _END_TO_END = range(4)


class Decoding(ctypes.Structure):
    """kernels/candidates.h: Decoding."""

    _fields_ = [
        ('output', ctypes.c_uint64), ('header', ctypes.c_uint64), ('candidates', ctypes.c_uint64),
        ('settings', ctypes.c_uint64), ('rows', ctypes.c_int), ('classes', ctypes.c_int),
        ('kind', ctypes.c_int), ('element_type', ctypes.c_int)]


@dataclass(frozen=True)
class CandidateLayout:
    """The memory layout of the candidate list for one head and output.

    kernel: name of the decoding kernel
    rows: rows of the output tensor, and so the maximum number of candidates
    """

    kernel: str
    kind: int
    rows: int
    classes: int
    dtype: np.dtype

    @property
    def size(self) -> int:
        """Size of the header and the full list in bytes."""
        return HEADER_BYTES + self.rows * CANDIDATE.itemsize

    @property
    def threads(self) -> int:
        """Number of threads that decode."""
        return self.rows * (_YOLOV5_THREADS_OF_ROW if self.kind == _YOLOV5 else 1)

    def decoding(self, output: int, candidates: int, settings: int) -> Decoding:
        """Return the kernel's argument; all three are device addresses."""
        return Decoding(
            output=output, header=candidates, candidates=candidates + HEADER_BYTES, settings=settings,
            rows=self.rows, classes=self.classes, kind=self.kind, element_type=ELEMENT_TYPES[self.dtype])


def candidate_layout(head: YoloHead, shape: tuple[int, ...], dtype: np.dtype) -> CandidateLayout:
    """Return the layout for the head's output; EngineError if no kernel reads its type or shape."""
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


def write_settings(target: np.ndarray, settings: DetectionSettings, dtype: np.dtype) -> bool:
    """Fill `target` (FRAME_SETTINGS, scalar array) for an output of `dtype`.

    Returns False if a class to keep has no bit: then the host must select.
    """
    # NumPy compares a tensor with a threshold in the tensor's type, so the kernel's first test must do so too.
    target['output_threshold'] = np.dtype(dtype).type(settings.score_threshold)
    target['score_threshold'] = settings.score_threshold
    target['iou_threshold'] = settings.iou_threshold
    target['class_agnostic'] = settings.class_agnostic_nms
    target['max_detections'] = min(max(settings.max_detections, 0), np.iinfo(np.int32).max)
    target['filters_classes'] = settings.keep_classes is not None
    kept = np.array(sorted(settings.keep_classes or ()), np.int64)
    bits = np.zeros(_MOST_CLASSES, np.uint8)
    bits[kept[(kept >= 0) & (kept < _MOST_CLASSES)]] = 1
    target['classes'] = np.packbits(bits, bitorder='little').view('<u4')
    return bool((kept < _MOST_CLASSES).all())


def read_candidates(
    buffer: np.ndarray, count: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return boxes (count, 4) in network pixels, scores and class indices, in the output tensor's order.

    buffer: uint8, the header and at least `count` candidates
    """
    records = buffer[HEADER_BYTES:HEADER_BYTES + count * CANDIDATE.itemsize].view(CANDIDATE)
    records = records[np.argsort(records['row'])]
    return records['box'], records['score'], records['class_index'].astype(np.int64)
