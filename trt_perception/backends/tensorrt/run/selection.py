# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The detections that the selection kernel writes and the host reads. Mirrors kernels/selection.h."""

from __future__ import annotations

import ctypes

import numpy as np

from ....model.geometry import Geometry
from ....model.heads.yolo import YoloHead
from ....results.results import Detections

# With more candidates the host selects, not the kernel.
MOST_SELECTED = 1024
# The kernel's blocks have a warp for each candidate.
BLOCK = (1024, 1)
THREADS = MOST_SELECTED * 32
KERNEL = 'select_detections'
COMPARISONS = np.dtype([
    ('masks', np.uint32, (MOST_SELECTED // 32, MOST_SELECTED)), ('words', np.uint32, MOST_SELECTED),
    ('ranks', np.int32, MOST_SELECTED)])
SELECTED = np.dtype([
    ('count', np.int32), ('candidates', np.int32), ('not_finite', np.int32), ('reserved', np.int32, 5),
    ('boxes', np.float32, (MOST_SELECTED, 4)), ('scores', np.float32, MOST_SELECTED),
    ('class_indices', np.int64, MOST_SELECTED)])


# Arrays without elements can be shared.
_NOTHING = Detections.empty()


class Selection(ctypes.Structure):
    """kernels/selection.h: Selection."""

    _fields_ = [
        ('header', ctypes.c_uint64), ('candidates', ctypes.c_uint64), ('settings', ctypes.c_uint64),
        ('comparisons', ctypes.c_uint64), ('selected', ctypes.c_uint64),
        ('target', ctypes.c_double * 2), ('scale', ctypes.c_double * 2), ('crop', ctypes.c_double * 2),
        ('limit', ctypes.c_double * 2), ('suppress', ctypes.c_int), ('reserved', ctypes.c_int)]


def selection_of(head: YoloHead, geometry: Geometry) -> Selection:
    """Return the kernel's argument without its pointers, which the caller fills in."""
    return Selection(
        target=(geometry.target_x, geometry.target_y), scale=(geometry.scale_x, geometry.scale_y),
        crop=(geometry.crop_x, geometry.crop_y), limit=(geometry.image_width, geometry.image_height),
        suppress=head.kind != 'end_to_end')


class SelectedView:
    """Reads the kernel's result from `buffer`: (SELECTED.itemsize,) uint8."""

    def __init__(self, buffer: np.ndarray) -> None:
        record = buffer[:SELECTED.itemsize].view(SELECTED)
        self._numbers = buffer[:12].view(np.int32)
        self._boxes, self._scores, self._classes = (record[name][0] for name in ('boxes', 'scores', 'class_indices'))

    @property
    def candidates(self) -> int:
        """The number of candidates."""
        return int(self._numbers[1])

    def read(self, head: YoloHead) -> Detections | None:
        """Return the detections, None if there were too many candidates; EngineError if values are not finite."""
        count, candidates, not_finite = self._numbers.tolist()
        if candidates > MOST_SELECTED:
            return None
        if not_finite:
            raise head.not_finite()
        if count == 0:
            return _NOTHING
        # Copies, because the result of the next frame overwrites this one.
        return Detections(self._boxes[:count].copy(), self._scores[:count].copy(), self._classes[:count].copy())
