# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""YOLOX without box decoding: [1, N, 5 + C] as tools/export_onnx.py writes it without --decode_in_inference.

Of each cell: centre = (value + cell) * stride, size = exp(value) * stride, objectness, class scores, both after the
sigmoid. Source: the YOLOX paper (arXiv 2107.08430) and the outputs of its export. The strides follow from N and the
size of the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..normalisation import YOLO, Preprocessing
from .boxes import CENTRES, PIXELS, to_corners
from .detection import Candidates, FamilyHead, OneOutputHead
from .evidence import HeadEvidence
from .family_values import score_problem
from .grids import cells, strides_of
from .plausible_boxes import centre_problem

_STRIDES = ((8, 16, 32), (8, 16, 32, 64))
# exp(6) strides of 8 are 3227 pixels.
_LARGEST_LOGARITHM = 6.0


@dataclass(frozen=True)
class YoloxHead(OneOutputHead):
    """Decodes the cells of YOLOX, whose images are BGR and not normalised."""

    kind: ClassVar[str] = 'yolox'
    family: ClassVar[str] = 'YOLOX without box decoding'
    advice: ClassVar[str] = 'export it with --decode_in_inference'
    usual_preprocessing: ClassVar[Preprocessing] = replace(YOLO, color_order='bgr', scale=1.0)

    strides: tuple[int, ...]

    def candidates(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float) -> Candidates:
        """Return the cells above the threshold."""
        rows = outputs[self.output_name][0]
        # score = objectness * class <= objectness, so one comparison removes most rows.
        places = np.flatnonzero(~(rows[:, 4] < threshold))
        rows = rows[places].astype(np.float32)
        classes = rows[:, 5:].argmax(axis=1) if len(rows) else np.zeros(0, np.int64)
        scores = rows[:, 4] * rows[np.arange(len(rows)), 5 + classes]
        kept = ~(scores < threshold)
        boxes = _decoded(rows[kept, :4], cells(size, self.strides)[places[kept]])
        return Candidates(to_corners(boxes, CENTRES, PIXELS, size), scores[kept], classes[kept])

    def problem(
        self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int], num_names: int,
    ) -> str:
        """Return why the rows are not offsets, logarithms and scores; '' if they can be."""
        tables = [np.asarray(image[self.output_name][0], np.float32) for image in images]
        everything = np.concatenate(tables)
        if not everything[:, :4].any():
            return 'has no boxes for the test images: expected a box for each cell'
        problem = score_problem(self.output_name, everything[:, 4:])
        if problem:
            return problem
        sizes = everything[:, 2:4][np.isfinite(everything[:, 2:4]).all(axis=1)]
        if len(sizes) and np.percentile(sizes, 98) > _LARGEST_LOGARITHM:
            return f'has {sizes.max():.3g} in its third and fourth columns: expected logarithms of sizes in strides'
        return centre_problem([_decoded(table[:, :4], cells(size, self.strides)) for table in tables], size)


def _decoded(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(N, 4) values and their (N, 3) cells -> cx, cy, w, h in pixels."""
    stride = places[:, 2:]
    centres = (values[:, :2] + places[:, :2]) * stride
    # Infinity is reported later.
    with np.errstate(over='ignore'):
        return np.concatenate([centres, np.exp(values[:, 2:]) * stride], axis=1)


def undecoded_yolox(evidence: HeadEvidence) -> FamilyHead | None:
    """Return the head if a single output [1, N, 5 + C] has one row for each cell, so that it may be YOLOX; else None.

    Decoded YOLOX and YOLOv6 have the same shape: the values decide.
    """
    name, shape = evidence.outputs[0]
    if len(evidence.outputs) != 1 or len(shape) != 3 or shape[0] != 1 or shape[2] < 6:
        return None
    strides = strides_of(shape[1], evidence.input_size, _STRIDES)
    if strides is None or evidence.num_names not in (None, shape[2] - 5):
        return None
    return YoloxHead(shape[2] - 5, name, strides)
