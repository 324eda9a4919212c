# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Raw maps of YOLOv2, v3, v4, v5 and v7 whose anchors are in the file's metadata, `trt_perception.head`.

    {"layout": "yolov3", "anchors": [[[10, 13], [16, 30], [33, 23]], ...]}

anchors: width and height in pixels of the input, for each output in the order of the file. An output is
[1, A * (5 + C), h, w] or [1, A, h, w, 5 + C], with A anchors; its stride is the input's width divided by w. Of each
cell and anchor (s is the sigmoid):

- yolov2: centre (s(x) + cell) * stride, size anchor * exp(w), objectness s, classes softmax
- yolov3: the same, classes s (also YOLOv4)
- yolov5: centre (2 s(x) - 0.5 + cell) * stride, size anchor * (2 s(w))^2, objectness and classes s (also YOLOv7)

Sources: the papers on YOLOv2 (arXiv 1612.08242) and YOLOv3 (arXiv 1804.02767); the published formula of YOLOv5.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...errors import ModelError, printable
from .boxes import CENTRES, PIXELS, to_corners
from .detection import Candidates, FamilyHead
from .evidence import HeadEvidence
from .family_values import logit, sigmoid
from .plausible_boxes import centre_problem

METADATA_KEY = 'trt_perception.head'
_LAYOUTS = ('yolov2', 'yolov3', 'yolov5')
_FORM = (
    'expected {"layout": "yolov2", "yolov3" or "yolov5", "anchors": [[[width, height], ...] for each output]}')


@dataclass(frozen=True)
class AnchorsHead(FamilyHead):
    """Decodes raw maps.

    maps: names of the outputs; anchors: (width, height) in pixels, for each output
    """

    kind: ClassVar[str] = 'anchors'
    family: ClassVar[str] = f'raw maps with the anchors of {METADATA_KEY}'
    advice: ClassVar[str] = 'check the layout and the anchors in the metadata'

    layout: str
    maps: tuple[str, ...]
    anchors: tuple[tuple[tuple[float, float], ...], ...]

    @property
    def output_names(self) -> tuple[str, ...]:
        """The outputs that the head reads."""
        return self.maps

    def candidates(self, outputs: Mapping[str, np.ndarray], size: tuple[int, int], threshold: float) -> Candidates:
        """Return the cells and anchors above the threshold."""
        limit = logit(threshold)
        parts = []
        for name, anchors in zip(self.maps, self.anchors):
            values = _by_anchor(outputs[name], len(anchors))
            # score = objectness * class <= objectness, so one comparison removes most cells.
            kept = np.nonzero(~(values[..., 4] < limit))
            rows = values[kept].astype(np.float32)
            classes, probabilities = self._classes(rows)
            scores = sigmoid(rows[:, 4]) * probabilities
            strong = ~(scores < threshold)
            boxes = self._boxes(rows, kept, values.shape, anchors, size)
            parts.append((boxes[strong], scores[strong], classes[strong]))
        boxes, scores, classes = (np.concatenate(arrays) for arrays in zip(*parts))
        return Candidates(to_corners(boxes, CENTRES, PIXELS, size), scores, classes)

    def problem(
        self, images: Sequence[Mapping[str, np.ndarray]], size: tuple[int, int], num_names: int,
    ) -> str:
        """Return why the decoded boxes cannot be right; '' if they can be. Logits may be any numbers."""
        tables = []
        for image in images:
            for name, anchors in zip(self.maps, self.anchors):
                shape = image[name].shape
                if _columns(shape, len(anchors)) != 5 + self.num_classes:
                    return (
                        f"gives {list(shape)} in '{name}', not what the file declares: expected {5 + self.num_classes} "
                        f'numbers for each of {len(anchors)} anchors')
                values = _by_anchor(image[name], len(anchors))
                every = np.nonzero(np.ones(values.shape[:3], bool))
                tables.append(self._boxes(values[every].astype(np.float32), every, values.shape, anchors, size))
        return centre_problem([table[np.isfinite(table).all(axis=1)] for table in tables], size)

    def _classes(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the best class of each row and its probability."""
        if not len(rows):
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        logits = rows[:, 5:]
        classes = logits.argmax(axis=1)
        best = logits[np.arange(len(rows)), classes]
        if self.layout == 'yolov2':
            return classes, (1.0 / np.exp(logits - best[:, np.newaxis]).sum(axis=1)).astype(np.float32)
        return classes, sigmoid(best)

    def _boxes(
        self, rows: np.ndarray, places: tuple[np.ndarray, ...], shape: tuple[int, ...],
        anchors: Sequence[tuple[float, float]], size: tuple[int, int],
    ) -> np.ndarray:
        """Return (N, 4) cx, cy, w, h in pixels. places: (anchor, row, column) of each of `rows`."""
        anchor, row, column = places
        stride = np.array([size[0] / shape[2], size[1] / shape[1]], np.float32)
        cell = np.stack([column, row], axis=1)
        sizes = np.array(anchors, np.float32)[anchor]
        # Infinity is reported later.
        with np.errstate(over='ignore'):
            if self.layout == 'yolov5':
                centre = (2 * sigmoid(rows[:, :2]) - 0.5 + cell) * stride
                sizes = sizes * (2 * sigmoid(rows[:, 2:4])) ** 2
            else:
                centre = (sigmoid(rows[:, :2]) + cell) * stride
                sizes = sizes * np.exp(rows[:, 2:4])
        return np.concatenate([centre, sizes], axis=1)


def anchors_heads(evidence: HeadEvidence) -> list[FamilyHead]:
    """Return the head if the metadata has anchors, else []. Raises ModelError if they do not fit the outputs."""
    text = evidence.metadata.get(METADATA_KEY)
    if not text:
        return []
    layout, anchors = _parsed(text)
    if len(anchors) != len(evidence.outputs):
        raise ModelError(
            f'the metadata {METADATA_KEY} has anchors for {len(anchors)} outputs, but {evidence.describe()}')
    classes = {_columns(shape, len(group)) for (_, shape), group in zip(evidence.outputs, anchors)}
    if len(classes) != 1 or min(classes) < 6:
        raise ModelError(
            f'the anchors of the metadata {METADATA_KEY} do not fit: {evidence.describe()}; expected '
            '[1, A * (5 + C), h, w] or [1, A, h, w, 5 + C] for A anchors')
    return [AnchorsHead(min(classes) - 5, layout, tuple(name for name, _ in evidence.outputs), anchors)]


def _parsed(text: str) -> tuple[str, tuple[tuple[tuple[float, float], ...], ...]]:
    try:
        values: Any = json.loads(text)
        layout = values['layout']
        anchors = tuple(tuple((float(width), float(height)) for width, height in group) for group in values['anchors'])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ModelError(f'the metadata {METADATA_KEY} is {printable(text[:120])}: {_FORM}') from None
    sizes = [side for group in anchors for pair in group for side in pair]
    if layout not in _LAYOUTS or not sizes or not all(anchors) or not all(0 < side < 1e6 for side in sizes):
        raise ModelError(f'the metadata {METADATA_KEY} is {printable(text[:120])}: {_FORM}')
    return layout, anchors


def _columns(shape: tuple[int, ...], count: int) -> int:
    """Return 5 + C, 0 if the shape is not that of a map with so many anchors."""
    if len(shape) == 4 and shape[0] == 1 and shape[1] % count == 0:
        return shape[1] // count
    return shape[4] if len(shape) == 5 and shape[:2] == (1, count) else 0


def _by_anchor(values: np.ndarray, count: int) -> np.ndarray:
    """Return (A, h, w, 5 + C)."""
    if values.ndim == 5:
        first: np.ndarray = values[0]
        return first
    _, channels, height, width = values.shape
    turned: np.ndarray = values.reshape(count, channels // count, height, width).transpose(0, 2, 3, 1)
    return turned
